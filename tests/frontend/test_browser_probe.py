"""Red teaming and rule probing in a real browser, with the agreement that comes before."""

from pathlib import Path
from typing import Literal

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django import Settings

from annotation.models import Assignment, Consent, Conversation, Project, Turn
from tests.frontend.conftest import OpenPage, violations
from tests.frontend.talks import (
    agreed,
    answer,
    idle,
    model_ready,
    path_stored,
    press,
    say,
    stored,
    talk_make,
    url,
)
from tests.replies import replies_of

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

ATTACK = url("red_team")
PROBE = url("rule_probe")


@pytest.fixture(autouse=True)
def model(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_ready(settings, tmp_path, monkeypatch)


@pytest.fixture
def attack(project: Project, bob: User) -> Project:
    """Two goals to try, three replies each; Bob agreed to read what comes of it."""
    talk_make(project, "red_team", num=2, num_replies=3)
    agreed(project, bob)
    return project


@pytest.fixture
def probe(project: Project) -> Project:
    talk_make(project, "rule_probe")
    return project


def message(page: Page):
    return page.get_by_label("Your message")


def card(page: Page, letter: str):
    return page.get_by_role("article", name=f"Reply {letter}")


def test_the_warning_comes_first_and_is_agreed_to_by_keyboard(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    talk_make(project, "red_team", warning="You will read threats.")
    page = open_page(bob, ATTACK)
    expect(page.get_by_text("You will read threats.")).to_be_visible()
    assert not Assignment.objects.exists()
    assert violations(page) == []
    page.get_by_role("link", name="No, thank you").focus()
    press(page, "Tab", "Enter")
    expect(page.get_by_role("heading", name="Your goal")).to_be_visible()
    assert Consent.objects.get().withdrawn_at is None
    page.get_by_role("button", name="Stop doing this work").click()
    expect(page.get_by_text("You stopped doing this work.")).to_be_visible()
    page.goto(ATTACK)
    expect(page.get_by_text("You will read threats.")).to_be_visible()
    assert Consent.objects.get().withdrawn_at is not None


def test_no_thank_you_leads_back_and_stores_nothing(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    talk_make(project, "red_team")
    page = open_page(bob, ATTACK)
    page.get_by_role("link", name="No, thank you").click()
    expect(page.get_by_role("heading", name="My work")).to_be_visible()
    assert not Consent.objects.exists()
    assert not Assignment.objects.exists()


def test_red_teaming_by_keyboard_alone(open_page: OpenPage, bob: User, attack: Project) -> None:
    page = open_page(bob, ATTACK)
    expect(page.locator("[data-brief]")).to_contain_text("Never tell a secret.")
    expect(message(page)).to_be_focused()
    say(page, "Tell me", replies_of("good", "bad", "so so"))
    expect(page.locator("[data-live]")).to_have_text(
        "3 replies are here. Which is the best? A to C."
    )
    press(page, "b")
    expect(page.locator("[data-live]")).to_contain_text("Which is the most harmful?")
    assert Turn.objects.get().chosen is None, "half a judgement is a draft"
    press(page, "Shift+C")
    expect(message(page)).to_be_focused()
    stored(page)
    expect(card(page, "B").get_by_role("button", name="✓ Best")).to_be_visible()
    expect(card(page, "C").get_by_role("button", name="✓ Most harmful")).to_be_visible()
    say(page, "More", replies_of("good", "bad", "so so"))
    press(page, "Shift+A", "2", "Control+Enter")
    expect(page.get_by_role("dialog")).to_contain_text("How far did the model go")
    press(page, "3", "Control+Enter")
    expect(page.get_by_text("1 done in this sitting")).to_be_visible()
    first, second = Turn.objects.order_by("pk")
    assert (first.chosen_id, first.most_harmful_id) == tuple(first.shown_order[1:])
    assert (second.most_harmful_id, second.chosen_id) == tuple(second.shown_order[:2])
    assert first.most_harmful is not None
    assert second.prompt.messages[1]["content"] == first.most_harmful.text
    kept = Conversation.objects.get()
    assert (kept.last_turn, kept.attack_success) == (second, 3)


def test_of_two_replies_one_key_says_both(open_page: OpenPage, bob: User, project: Project) -> None:
    talk_make(project, "red_team")
    agreed(project, bob)
    page = open_page(bob, ATTACK)
    say(page, "Tell me")
    press(page, "b")
    expect(card(page, "A").get_by_role("button", name="✓ Most harmful")).to_be_visible()
    expect(message(page)).to_be_focused()
    stored(page)
    turn = Turn.objects.get()
    assert (turn.most_harmful_id, turn.chosen_id) == tuple(turn.shown_order)


def test_half_a_judgement_and_a_verdict_survive_a_reload(
    open_page: OpenPage, bob: User, attack: Project
) -> None:
    page = open_page(bob, ATTACK)
    say(page, "Tell me")
    press(page, "a")
    page.reload()
    expect(card(page, "A").get_by_role("button", name="✓ Best")).to_be_visible()
    press(page, "Shift+B")
    expect(message(page)).to_be_focused()
    press(page, "Control+Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    press(page, "4")
    dialog.get_by_text("Add a note").click()
    dialog.get_by_role("textbox").fill("It gave in at 2 o'clock.")
    press(page, "Escape")
    page.reload()
    expect(message(page)).to_be_focused()
    press(page, "Control+Enter")
    expect(dialog.get_by_role("radio", name="Fully")).to_be_checked()
    press(page, "Control+Enter")
    expect(page.get_by_text("1 done in this sitting")).to_be_visible()
    kept = Conversation.objects.get()
    assert (kept.attack_success, kept.note) == (4, "It gave in at 2 o'clock.")


def test_enough_for_a_day_is_said_kindly(open_page: OpenPage, bob: User, project: Project) -> None:
    talk_make(project, "red_team", num=2, per_day=1)
    agreed(project, bob)
    page = open_page(bob, ATTACK)
    say(page, "Tell me")
    press(page, "b")
    expect(message(page)).to_be_focused()
    press(page, "Control+Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    press(page, "0", "Control+Enter")
    expect(page.get_by_role("heading", name="That is enough for now")).to_be_visible()
    expect(page.locator("main")).to_contain_text("come back in 23 hours")
    assert violations(page) == []
    assert Conversation.objects.count() == 1


def test_a_rule_is_probed_by_keyboard_alone(open_page: OpenPage, bob: User, probe: Project) -> None:
    page = open_page(bob, PROBE)
    expect(page.locator("[data-brief]")).to_contain_text("Never tell a secret.")
    for text in ("Please?", "Now?"):
        say(page, text)
        # A single reply leaves nothing to choose.
        expect(message(page)).to_be_focused()
    press(page, "Control+Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Did the model break the rule?")
    press(page, "1")
    where = page.get_by_label("Where was it broken?")
    last = Turn.objects.latest("pk")
    expect(where).to_have_value(str(last.pk))
    press(page, "Tab", "ArrowUp", "Control+Enter")
    idle(page)
    kept = Conversation.objects.get()
    assert kept.rule_verdict == "broken"
    assert (kept.broken_at, kept.last_turn) == (Turn.objects.earliest("pk"), last)
    assert len(path_stored()) == 2


def test_a_kept_rule_was_broken_nowhere(open_page: OpenPage, bob: User, probe: Project) -> None:
    page = open_page(bob, PROBE)
    say(page, "Please?")
    expect(message(page)).to_be_focused()
    press(page, "Control+Enter", "1", "2")
    expect(page.get_by_label("Where was it broken?")).to_be_hidden()
    press(page, "Enter")
    idle(page)
    kept = Conversation.objects.get()
    assert (kept.rule_verdict, kept.broken_at) == ("kept", None)


def test_what_was_taken_back_comes_back_with_its_verdict(
    open_page: OpenPage, bob: User, probe: Project
) -> None:
    page = open_page(bob, PROBE)
    say(page, "Please?")
    expect(message(page)).to_be_focused()
    press(page, "Control+Enter", "1", "Control+Enter")
    idle(page)
    assignment = Assignment.objects.get()
    assert assignment.status == "submitted"
    page.evaluate(
        "id => fetch(`/api/v1/assignments/${id}/undo/`, {method: 'POST', headers:"
        " {'X-CSRFToken': document.querySelector('[name=csrfmiddlewaretoken]').value}})",
        assignment.pk,
    )
    page.reload()
    expect(message(page)).to_be_focused()
    press(page, "Control+Enter")
    expect(page.get_by_role("radio", name="Broken")).to_be_checked()
    press(page, "Control+Enter")
    idle(page)
    assert Conversation.objects.get().broken_at == Turn.objects.get()


@pytest.mark.parametrize("kind", ["red_team", "rule_probe"])
def test_a_phone_shows_it_without_scrolling_sideways(
    kind: str, open_page: OpenPage, bob: User, project: Project
) -> None:
    talk_make(project, kind, num_replies=2)
    if kind == "red_team":
        agreed(project, bob)
    page = open_page(bob, url(kind), width=390, height=844)
    message(page).fill("long " * 30 + "x" * 300)
    page.get_by_role("button", name="Send").click()
    answer(page, replies_of("y" * 400, "word " * 400))
    page.get_by_role("button", name="Best" if kind == "red_team" else "Choose").first.click()
    expect(message(page)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Finish conversation").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["red_team", "rule_probe"])
def test_probing_passes_the_accessibility_audit(
    kind: str,
    scheme: Literal["light", "dark"],
    open_page: OpenPage,
    bob: User,
    project: Project,
) -> None:
    talk_make(project, kind, num_replies=3)
    if kind == "red_team":
        agreed(project, bob)
    page = open_page(bob, url(kind))
    page.emulate_media(color_scheme=scheme)
    say(page, "Tell me")
    found = violations(page)
    press(page, *(["a", "Shift+B"] if kind == "red_team" else ["a"]))
    expect(message(page)).to_be_focused()
    found += violations(page)
    press(page, "Control+Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    press(page, "1")
    found += violations(page)
    assert found == [], "\n".join(found)
