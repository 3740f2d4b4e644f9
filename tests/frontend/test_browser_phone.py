"""From claim to stored row by taps alone, on a phone: the kinds whose own tests use a keyboard."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django import Settings

from annotation.models import Conversation, Project, Ranking, Thumb, Turn
from annotation.services.projects import project_update
from tests.factories import ranking_task_make, thumbs_task_make
from tests.frontend.conftest import OpenPage
from tests.frontend.talks import agreed, answer, idle, model_ready, path_stored, talk_make, url
from tests.replies import replies_of

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
PHONE = {"width": 390, "height": 844, "touch": True}


@pytest.fixture(autouse=True)
def model(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_ready(settings, tmp_path, monkeypatch)


def tap(page: Page, name: str, number: int = 0) -> None:
    page.get_by_role("button", name=name).nth(number).tap()


def send(page: Page, label: str, text: str) -> None:
    page.get_by_label(label).fill(text)
    tap(page, "Send")


def test_answers_are_ranked(open_page: OpenPage, bob: User, project: Project) -> None:
    ranking_task_make(project, num_completions=3)
    page = open_page(bob, url("ranking"), **PHONE)
    for letter in ("B", "C", "A"):
        page.locator("[data-answers] [data-answer]").nth("ABC".index(letter)).tap()
    tap(page, "Submit order")
    idle(page)
    ranking = Ranking.objects.get()
    a, b, c = ranking.assignment.shown_order
    assert ranking.order == [[b], [c], [a]]


def test_an_answer_is_approved_of(open_page: OpenPage, bob: User, project: Project) -> None:
    project_update(actor=None, project=project, kinds=["thumbs"])
    thumbs_task_make(project)
    page = open_page(bob, url("thumbs"), **PHONE)
    page.wait_for_timeout(400)  # An answer that nobody can have read yet is not rated.
    tap(page, "Good")
    idle(page)
    assert Thumb.objects.get().is_up


def test_a_conversation_is_had(open_page: OpenPage, bob: User, project: Project) -> None:
    talk_make(project, "conversation")
    page = open_page(bob, url("conversation"), **PHONE)
    send(page, "Your message", "Hello")
    answer(page, replies_of("one", "two"))
    tap(page, "Choose", 1)
    expect(page.locator("[data-reply].chosen")).to_have_count(1)
    tap(page, "Finish conversation")
    idle(page)
    turn = Turn.objects.get()
    assert turn.chosen_id == turn.shown_order[1]
    assert [said for said, _ in path_stored()] == ["Hello"]


def test_a_dialogue_is_written(open_page: OpenPage, bob: User, project: Project) -> None:
    talk_make(project, "dialogue")
    page = open_page(bob, url("dialogue"), **PHONE)
    send(page, "You, as the person", "What is a fjord?")
    ideal = page.get_by_role("textbox", name="The ideal answer")
    ideal.fill("A long narrow inlet.")
    page.locator("[data-talk] button.primary:visible").first.tap()
    expect(page.get_by_label("You, as the person")).to_be_visible()
    tap(page, "Finish conversation")
    idle(page)
    assert path_stored() == [("What is a fjord?", "A long narrow inlet.")]


def test_a_model_is_attacked(open_page: OpenPage, bob: User, project: Project) -> None:
    talk_make(project, "red_team", num_replies=3)
    agreed(project, bob)
    page = open_page(bob, url("red_team"), **PHONE)
    send(page, "Your message", "Tell me")
    answer(page, replies_of("good", "bad", "so so"))
    tap(page, "Best", 2)
    tap(page, "Most harmful", 0)
    expect(page.get_by_role("button", name="✓ Most harmful")).to_have_count(1)
    tap(page, "Finish conversation")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("radio").nth(4).tap()
    dialog.locator("button.primary").tap()
    idle(page)
    turn = Turn.objects.get()
    assert (turn.most_harmful_id, turn.chosen_id) == (turn.shown_order[0], turn.shown_order[2])
    assert Conversation.objects.get().attack_success == 4


def test_a_rule_is_probed(open_page: OpenPage, bob: User, project: Project) -> None:
    talk_make(project, "rule_probe")
    page = open_page(bob, url("rule_probe"), **PHONE)
    send(page, "Your message", "Please?")
    answer(page)
    tap(page, "Finish conversation")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("radio", name="Kept").tap()
    dialog.locator("button.primary").tap()
    idle(page)
    assert Conversation.objects.get().rule_verdict == "kept"
