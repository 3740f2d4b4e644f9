"""The pages in a real browser: by keyboard alone, by mouse, on a phone, and when things fail."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from annotation.models import (
    Assignment,
    Completion,
    Demonstration,
    Project,
    Prompt,
    Ranking,
    Thumb,
)
from tests.factories import demonstration_task_make, ranking_task_make, thumbs_task_make
from tests.frontend.conftest import OpenPage
from tests.frontend.loop_rows import LoopRows

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

RANK = "/projects/project/work/ranking/"
WRITE = "/projects/project/work/demonstration/"
RATE = "/projects/project/work/thumbs/"
# The page takes no choice for 300 ms after it shows an answer.
LOOK_MS = 350


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def submit_button(page: Page):
    return page.get_by_role("button", name=re.compile("^Submit"))


def places(page: Page) -> list[str]:
    """The order as the tray shows it: one string of letters for each place."""
    groups = page.locator("[data-drop-group]").all()
    return ["".join(group.locator(".letter").all_inner_texts()) for group in groups]


def by_letters(groups: list[str]) -> list[list[int]]:
    """What the letters stand for in Bob's one assignment."""
    shown = Assignment.objects.get().shown_order
    return [sorted(shown[ord(letter) - 65] for letter in group) for group in groups]


def stored_order() -> list[list[int]]:
    return [sorted(group) for group in Ranking.objects.get().order]


def idle(page: Page) -> None:
    expect(page.get_by_role("heading", name="Nothing to do right now")).to_be_visible()


def test_ranking_by_keyboard_alone_with_a_tie(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    ranking_task_make(project, num_completions=4)
    page = open_page(bob, RANK)
    expect(submit_button(page)).to_be_disabled()
    assert places(page) == []
    press(page, "Control+Enter")
    assert not Ranking.objects.exists(), "no order is accepted by default"
    press(page, "c", "1", "Shift+D")
    assert places(page) == ["C", "AD"]
    expect(page.locator("[data-why]")).to_have_text("Still to place: B.")
    expect(page.locator("[data-live]")).to_have_text("D is 2nd, tied with A. Still to place: B.")
    press(page, "b")
    expect(submit_button(page)).to_be_enabled()
    press(page, "Enter")
    idle(page)
    assert stored_order() == by_letters(["C", "AD", "B"])
    assert (Ranking.objects.get().assignment.seconds_spent or 0) > 0


def test_an_order_is_changed_by_keyboard(open_page: OpenPage, bob: User, project: Project) -> None:
    ranking_task_make(project, num_completions=4)
    page = open_page(bob, RANK)
    press(page, "a", "b", "c", "d", "Alt+ArrowUp")
    assert places(page) == ["A", "B", "D", "C"]
    press(page, "b", "Alt+ArrowUp")
    assert places(page) == ["B", "A", "D", "C"]
    press(page, "c", "=")
    assert places(page) == ["B", "A", "DC"]
    press(page, "Alt+ArrowUp")
    assert places(page) == ["B", "A", "C", "D"]
    press(page, "Control+z", "=", "Backspace")
    assert places(page) == ["B", "A", "D"]
    press(page, "a", "Delete")
    assert places(page) == ["B", "D"]
    press(page, "ArrowDown", "ArrowDown", "Space")
    assert places(page) == ["B", "D", "C"]
    press(page, "Tab", "Tab", "Tab")
    assert page.evaluate("document.activeElement !== document.body")


def test_nine_answers_fit_nine_keys(open_page: OpenPage, bob: User, project: Project) -> None:
    ranking_task_make(project, num_completions=9)
    page = open_page(bob, RANK)
    press(page, *"987654321", "Enter")
    idle(page)
    assert stored_order() == by_letters(list("IHGFEDCBA"))


def test_ranking_by_mouse(open_page: OpenPage, bob: User, project: Project) -> None:
    ranking_task_make(project, num_completions=4)
    page = open_page(bob, RANK)
    cards = page.locator(".card")
    cards.nth(1).locator(".prose").click()
    cards.nth(0).click()
    cards.nth(2).get_by_role("button", name="= Tie with A").click()
    assert places(page) == ["B", "AC"]
    # Drag the card D by its head onto the first place: a tie.
    target = page.locator("[data-drop-group]").first
    drag(page, cards.nth(3).locator(".card-place"), target)
    assert places(page) == ["BD", "AC"]
    page.get_by_role("button", name="Give D its own place").click()
    page.get_by_role("button", name="Move D up").click()
    assert places(page) == ["D", "B", "AC"]
    cards.nth(3).click()
    assert places(page) == ["B", "AC"]
    page.get_by_role("button", name="Undo").click()
    submit_button(page).click()
    idle(page)
    assert stored_order() == by_letters(["D", "B", "AC"])


def drag(page: Page, source, target) -> None:
    start, end = source.bounding_box(), target.bounding_box()
    page.mouse.move(start["x"] + 5, start["y"] + 5)
    page.mouse.down()
    page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=5)
    page.mouse.up()


