"""The comparison page in a real browser: by keyboard alone, on a phone, restored, audited."""

import re
from typing import Any, Literal

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from annotation.models import Assignment, Completion, Project, Ranking
from tests.factories import answers_task_make
from tests.frontend.conftest import OpenPage, violations

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

COMPARE = "/projects/project/work/comparison/"
DIMENSIONS = ["helpful", "honest", "harmless"]


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def submit_button(page: Page):
    return page.get_by_role("button", name=re.compile("^Submit"))


def idle(page: Page) -> None:
    expect(page.get_by_role("heading", name="Nothing to do right now")).to_be_visible()


def checked(page: Page) -> list[str]:
    """What is chosen, row by row."""
    return [
        radio.inner_text() for radio in page.locator('[role="radio"][aria-checked="true"]').all()
    ]


@pytest.fixture
def comparisons(project: Project) -> Project:
    return asking(project)


def asking(project: Project, **options: Any) -> Project:
    project.kinds = ["comparison"]
    project.options = {"comparison": options}
    project.save()
    return project


def stored() -> tuple[list[list[int]], int | None, int | None]:
    ranking = Ranking.objects.get()
    return ranking.order, ranking.strength, ranking.levels


def test_one_key_and_enter_are_a_whole_comparison(
    open_page: OpenPage, bob: User, comparisons: Project
) -> None:
    for _ in range(2):
        answers_task_make(comparisons, "comparison", num_completions=2)
    page = open_page(bob, COMPARE)
    expect(submit_button(page)).to_be_disabled()
    press(page, "Enter")
    expect(page.locator("[data-live]")).to_have_text("Choose on the scale first.")
    assert not Ranking.objects.exists(), "nothing is chosen by default"
    # Of 8 places the second: A by 3 of 4 steps.
    press(page, "2")
    expect(page.get_by_role("radio", name="A is better")).to_have_attribute("aria-checked", "true")
    expect(page.locator("[data-live]")).to_have_text("A is better. Press Enter or the button.")
    first = page.locator("[data-answer]").first.get_attribute("data-answer")
    press(page, "Enter")
    expect(page.locator("[data-answer]").first).not_to_have_attribute("data-answer", first or "")
    assert checked(page) == []
    a, b = Assignment.objects.get(status="submitted").shown_order
    assert stored() == ([[a], [b]], 3, 8)
    assert (Ranking.objects.get().assignment.seconds_spent or 0) > 0
    press(page, "7", "Enter")
    idle(page)
    a, b = Assignment.objects.order_by("pk")[1].shown_order
    assert Ranking.objects.order_by("pk")[1].order == [[b], [a]]


