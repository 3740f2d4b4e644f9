"""Deciding about rounds in a real browser: by keyboard, on a phone, while the round goes on."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from annotation.models import Project
from tests.frontend.conftest import OpenPage, violations
from tests.frontend.loop_rows import STATES, decided_round_make, loop_rows_make
from training.models import Deployment, LoopSettings, Round, Run

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

DASHBOARD, ROUND = "/projects/project/", "/projects/project/rounds/2/"
SETTINGS = "/projects/project/settings/"


@pytest.mark.parametrize("state", list(STATES))
def test_a_round_is_readable_by_everybody_in_every_state(
    state: str, open_page: OpenPage, alice: User, bob: User, project: Project
) -> None:
    decided_round_make(loop_rows_make(project, bob), state, alice)
    page = open_page(alice, ROUND, width=360, height=740)
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for path in (ROUND, DASHBOARD):
            page.goto(path)
            for details in page.locator("main details").all():
                details.locator("summary").first.click()
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 360, f"{path} is {width} px wide"
            found += violations(page)
    assert found == [], "\n".join(found)


def test_protocols_are_chosen_by_keyboard_and_read_by_everybody(
    open_page: OpenPage, alice: User, project: Project
) -> None:
    page = open_page(alice, SETTINGS, width=360, height=740)
    page.locator("summary", has_text="Apply a paper").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert violations(page) == []
    page.get_by_label("InstructGPT").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The protocol of Anthropic HH holds")).to_be_visible()
    assert LoopSettings.objects.get(project=project).preset == "hh"


def test_a_policy_is_approved_by_keyboard(
    open_page: OpenPage, alice: User, bob: User, project: Project
) -> None:
    item = decided_round_make(loop_rows_make(project, bob), "approval", alice)
    page = open_page(alice, DASHBOARD)
    page.get_by_role("link", name="Look and decide").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Note").focus()
    page.keyboard.type("Read 20 answers.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Approved. The policy is deployed within seconds.")).to_be_visible()
    item.refresh_from_db()
    assert item.decision_reason == "Approved by alice: Read 20 answers."


def test_the_reason_of_a_rollback_stays_while_the_dashboard_follows_the_loop(
    open_page: OpenPage, alice: User, bob: User, project: Project
) -> None:
    item = decided_round_make(loop_rows_make(project, bob), "promoted", alice)
    Deployment.objects.filter(role="previous").delete()
    page = open_page(alice, DASHBOARD)
    page.get_by_text("Roll back to zz-policy-secret").click()
    with page.expect_response("**/live/"):
        page.get_by_label("Why?").fill("It flatters.")
    page.wait_for_timeout(300)
    expect(page.get_by_label("Why?")).to_have_value("It flatters.")
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("zz-policy-secret is in use again.")).to_be_visible()
    item.refresh_from_db()
    assert item.rollback_reason == "It flatters."


def test_the_page_of_a_round_follows_it_and_asks_when_people_are_needed(
    open_page: OpenPage, alice: User, bob: User, project: Project
) -> None:
    item = decided_round_make(loop_rows_make(project, bob), "running", alice)
    page = open_page(alice, ROUND)
    bar = page.get_by_role("progressbar", name="Improve the policy")
    expect(bar).to_have_attribute("value", "12")
    Run.objects.filter(round=item, step="policy").update(progress_done=30)
    expect(bar).to_have_attribute("value", "30")
    Round.objects.filter(pk=item.pk).update(step="decide", waiting_for="approval")
    expect(page.get_by_role("button", name="Approve and deploy")).to_be_visible()
