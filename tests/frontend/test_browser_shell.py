"""What every kind's page shares: views, undo, reports, guidelines, and the next task waiting."""

import re

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, Request, expect

from annotation.models import Assignment, Completion, Project, Ranking, Report, Task
from annotation.services.assignments import judgements_freeze
from annotation.services.projects import project_update
from tests.factories import answers_task_make, demonstration_task_make, ranking_task_make
from tests.frontend.conftest import OpenPage, violations

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

RANK = "/projects/project/work/ranking/"
WRITE = "/projects/project/work/demonstration/"


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def answers(page: Page) -> list[str]:
    return page.locator(".card .rich").all_inner_texts()


def shows(page: Page, task: Task) -> None:
    """The page has settled on this task."""
    text = task.completions.order_by("pk")[0].text
    expect(page.locator("[data-answers]")).to_contain_text(text)
    expect(page.locator("[data-busy]")).to_have_count(0)


def quiet(page: Page) -> None:
    """Nothing has gone over the network for half a second."""
    seen = -1
    while seen != (seen := page.evaluate("performance.getEntriesByType('resource').length")):
        page.wait_for_timeout(500)


def statuses() -> list[str]:
    return list(Assignment.objects.order_by("task").values_list("status", flat=True))


@pytest.fixture
def tasks(project: Project) -> list[Task]:
    return [ranking_task_make(project) for _ in range(3)]


@pytest.fixture
def page(open_page: OpenPage, bob: User, tasks: list[Task]) -> Page:
    page = open_page(bob, RANK)
    quiet(page)
    return page


def test_the_next_task_waits_and_is_shown_without_asking(page: Page, tasks: list[Task]) -> None:
    assert statuses() == ["active", "active"]
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    press(page, "1", "2", "3", "Enter")
    shows(page, tasks[1])
    quiet(page)
    paths = [re.sub(r"\d+", "N", request.url.split("/api/v1/")[1]) for request in asked]
    # The renewal and the reservation of the third come after the second is in view.
    assert paths[0] == "assignments/N/submit/"
    assert sorted(paths[1:]) == ["assignments/N/renew/", "projects/project/assignments/claim/"]
    assert statuses() == ["submitted", "active", "active"]
    expect(page.locator("[data-done]")).to_contain_text("1 done in this sitting")
    expect(page.locator("[data-done]")).to_contain_text("1 today")


def test_a_reserved_task_that_is_gone_is_replaced_without_a_word(
    page: Page, tasks: list[Task]
) -> None:
    Assignment.objects.filter(task=tasks[1]).delete()
    Task.objects.filter(pk=tasks[1].pk).update(status="closed", claims=0)
    press(page, "1", "2", "3", "Enter")
    shows(page, tasks[2])
    expect(page.get_by_role("alert")).to_be_hidden()


def test_the_last_submit_is_taken_back_with_its_order(page: Page, tasks: list[Task]) -> None:
    press(page, "2", "3", "1", "Enter")
    shows(page, tasks[1])
    expect(page.get_by_role("button", name="Undo the last submit")).to_contain_text(
        re.compile(r"\d+:\d\d|\d h")
    )
    press(page, "1")
    press(page, "u")
    shows(page, tasks[0])
    expect(page.locator("[data-tray] .letter")).to_have_text(["B", "C", "A"])
    expect(page.locator("[data-notice]")).to_contain_text("Taken back")
    assert not Ranking.objects.exists()
    # What was begun waits, with what was done in it.
    press(page, "Enter")
    shows(page, tasks[1])
    expect(page.locator("[data-tray] .letter")).to_have_text(["A"])
    assert Ranking.objects.count() == 1