def test_every_dimension_is_judged_by_keyboard_alone(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    asking(project, levels=5, dimensions=DIMENSIONS, reason="required")
    answers_task_make(project, "comparison", num_completions=2)
    page = open_page(bob, COMPARE)
    # Each number goes on to the next row: overall, helpful, honest.
    press(page, "5", "1", "3")
    expect(page.get_by_role("radiogroup", name="harmless")).to_have_class(re.compile("current"))
    expect(page.locator("[data-why]")).to_have_text("B is much better. Still to choose: harmless.")
    press(page, "4", "ArrowUp", "ArrowUp", "ArrowRight", "b")
    expect(page.locator("[data-why]")).to_contain_text("Say why")
    press(page, "w")
    page.keyboard.type("B is true, 9 of 10; text keys are only text: tbs?")
    press(page, "Escape", "Enter")
    idle(page)
    a, b = Assignment.objects.get().shown_order
    ranking = Ranking.objects.get()
    assert stored() == ([[b], [a]], 2, 5)
    assert (ranking.all_bad, ranking.reason[:9]) == (True, "B is true")
    parts = ranking.dimensions.values_list("name", "preferred", "strength")
    # Helpful went one step right, from 1 to 2 of 5.
    assert list(parts) == [("helpful", a, 1), ("honest", None, None), ("harmless", b, 1)]


def test_both_bad_and_a_tie_are_said_apart(
    open_page: OpenPage, bob: User, comparisons: Project
) -> None:
    for _ in range(3):
        answers_task_make(comparisons, "comparison", num_completions=2)
    page = open_page(bob, COMPARE)
    for number, keys in enumerate((["t"], ["b"], ["b", "1"]), start=1):
        expect(submit_button(page)).to_be_disabled()
        press(page, *keys, "Enter")
        expect(page.locator("[data-done]")).to_have_text(re.compile(f"^{number} "))
    idle(page)
    said = [(row.all_bad, len(row.order)) for row in Ranking.objects.order_by("pk")]
    assert said == [(False, 1), (True, 1), (True, 2)]


def test_a_comparison_by_tap_on_a_phone(open_page: OpenPage, bob: User, project: Project) -> None:
    asking(project, levels=9, dimensions=["honest"])
    answers_task_make(project, "comparison", num_completions=2)
    Completion.objects.update(text="long " * 400 + "x" * 400)
    page = open_page(bob, COMPARE, width=390, height=844, touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for place in page.get_by_role("radio").all():
        box = place.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24, "WCAG 2.2, target size"
    rows = page.get_by_role("radiogroup")
    rows.nth(0).get_by_role("radio").nth(0).tap()
    rows.nth(1).get_by_role("radio").nth(4).tap()
    page.get_by_role("button", name="Both are bad").tap()
    page.get_by_label("Why?").fill("Short of facts.")
    submit_button(page).tap()
    idle(page)
    a, b = Assignment.objects.get().shown_order
    ranking = Ranking.objects.get()
    assert stored() == ([[a], [b]], 4, 9)
    assert (ranking.all_bad, ranking.reason) == (True, "Short of facts.")
    assert ranking.dimensions.get().preferred is None


def test_a_draft_is_restored_after_a_reload(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    asking(project, dimensions=["honest"])
    answers_task_make(project, "comparison", num_completions=2)
    page = open_page(bob, COMPARE)
    press(page, "2", "t", "w")
    page.keyboard.type("Kinder.")
    expect(page.get_by_text("Draft saved")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Why?")).to_have_value("Kinder.")
    assert [sign.split()[0] for sign in checked(page)] == ["2", "Tie"]
    press(page, "Enter")
    idle(page)
    assert (stored()[1], Ranking.objects.get().reason) == (3, "Kinder.")


def test_a_scale_that_changed_meanwhile_is_never_taken_for_the_other(
    open_page: OpenPage, bob: User, comparisons: Project
) -> None:
    answers_task_make(comparisons, "comparison", num_completions=2)
    page = open_page(bob, COMPARE)
    press(page, "2", "w")
    page.keyboard.type("Kinder.")
    expect(page.get_by_text("Draft saved")).to_be_visible()
    page.wait_for_load_state("networkidle")
    asking(comparisons, levels=5)
    press(page, "Escape", "Enter")
    expect(page.get_by_role("alert")).to_contain_text("comparison_scale_changed")
    expect(page.get_by_role("alert")).to_contain_text("Reload the page")
    assert not Ranking.objects.exists()
    page.reload()
    expect(page.get_by_role("radio")).to_have_count(5)
    expect(page.get_by_label("Why?")).to_have_value("Kinder.")
    assert checked(page) == []
    press(page, "2", "Enter")
    idle(page)
    assert stored()[1:] == (1, 5)


def test_what_the_project_does_not_ask_is_not_there(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    asking(project, levels=2, tie=False, both_bad=False, reason="off")
    answers_task_make(project, "comparison", num_completions=2)
    page = open_page(bob, COMPARE)
    expect(page.get_by_role("radio")).to_have_count(2)
    expect(page.get_by_role("button", name="Both are bad")).to_be_hidden()
    expect(page.get_by_label("Why?")).to_be_hidden()
    press(page, "t", "b", "w", "3", "Enter")
    assert checked(page) == []
    press(page, "Tab", "Tab")
    assert page.evaluate("document.activeElement !== document.body")
    press(page, "2", "Enter")
    idle(page)
    assert stored()[1:] == (1, 2)


def test_hostile_texts_and_names_run_nothing_and_break_nothing(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    hostile = "<img src=x onerror='window.hacked=1'>"
    asking(project, dimensions=[hostile, "\u202eright to left", "w" * 60])
    answers_task_make(project, "comparison", num_completions=2)
    Completion.objects.update(
        text=(hostile + "\u202e\u0645\u0631\u062d\u0628\u0627 \U0001f600") * 600
    )
    page = open_page(bob, COMPARE, width=390, height=844)
    expect(page.get_by_role("radiogroup", name=hostile)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    press(page, "1", "1", "1", "1", "w")
    page.keyboard.type(hostile)
    press(page, "Escape", "Enter")
    idle(page)
    ranking = Ranking.objects.get()
    assert ranking.reason == hostile
    assert ranking.dimensions.first().name == hostile
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_passes_the_accessibility_audit(
    scheme: Literal["light", "dark"], width: int, open_page: OpenPage, bob: User, project: Project
) -> None:
    asking(project, dimensions=DIMENSIONS)
    answers_task_make(project, "comparison", num_completions=2)
    page = open_page(bob, COMPARE, width=width, height=844)
    page.emulate_media(color_scheme=scheme)
    page.reload()
    assert violations(page) == []
    press(page, "1", "2", "t", "b")
    assert violations(page) == []
