"""Rating in a real browser: each answer alone, then the order; and "all are bad" of a ranking."""

import re
from typing import Literal

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from annotation.models import Assignment, Completion, CompletionRating, Project, Ranking
from annotation.services.flag_schemas import flag_schema_publish
from tests.factories import answers_task_make
from tests.frontend.conftest import OpenPage, violations

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

RATE = "/projects/project/work/rating/"
RANK = "/projects/project/work/ranking/"


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def submit_button(page: Page):
    return page.get_by_role("button", name=re.compile("^Submit"))


def idle(page: Page) -> None:
    expect(page.get_by_role("heading", name="Nothing to do right now")).to_be_visible()


def raised(page: Page) -> list[str | None]:
    """The flags that are raised of the answer in view."""
    flags = page.locator('[data-question][aria-pressed="true"]').all()
    return [flag.get_attribute("data-question") for flag in flags]


@pytest.fixture
def ratings(project: Project) -> Project:
    project.kinds = ["rating", "ranking"]
    project.save()
    return project


def test_answers_are_rated_alone_and_then_put_in_order_by_keyboard(
    open_page: OpenPage, bob: User, ratings: Project
) -> None:
    answers_task_make(ratings, "rating", num_completions=3)
    page = open_page(bob, RATE)
    shown = Assignment.objects.get().shown_order
    texts = dict(Completion.objects.values_list("pk", "text"))
    for number, (pk, keys) in enumerate(zip(shown, (["6"], ["c", "2"], ["7"]), strict=True)):
        alone = page.locator("[data-alone-text]")
        expect(alone).to_have_text(texts[pk])
        others = [texts[other] for other in shown if other != pk]
        body = page.locator("[data-judging]").inner_text()
        assert not any(other in body for other in others), "each answer alone"
        press(page, "Enter")
        expect(page.locator("[data-live]")).to_have_text("Give it a number from 1 to 7.")
        press(page, *keys, "ArrowRight" if number else "Enter")
    expect(page.locator(".card")).to_have_count(3)
    expect(page.locator(".card-note")).to_have_text(["6 of 7", "2 of 7 · 1 flag", "7 of 7"])
    expect(submit_button(page)).to_be_disabled()
    press(page, "c", "a", "b", "x", "Enter")
    idle(page)
    a, b, c = shown
    ranking = Ranking.objects.get()
    assert (ranking.order, ranking.all_bad) == ([[c], [a], [b]], True)
    rows = CompletionRating.objects.values_list("completion", "overall", "flags")
    # C is the third question: hallucination.
    assert list(rows) == [(a, 6, []), (b, 2, ["hallucination"]), (c, 7, [])]
    assert (ranking.assignment.seconds_spent or 0) > 0


def test_one_goes_back_to_change_a_rating(open_page: OpenPage, bob: User, ratings: Project) -> None:
    answers_task_make(ratings, "rating", num_completions=2)
    page = open_page(bob, RATE)
    press(page, "d", "d", "5", "Enter", "3", "Enter")
    # Nothing is placed yet, so taking back leads to the answer before.
    press(page, "b", "Backspace", "Backspace")
    expect(page.get_by_role("heading", name="Answer B")).to_be_visible()
    press(page, "4", "ArrowLeft")
    assert raised(page) == []
    expect(page.get_by_role("radio", name="5")).to_have_attribute("aria-checked", "true")
    page.get_by_role("radio", name="5").focus()
    press(page, "ArrowRight", "Enter", "Enter", "1", "Shift+2", "Enter")
    idle(page)
    numbers = CompletionRating.objects.order_by("pk").values_list("overall", flat=True)
    assert list(numbers) == [6, 4]
    assert len(Ranking.objects.get().order) == 1, "a tie"