def test_the_last_one_of_all_is_taken_back_too_even_after_a_reload(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    ranking_task_make(project)
    page = open_page(bob, RANK)
    press(page, "1", "2", "3", "Enter")
    expect(page.get_by_role("heading", name="Nothing to do right now")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Undo the last submit")).to_be_visible()
    press(page, "Control+z")
    expect(page.locator("[data-state=judging]")).to_be_visible()
    expect(page.locator("[data-tray] .letter")).to_have_text(["A", "B", "C"])
    assert not Ranking.objects.exists()


def test_what_training_holds_is_not_taken_back(
    page: Page, tasks: list[Task], project: Project
) -> None:
    press(page, "1", "2", "3", "Enter")
    shows(page, tasks[1])
    quiet(page)
    judgements_freeze(project=project)
    press(page, "u")
    expect(page.get_by_role("alert")).to_contain_text("A training round holds that judgement")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.get_by_role("button", name="Undo the last submit")).to_be_hidden()
    assert Ranking.objects.count() == 1


def test_content_is_flagged_and_a_problem_reported_by_keyboard(page: Page) -> None:
    press(page, "f")
    page.keyboard.type("It threatens a person")
    press(page, "Control+Enter")
    expect(page.locator("[data-notice]")).to_contain_text("Sent.")
    page.keyboard.type("!")
    page.keyboard.type("Two answers are the same")
    assert violations(page) == []
    page.get_by_role("button", name="Send").click()
    expect(page.locator("[data-notice]")).to_contain_text("Sent.")
    found = Report.objects.order_by("pk").values_list("kind", "text")
    assert list(found) == [
        ("content", "It threatens a person"),
        ("problem", "Two answers are the same"),
    ]


def test_guidelines_are_one_key_away_and_tell_of_a_newer_version(
    open_page: OpenPage, bob: User, alice: User, project: Project, tasks: list[Task]
) -> None:
    project_update(project=project, actor=alice, guidelines="Be **kind**.")
    page = open_page(bob, RANK)
    press(page, "g")
    dialog = page.get_by_role("dialog", name="Guidelines")
    expect(dialog.locator("strong")).to_have_text("kind")
    expect(dialog).to_contain_text("Version 1")
    expect(dialog.locator("[data-newer]")).to_be_hidden()
    press(page, "Escape")
    quiet(page)
    project.refresh_from_db()
    project_update(project=project, actor=alice, guidelines="Be kind and short.")
    page.reload()
    expect(page.get_by_role("button", name="Guidelines")).to_contain_text("new version")
    press(page, "g")
    expect(dialog).to_contain_text("Version 2 has been published since you took this task.")
    expect(dialog.locator("strong")).to_have_text("kind")
    assert violations(page) == []
    dialog.get_by_role("button", name="Read the new version").click()
    expect(dialog).to_contain_text("Be kind and short.")


def test_a_version_published_while_the_page_is_open_is_marked_until_it_was_read(
    open_page: OpenPage, bob: User, alice: User, project: Project, tasks: list[Task]
) -> None:
    project_update(project=project, actor=alice, guidelines="Be kind.")
    page = open_page(bob, RANK)
    quiet(page)
    button = page.get_by_role("button", name="Guidelines")
    dialog = page.get_by_role("dialog", name="Guidelines")
    mark = button.get_by_text("new version")
    expect(mark).to_be_hidden()  # whatever there is on the first visit is no news
    project.refresh_from_db()
    project_update(project=project, actor=alice, guidelines="Be kind and short.")
    # The second task was reserved before, the third is reserved after.
    press(page, "1", "2", "3", "Enter")
    shows(page, tasks[1])
    expect(mark).to_be_visible()
    press(page, "g")
    expect(dialog).to_contain_text("Version 2 has been published since you took this task.")
    press(page, "Escape")
    expect(mark).to_be_visible()
    press(page, "1", "2", "3", "Enter")
    shows(page, tasks[2])
    expect(mark).to_be_visible()
    press(page, "g")
    expect(dialog).to_contain_text("Be kind and short.")
    press(page, "Escape")
    expect(mark).to_be_hidden()
    page.reload()
    shows(page, tasks[2])
    expect(mark).to_be_hidden()


def test_differences_between_answers_are_shown_and_hidden(
    open_page: OpenPage, bob: User, tasks: list[Task]
) -> None:
    texts = ["Water it twice a week.", "Water it once a week.", "Never water it."]
    completions = Completion.objects.filter(tasks=tasks[0]).order_by("pk")
    for completion, text in zip(completions, texts, strict=True):
        Completion.objects.filter(pk=completion.pk).update(text=text)
    page = open_page(bob, RANK)
    before = answers(page)
    # The answer in focus is what the others are compared with.
    page.locator(".card", has_text="twice").locator("[data-answer]").focus()
    press(page, "v")
    other = page.locator(".card", has_text="once").locator(".rich")
    expect(other.locator("del")).to_have_text("twice")
    expect(other.locator("ins")).to_have_text("once")
    assert violations(page) == []
    press(page, "v")
    expect(page.locator(".card :is(ins, del)")).to_have_count(0)
    assert answers(page) == before


def test_answers_stand_side_by_side_or_stacked_and_the_page_remembers(page: Page) -> None:
    def lefts() -> int:
        boxes = [card.bounding_box() for card in page.locator(".card").all()]
        return len({box["x"] for box in boxes if box})

    assert lefts() > 1
    press(page, "l")
    assert lefts() == 1
    page.reload()
    assert lefts() == 1
    press(page, "l")
    assert lefts() > 1


def test_the_prompt_stays_in_view_and_can_be_folded(
    open_page: OpenPage, bob: User, tasks: list[Task]
) -> None:
    Completion.objects.update(text="line\n" * 200)
    page = open_page(bob, RANK)
    page.mouse.wheel(0, 2_000)
    prompt = page.locator(".pinned")
    expect(prompt).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="Fold the prompt").click()
    page.reload()
    expect(page.get_by_role("button", name="Show the prompt")).to_be_visible()


