"""Single keys as shortcuts: turned off, everything is still done without a mouse."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from annotation.models import Assignment, Project, Ranking
from tests.factories import ranking_task_make
from tests.frontend.conftest import OpenPage, violations

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

RANK = "/projects/project/work/ranking/"


@pytest.fixture
def page(open_page: OpenPage, bob: User, project: Project) -> Page:
    ranking_task_make(project)
    return open_page(bob, RANK)


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def tab_to(page: Page, selector: str) -> None:
    """By Tab alone."""
    wanted = page.locator(selector)
    for _ in range(60):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {selector}")


def switch_press(page: Page) -> None:
    """Turns single keys on or off, by keyboard."""
    tab_to(page, "[data-opens=keys-dialog]")
    press(page, "Enter")
    tab_to(page, "[data-single-keys]")
    press(page, "Space", "Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)


def dialogs(page: Page, *keys: str) -> list[str]:
    """The dialogs that these keys open; each is closed again."""
    opened = []
    for key in keys:
        press(page, key)
        opened += page.locator("dialog[open]").evaluate_all("found => found.map(({id}) => id)")
        press(page, "Escape")
    return opened


def test_single_keys_that_are_off_do_nothing_until_they_are_on_again(page: Page) -> None:
    all_dialogs = ["skip-dialog", "guidelines-dialog", "report-dialog", "report-dialog"]
    assert dialogs(page, "s", "g", "f", "!") == all_dialogs
    switch_press(page)
    assert dialogs(page, "s", "g", "f", "!") == []
    press(page, "a", "2", "Shift+C", "x", "r", "l")
    expect(page.locator("[data-count]")).to_have_text("0 of 3")
    for pressed in ("[data-raw]", "[data-layout-button]", "[data-all-bad]"):
        expect(page.locator(pressed)).to_have_attribute("aria-pressed", "false")
    page.reload()
    assert dialogs(page, "s", "g", "f", "!") == []
    switch_press(page)
    page.reload()
    assert dialogs(page, "s", "g", "f", "!") == all_dialogs


def test_without_single_keys_a_task_is_done_by_tab_space_and_enter(page: Page) -> None:
    switch_press(page)
    expect(page.locator("[data-skip] kbd")).to_be_hidden()
    for number in range(3):
        tab_to(page, f"[data-answer] >> nth={number}")
        press(page, "Space")
    expect(page.locator("[data-tray] .letter")).to_have_text(["A", "B", "C"])
    tab_to(page, "[data-submit]")
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Nothing to do right now")).to_be_visible()
    assert Ranking.objects.count() == 1
    press(page, "Control+z")
    expect(page.locator("[data-state=judging]")).to_be_visible()


def test_without_single_keys_a_task_is_skipped_by_tab_and_enter(page: Page) -> None:
    switch_press(page)
    tab_to(page, "[data-skip]")
    press(page, "Enter")
    # The digits belong to the dialog that has the focus.
    press(page, "1")
    tab_to(page, "#skip-dialog [type=submit]")
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Nothing to do right now")).to_be_visible()
    assert Assignment.objects.get().status == "skipped"


def test_words_are_written_and_the_dialog_passes_the_audit(page: Page) -> None:
    switch_press(page)
    tab_to(page, "[data-report]")
    press(page, "Enter")
    page.keyboard.type("Strange!")
    expect(page.get_by_label("What did you see?")).to_have_value("Strange!")
    press(page, "Escape")
    tab_to(page, "[data-opens=keys-dialog]")
    press(page, "Enter")
    expect(page.get_by_role("switch", name="Single keys")).not_to_be_checked()
    assert violations(page) == []