def test_a_draft_restores_the_place_and_the_values(
    open_page: OpenPage, bob: User, ratings: Project
) -> None:
    answers_task_make(ratings, "rating", num_completions=2)
    page = open_page(bob, RATE)
    press(page, "a", "5", "Enter", "b")
    expect(page.get_by_text("Draft saved")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Answer B")).to_be_visible()
    assert raised(page) == ["inappropriate"]
    press(page, "ArrowLeft")
    assert raised(page) == ["fails_instruction"]
    press(page, "Enter", "1", "Enter", "b")
    expect(page.get_by_text("Draft saved")).to_be_visible()
    page.reload()
    expect(page.locator("[data-why]")).to_have_text("Still to place: A.")
    press(page, "a", "Enter")
    idle(page)
    a, b = Assignment.objects.get().shown_order
    assert Ranking.objects.get().order == [[b], [a]]


def test_a_rating_by_tap_on_a_phone(open_page: OpenPage, bob: User, ratings: Project) -> None:
    answers_task_make(ratings, "rating", num_completions=2)
    Completion.objects.update(text="long " * 400 + "x" * 400)
    page = open_page(bob, RATE, width=390, height=844, touch=True)
    for number in ("3", "5"):
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_role("radio", name=number).tap()
        page.get_by_role("button", name=re.compile("state an opinion")).tap()
        page.get_by_role("button", name=re.compile("^(Next answer|Go on to the order)")).tap()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="All are bad").tap()
    for card in (1, 0):
        page.locator(".card-head .letter").nth(card).tap()
    submit_button(page).tap()
    idle(page)
    a, b = Assignment.objects.get().shown_order
    ranking = Ranking.objects.get()
    assert (ranking.order, ranking.all_bad) == ([[b], [a]], True)
    rows = ranking.ratings.values_list("completion", "overall", "flags")
    assert list(rows) == [(a, 3, ["opinion"]), (b, 5, ["opinion"])]


def test_flags_that_changed_meanwhile_are_taken_as_they_were(
    open_page: OpenPage, bob: User, ratings: Project
) -> None:
    answers_task_make(ratings, "rating", num_completions=2)
    page = open_page(bob, RATE)
    # K is the ninth of the letters that are free.
    press(page, "k", "5", "Enter", "4", "Enter", "1", "2")
    expect(page.get_by_text("Draft saved")).to_be_visible()
    page.wait_for_load_state("networkidle")
    flag_schema_publish(
        project=ratings, actor=None, flags=[{"name": "rude", "question": "Is <b>it</b> rude?"}]
    )
    press(page, "Enter")
    idle(page)
    answers_task_make(ratings, "rating", num_completions=2)
    page.reload()
    expect(page.locator("[data-question]")).to_have_text(re.compile("^Is <b>it</b> rude"))
    press(page, "a", "5", "Enter", "4", "Enter", "1", "2", "Enter")
    idle(page)
    rows = CompletionRating.objects.order_by("pk").values_list("schema__version", "flags")
    assert [row for row in rows if row[1]] == [(1, ["harmful_advice"]), (2, ["rude"])]


def test_a_ranking_says_that_all_are_bad_and_takes_it_back(
    open_page: OpenPage, bob: User, ratings: Project
) -> None:
    ratings.options = {"ranking": {"all_bad": True}}
    ratings.save()
    for _ in range(2):
        answers_task_make(ratings, "ranking", num_completions=2)
    page = open_page(bob, RANK)
    button = page.get_by_role("button", name="All are bad")
    press(page, "x")
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("Draft saved")).to_be_visible()
    page.reload()
    expect(button).to_have_attribute("aria-pressed", "true")
    press(page, "a", "b", "Enter")
    expect(page.locator("[data-why]")).to_have_text("Still to place: A and B.")
    expect(button).to_have_attribute("aria-pressed", "false")
    press(page, "x", "a", "b", "x", "Enter")
    idle(page)
    assert [row.all_bad for row in Ranking.objects.order_by("pk")] == [True, False]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_both_steps_pass_the_accessibility_audit(
    scheme: Literal["light", "dark"], width: int, open_page: OpenPage, bob: User, ratings: Project
) -> None:
    answers_task_make(ratings, "rating", num_completions=2)
    page = open_page(bob, RATE, width=width, height=844)
    page.emulate_media(color_scheme=scheme)
    page.reload()
    press(page, "a", "5")
    assert violations(page) == []
    press(page, "Enter", "4", "Enter", "1", "x")
    expect(page.locator(".card")).to_have_count(2)
    assert violations(page) == []