def test_keys_write_in_a_text_field_and_escape_leaves_it(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    demonstration_task_make(project)
    page = open_page(bob, WRITE)
    page.keyboard.type("gr!lfus")
    expect(page.get_by_label("Your answer")).to_have_value("gr!lfus")
    expect(page.locator("dialog[open]")).to_have_count(0)
    press(page, "Escape", "g")
    expect(page.get_by_role("dialog", name="Guidelines")).to_be_visible()


@pytest.mark.parametrize("path", [WRITE, "/projects/project/work/comparison/"])
@pytest.mark.parametrize("sign", [{"isComposing": True}, {"keyCode": 229}], ids=["told", "Safari"])
def test_escape_that_drops_a_composed_word_stays_in_the_field(
    open_page: OpenPage, bob: User, project: Project, path: str, sign: dict[str, object]
) -> None:
    Project.objects.update(kinds=["demonstration", "comparison"])
    demonstration_task_make(project)
    answers_task_make(project, "comparison", num_completions=2)
    page = open_page(bob, path)
    field = page.locator("[data-judging] textarea:visible")
    field.focus()
    field.dispatch_event("keydown", {"key": "Escape", **sign})
    expect(field).to_be_focused()
    press(page, "Escape")
    expect(field).not_to_be_focused()


def test_the_tools_fit_a_phone(open_page: OpenPage, bob: User, tasks: list[Task]) -> None:
    page = open_page(bob, RANK, width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Raw text").click()
    expect(page.get_by_role("button", name="Raw text")).to_have_attribute("aria-pressed", "true")
    assert violations(page) == []


def test_light_and_dark_are_chosen_in_the_menu_and_remembered(page: Page) -> None:
    light, dark = "rgb(247, 245, 239)", "rgb(16, 23, 25)"
    body = page.locator("body")
    expect(body).to_have_css("background-color", light)
    page.locator(".menu summary").click()
    page.get_by_role("button", name="Dark").click()
    expect(body).to_have_css("background-color", dark)
    page.reload()
    expect(body).to_have_css("background-color", dark)
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    page.locator(".menu summary").click()
    page.get_by_role("button", name="Light").click()
    expect(body).to_have_css("background-color", light)
    page.get_by_role("button", name="As the system").click()
    expect(body).to_have_css("background-color", dark)


def test_a_page_comes_compressed(page: Page) -> None:
    answer = page.goto(RANK)
    assert answer is not None
    assert answer.all_headers()["content-encoding"] == "gzip"