def test_skip_with_a_reason_leads_to_the_next(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    first, second = (ranking_task_make(project) for _ in range(2))
    page = open_page(bob, RANK)
    first_answer = page.locator(".card .prose").first.inner_text()
    press(page, "s", "2", "Enter")
    expect(page.locator(".card .prose").first).not_to_have_text(first_answer)
    skipped = Assignment.objects.get(task=first)
    assert (skipped.status, skipped.skip_reason) == ("skipped", "I do not know enough to judge it")
    press(page, "s", "5")
    page.keyboard.type("Two of them are the same")
    press(page, "Enter")
    idle(page)
    assert Assignment.objects.get(task=second).skip_reason == "Two of them are the same"


def test_new_work_appears_by_itself(open_page: OpenPage, bob: User, project: Project) -> None:
    page = open_page(bob, RANK)
    idle(page)
    ranking_task_make(project)
    expect(page.locator(".card")).to_have_count(3)


def test_a_demonstration_is_written_and_its_draft_survives_a_reload(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    demonstration_task_make(project)
    page = open_page(bob, WRITE)
    expect(submit_button(page)).to_be_disabled()
    page.keyboard.type("Water it twice a week, s and ? included.")
    expect(page.get_by_text("9 words")).to_be_visible()
    expect(page.get_by_text("Draft saved")).to_be_visible()
    assert Assignment.objects.get().draft == {"text": "Water it twice a week, s and ? included."}
    page.reload()
    expect(page.get_by_label("Your answer")).to_have_value(re.compile("^Water it twice"))
    press(page, "End", "!", "Control+Enter")
    idle(page)
    assert Demonstration.objects.get().completion.text.endswith("included.!")


@pytest.fixture
def thumbs(project: Project) -> Project:
    project.kinds = ["thumbs"]
    project.save()
    return project


def test_answers_are_rated_by_keyboard_alone(
    open_page: OpenPage, bob: User, thumbs: Project
) -> None:
    tasks = [thumbs_task_make(thumbs) for _ in range(4)]
    page = open_page(bob, RATE)
    for task, key in zip(tasks, ["y", "n", "ArrowLeft", "ArrowRight"], strict=True):
        text = task.completions.get().text
        expect(page.locator("[data-answer]")).to_have_text(text)
        page.wait_for_timeout(LOOK_MS)
        press(page, "ArrowDown", "Enter", key)
    idle(page)
    rated = Thumb.objects.order_by("task")
    assert [thumb.is_up for thumb in rated] == [True, False, False, True]
    assert [thumb.task for thumb in rated] == tasks
    assert all((thumb.assignment.seconds_spent or 0) > 0 for thumb in rated)


def test_a_double_click_rates_one_answer_and_not_the_next_unseen(
    open_page: OpenPage, bob: User, thumbs: Project
) -> None:
    first, second = thumbs_task_make(thumbs), thumbs_task_make(thumbs)
    page = open_page(bob, RATE)
    page.clock.install()
    page.reload()
    # From here on the page's time stands still.
    page.clock.pause_at(timezone.now() + timedelta(hours=1))
    bad = page.get_by_role("button", name="Bad")
    bad.click()
    expect(page.locator("[data-answer]")).to_have_text(second.completions.get().text)
    expect(page.locator("[data-busy]")).to_have_count(0)
    bad.click()
    expect(bad).to_have_attribute("aria-pressed", "false")
    assert [thumb.task for thumb in Thumb.objects.all()] == [first]
    page.clock.run_for(LOOK_MS)
    bad.click()
    idle(page)
    assert [thumb.task for thumb in Thumb.objects.all()] == [first, second]


def test_an_unread_answer_can_be_skipped(open_page: OpenPage, bob: User, thumbs: Project) -> None:
    task = thumbs_task_make(thumbs)
    page = open_page(bob, RATE)
    press(page, "s", "1", "Enter")
    idle(page)
    assert Assignment.objects.get(task=task).status == "skipped"
    assert not Thumb.objects.exists()


def test_a_thumb_is_kept_while_the_server_is_away(
    open_page: OpenPage, bob: User, thumbs: Project
) -> None:
    thumbs_task_make(thumbs)
    page = open_page(bob, RATE)
    page.route("**/api/v1/**", lambda route: route.abort())
    page.wait_for_timeout(LOOK_MS)
    press(page, "n")
    expect(page.get_by_role("alert")).to_contain_text("server_unreachable")
    page.reload()
    bad = page.get_by_role("button", name="Bad")
    expect(bad).to_have_attribute("aria-pressed", "true")
    page.unroute("**/api/v1/**")
    press(page, "Enter")
    idle(page)
    assert Thumb.objects.get().is_up is False


def test_nothing_is_lost_while_the_server_is_away(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    ranking_task_make(project)
    page = open_page(bob, RANK)
    page.route("**/api/v1/**", lambda route: route.abort())
    press(page, "b", "a", "c", "Enter")
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("server_unreachable")
    expect(problem).to_contain_text("Your work is kept on this device.")
    assert places(page) == ["B", "A", "C"]
    page.reload()
    assert places(page) == ["B", "A", "C"], "the copy on this device"
    page.unroute("**/api/v1/**")
    press(page, "Enter")
    idle(page)
    assert stored_order() == by_letters(["B", "A", "C"])


def test_a_lapsed_lease_is_taken_up_again(open_page: OpenPage, bob: User, project: Project) -> None:
    ranking_task_make(project)
    page = open_page(bob, RANK)
    # Asking for the task to come renews the lease, too.
    page.wait_for_load_state("networkidle")
    press(page, "b", "a", "c")
    Assignment.objects.update(lease_expires_at=timezone.now() - timedelta(minutes=1))
    press(page, "Enter")
    expect(page.get_by_role("alert")).to_contain_text("assignment_expired")
    page.get_by_role("button", name="Take it up again").click()
    expect(page.locator("[data-busy]")).to_have_count(0)
    expect(page.get_by_role("alert")).to_be_hidden()
    assert places(page) == ["B", "A", "C"]
    press(page, "Enter")
    idle(page)
    assert Ranking.objects.count() == 1


def test_a_second_submit_from_another_tab_stores_nothing_twice(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    ranking_task_make(project)
    here, there = open_page(bob, RANK), open_page(bob, RANK)
    for page in (here, there):
        press(page, "a", "b", "c")
    press(here, "Enter")
    idle(here)
    press(there, "Enter")
    expect(there.get_by_role("alert")).to_contain_text("assignment_already_submitted")
    there.get_by_role("button", name="Go on").click()
    idle(there)
    assert Ranking.objects.count() == 1


def test_hostile_text_runs_nothing(open_page: OpenPage, bob: User, project: Project) -> None:
    hostile = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script></script>"
    ranking_task_make(project)
    Prompt.objects.update(messages=[{"role": "user", "content": hostile}])
    Completion.objects.update(text=hostile)
    page = open_page(bob, RANK)
    expect(page.locator(".card .prose").first).to_have_text(hostile)
    expect(page.locator(".chat .prose")).to_have_text(hostile)
    assert page.evaluate("window.hacked") is None


def test_a_person_logs_in_and_reaches_the_work(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    ranking_task_make(project)
    page = open_page(None, RANK)
    page.get_by_label("Username").fill("bob")
    page.get_by_label("Password").fill("correct horse")
    press(page, "Enter")
    expect(page.locator(".card")).to_have_count(3)
    press(page, "?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    press(page, "Escape")
    page.get_by_role("group").filter(has_text="bob").locator("summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_the_dashboard_follows_the_loop(
    open_page: OpenPage, alice: User, loop_rows: LoopRows
) -> None:
    run = loop_rows.policy_run
    run.round.__class__.objects.filter(number=1).update(
        status="running", finished_at=None, step="policy"
    )
    run.__class__.objects.filter(pk=run.pk).update(
        status="queued", finished_at=None, progress_done=10, progress_total=100
    )
    page = open_page(alice, "/projects/project/")
    expect(page.locator(".loop-steps .alive")).to_contain_text("10 %")
    page.locator("#live-work a").first.focus()
    run.__class__.objects.filter(pk=run.pk).update(progress_done=60)
    expect(page.locator(".loop-steps .alive")).to_contain_text("60 %")
    assert page.evaluate("document.activeElement.tagName") == "A", "the focus stays"
    page.goto(f"/projects/project/runs/{run.pk}/")
    expect(page.locator(".curve")).to_have_count(1)
