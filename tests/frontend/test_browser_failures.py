"""When things fail: nothing is lost, nothing is doubled, and a sentence says what happened."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from annotation.models import Assignment, Demonstration, Project, Ranking, Report, Task
from annotation.services.assignments import assignment_submit, judgements_freeze
from annotation.services.leases import assignments_withdraw
from tests.factories import demonstration_task_make, ranking_task_make
from tests.frontend.conftest import OpenPage, session_cookie

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

RANK = "/projects/project/work/ranking/"
WRITE = "/projects/project/work/demonstration/"
SUBMIT = "**/api/v1/assignments/*/submit/"
CLAIM = "**/assignments/claim/"


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def placed(page: Page, *letters: str) -> None:
    expect(page.locator("[data-tray] .letter")).to_have_text(letters)


def kept(page: Page) -> None:
    """The server holds the draft: what another tab finds does not hang on the browser's pace."""
    expect(page.get_by_text("Draft saved")).to_be_visible()


def shows(page: Page, task: Task) -> None:
    text = task.completions.order_by("pk")[0].text
    expect(page.locator("[data-answers]")).to_contain_text(text)
    expect(page.locator("[data-busy]")).to_have_count(0)


def idle(page: Page) -> None:
    expect(page.get_by_role("heading", name="Nothing to do right now")).to_be_visible()


def lose(route: Route) -> None:
    """The server does what it is asked, and its answer never arrives."""
    route.fetch()
    route.abort()


def texts() -> list[str]:
    return list(Demonstration.objects.order_by("pk").values_list("completion__text", flat=True))


@pytest.fixture
def first_sent(open_page: OpenPage, bob: User, project: Project) -> Page:
    """The first words are stored, unknown to the page, and the person has written on since."""
    demonstration_task_make(project)
    page = open_page(bob, WRITE)
    page.wait_for_load_state("networkidle")
    page.keyboard.type("First")
    page.route(SUBMIT, lose, times=1)
    press(page, "Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("server_unreachable")
    page.keyboard.type(" and a second thought")
    expect(page.get_by_role("alert")).to_be_hidden()
    assert texts() == ["First"]
    return page


@pytest.fixture
def tasks(project: Project) -> list[Task]:
    return [ranking_task_make(project) for _ in range(3)]


def test_an_answer_lost_on_the_way_back_is_stored_once(
    open_page: OpenPage, bob: User, tasks: list[Task]
) -> None:
    page = open_page(bob, RANK)
    page.route(SUBMIT, lose, times=1)
    press(page, "1", "2", "3", "Enter")
    expect(page.get_by_role("alert")).to_contain_text("server_unreachable")
    expect(page.get_by_role("alert")).to_contain_text("tries again by itself")
    shows(page, tasks[1])
    expect(page.get_by_role("alert")).to_be_hidden()
    assert Ranking.objects.count() == 1


def test_what_was_written_after_a_lost_answer_takes_the_place_of_what_was_stored(
    first_sent: Page,
) -> None:
    press(first_sent, "Control+Enter")
    idle(first_sent)
    assert texts() == ["First and a second thought"]


def test_two_lost_answers_leave_what_was_said_last(first_sent: Page) -> None:
    # The second one never reaches the server, so the third must not be taken for stored.
    first_sent.route(SUBMIT, lambda route: route.abort(), times=1)
    press(first_sent, "Control+Enter")
    expect(first_sent.get_by_role("alert")).to_contain_text("server_unreachable")
    idle(first_sent)
    assert texts() == ["First and a second thought"]


def test_what_can_take_no_place_any_more_is_the_persons_to_copy(
    first_sent: Page, project: Project
) -> None:
    first_sent.context.grant_permissions(["clipboard-read", "clipboard-write"])
    judgements_freeze(project=project)
    press(first_sent, "Control+Enter")
    alert = first_sent.get_by_role("alert")
    expect(alert).to_contain_text("A training round holds that judgement already")
    expect(alert).to_contain_text("What you sent first is stored")
    alert.get_by_role("button", name="Copy my text").click()
    copied = first_sent.evaluate("navigator.clipboard.readText()")
    assert copied == "First and a second thought"
    alert.get_by_role("button", name="Go on").click()
    idle(first_sent)
    assert texts() == ["First"]


def test_a_server_that_restarts_is_asked_again_with_growing_pauses(
    open_page: OpenPage, bob: User, tasks: list[Task]
) -> None:
    page = open_page(bob, RANK)
    page.route(SUBMIT, lambda route: route.fulfill(status=503, body="starting"), times=2)
    press(page, "3", "2", "1", "Enter")
    expect(page.get_by_role("alert")).to_contain_text("again by itself in 2 seconds")
    expect(page.get_by_role("alert")).to_contain_text("in 4 seconds")
    shows(page, tasks[1])
    order = Ranking.objects.get().order
    shown = Assignment.objects.get(task=tasks[0]).shown_order
    assert order == [[pk] for pk in reversed(shown)]


def test_after_an_expired_session_the_person_logs_in_elsewhere_and_goes_on(
    open_page: OpenPage, bob: User, project: Project, live_server
) -> None:
    demonstration_task_make(project)
    page = open_page(bob, WRITE)
    page.keyboard.type("Words that must not be lost")
    # An answer to the old session takes the cookie away, so none may be on its way any more.
    kept(page)
    page.wait_for_load_state("networkidle")
    Session.objects.all().delete()
    press(page, "Control+Enter")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Log in again in another tab")
    expect(alert.get_by_role("button", name="Log in")).to_be_visible()
    page.context.add_cookies([session_cookie(bob, live_server.url)])
    alert.get_by_role("button", name="Try again").click()
    idle(page)
    assert Demonstration.objects.get().completion.text == "Words that must not be lost"


def test_a_session_that_ends_after_the_submit_offers_the_login_as_well(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    demonstration_task_make(project)
    page = open_page(bob, WRITE)
    page.keyboard.type("Handed in already")
    page.wait_for_load_state("networkidle")
    refusal = {"code": "not_authenticated", "message": "You are not logged in.", "extra": {}}
    page.route(CLAIM, lambda route: route.fulfill(status=401, json=refusal), times=1)
    press(page, "Control+Enter")
    alert = page.get_by_role("alert")
    expect(alert.get_by_role("button", name="Log in")).to_be_visible()
    alert.get_by_role("button", name="Try again").click()
    idle(page)
    assert Demonstration.objects.get().completion.text == "Handed in already"


def test_a_page_whose_next_task_did_not_come_takes_no_more_words(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    demonstration_task_make(project)
    page = open_page(bob, WRITE)
    page.wait_for_load_state("networkidle")
    page.keyboard.type("First")
    kept(page)
    demonstration_task_make(project)
    page.route(CLAIM, lambda route: route.abort(), times=1)
    press(page, "Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("server_unreachable")
    # Into the settled one, which is still in view.
    page.keyboard.type(" and more")
    expect(page.get_by_label("Your answer")).to_have_value("")
    expect(page.get_by_role("alert")).to_be_hidden()
    page.keyboard.type("Second")
    press(page, "Control+Enter")
    idle(page)
    expect(page.locator("[data-draft-status]")).to_be_empty()
    assert texts() == ["First", "Second"]


def test_an_undo_that_fails_while_nothing_is_open_is_tried_again(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    ranking_task_make(project)
    page = open_page(bob, RANK)
    press(page, "1", "2", "3", "Enter")
    idle(page)
    page.route("**/undo/", lambda route: route.abort(), times=1)
    press(page, "u")
    expect(page.get_by_role("alert")).to_contain_text("tries again by itself")
    expect(page.locator("[data-state=judging]")).to_be_visible()
    placed(page, "A", "B", "C")
    assert not Ranking.objects.exists()


def test_a_report_that_failed_is_sent_while_the_person_judges_on(
    open_page: OpenPage, bob: User, tasks: list[Task]
) -> None:
    page = open_page(bob, RANK)
    page.route("**/reports/", lambda route: route.abort(), times=1)
    press(page, "f")
    page.keyboard.type("It tells how to build a bomb")
    press(page, "Control+Enter")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Your report waits to be sent. The page tries again by itself")
    press(page, "1", "2", "3", "Enter")
    shows(page, tasks[1])
    expect(page.locator("[data-notice]")).to_contain_text("Sent.")
    expect(alert).to_be_hidden()
    assert Report.objects.get().assignment.task == tasks[0]


def test_a_report_that_was_never_sent_outlives_the_page(
    open_page: OpenPage, bob: User, tasks: list[Task]
) -> None:
    page = open_page(bob, RANK)
    page.route("**/reports/", lambda route: route.abort())
    press(page, "f")
    page.keyboard.type("It tells how to build a bomb")
    press(page, "Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("Your report waits to be sent.")
    page.unroute("**/reports/")
    page.reload()
    expect(page.locator("[data-notice]")).to_contain_text("Sent.")
    assert Report.objects.get().text == "It tells how to build a bomb"


def test_dialogs_mean_the_task_they_were_opened_for(
    open_page: OpenPage, bob: User, tasks: list[Task]
) -> None:
    page = open_page(bob, RANK)
    for key in ("s", "f"):
        page.route(SUBMIT, lambda route: route.abort(), times=1)
        press(page, "1", "2", "3", "Enter")
        expect(page.get_by_role("alert")).to_contain_text("tries again by itself")
        press(page, key)
        expect(page.locator("dialog[open]")).to_be_visible()
        expect(page.get_by_role("alert")).to_be_hidden()
        expect(page.locator("[data-busy]")).to_have_count(0)
        if key == "s":
            expect(page.locator("dialog[open]")).to_have_count(0)
            expect(page.locator("[data-notice]")).to_contain_text("you wanted to skip")
    shows(page, tasks[2])
    page.keyboard.type("About the second")
    press(page, "Control+Enter")
    expect(page.locator("[data-notice]")).to_contain_text("Sent.")
    assert Report.objects.get().assignment.task == tasks[1]
    assert not Assignment.objects.filter(status="skipped").exists()


@pytest.mark.parametrize("is_secure", [True, False], ids=["https", "http"])
def test_a_task_withdrawn_while_open_keeps_the_words(
    open_page: OpenPage, bob: User, project: Project, is_secure: bool
) -> None:
    task = demonstration_task_make(project)
    page = open_page(bob, WRITE)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.wait_for_load_state("networkidle")
    page.keyboard.type("Half an answer")
    assignments_withdraw(project=project, annotator=bob)
    Task.objects.filter(pk=task.pk).update(status="closed")
    press(page, "Control+Enter")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("This task was withdrawn while you had it open.")
    expect(alert).to_contain_text("assignment_withdrawn")
    page.evaluate("navigator.clipboard.writeText('')")
    if not is_secure:
        page.evaluate("navigator.clipboard.writeText = undefined")
    alert.get_by_role("button", name="Copy my text").click()
    page.wait_for_function("async () => await navigator.clipboard.readText() === 'Half an answer'")
    alert.get_by_role("button", name="Go on").click()
    idle(page)
    assert Assignment.objects.get().draft["text"] == "Half an answer"


def test_a_lapsed_task_that_somebody_else_took_is_said_to_be_gone(
    open_page: OpenPage, bob: User, alice: User, project: Project
) -> None:
    first, second = (demonstration_task_make(project) for _ in range(2))
    page = open_page(bob, WRITE)
    # The page reserves the second one; asking after the first has lapsed, it would get that again.
    page.wait_for_load_state("networkidle")
    page.keyboard.type("Too late with this")
    past = timezone.now() - timedelta(minutes=1)
    Assignment.objects.filter(task=first).update(lease_expires_at=past)
    press(page, "Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("assignment_expired")
    Task.objects.filter(pk=first.pk).update(status="closed")
    page.get_by_role("button", name="Take it up again").click()
    expect(page.locator("[data-notice]")).to_contain_text("Somebody else has that task by now")
    assert Assignment.objects.get(task=first).draft["text"] == "Too late with this"
    assert Assignment.objects.get(task=second).status == "active"
    # It was the one that waited, and it does not come twice.
    page.keyboard.type("On to the second")
    press(page, "Control+Enter")
    idle(page)
    assert texts() == ["On to the second"]


def test_a_lapsed_task_comes_back_before_the_one_that_waits(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    for _ in range(2):
        demonstration_task_make(project)
    page = open_page(bob, WRITE)
    page.wait_for_load_state("networkidle")
    page.keyboard.type("Still in time")
    past = timezone.now() - timedelta(minutes=1)
    Assignment.objects.update(lease_expires_at=past)
    press(page, "Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("assignment_expired")
    page.get_by_role("button", name="Take it up again").click()
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("[data-busy]")).to_have_count(0)
    expect(page.get_by_label("Your answer")).to_have_value("Still in time")
    expect(page.locator("[data-notice]")).to_be_hidden()
    press(page, "Control+Enter")
    expect(page.get_by_label("Your answer")).to_have_value("")
    assert texts() == ["Still in time"]


@pytest.fixture
def tabs(open_page: OpenPage, bob: User, tasks: list[Task]) -> tuple[Page, Page]:
    """Two tabs of one browser at the same task; the second was opened later."""
    first = open_page(bob, RANK)
    press(first, "2")
    kept(first)
    second = first.context.new_page()
    second.goto(RANK)
    shows(second, tasks[0])
    return first, second


def test_a_task_in_two_tabs_is_worked_on_in_one(tabs: tuple[Page, Page], tasks: list[Task]) -> None:
    first, second = tabs
    here = first.get_by_role("heading", name="This task is open in another tab")
    expect(here).to_be_visible()
    placed(second, "B")  # what was done there goes along
    press(second, "1")
    press(first, "3", "Enter")
    placed(second, "B", "A")
    kept(second)
    first.get_by_role("button", name="Use it here").click()
    shows(first, tasks[0])
    placed(first, "B", "A")
    there = second.get_by_role("heading", name="This task is open in another tab")
    expect(there).to_be_visible()
    press(first, "3", "Enter")
    shows(first, tasks[1])
    assert Ranking.objects.count() == 1


def test_a_submit_in_one_tab_moves_the_other_on(tabs: tuple[Page, Page], tasks: list[Task]) -> None:
    first, second = tabs
    press(second, "1", "3", "Enter")
    shows(second, tasks[1])
    shows(first, tasks[2])
    expect(first.locator("[data-notice]")).to_contain_text("handed in from another tab")
    for page in (first, second):
        press(page, "1", "2", "3", "Enter")
        idle(page)
    assert Ranking.objects.count() == 3


def test_the_back_button_never_shows_a_submitted_task_as_open(
    open_page: OpenPage, bob: User, tasks: list[Task]
) -> None:
    page = open_page(bob, RANK)
    press(page, "1", "2", "3")
    page.goto("/")
    assignment = Assignment.objects.get(task=tasks[0])
    order = [[pk] for pk in assignment.shown_order]
    assignment_submit(assignment_id=assignment.pk, annotator=bob, payload={"order": order})
    page.go_back()
    shows(page, tasks[1])
    placed(page)


def test_a_page_kept_by_the_browser_asks_where_the_server_stands(
    open_page: OpenPage, bob: User, tasks: list[Task]
) -> None:
    page = open_page(bob, RANK)
    assignment = Assignment.objects.get(task=tasks[0])
    order = [[pk] for pk in assignment.shown_order]
    assignment_submit(assignment_id=assignment.pk, annotator=bob, payload={"order": order})
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    shows(page, tasks[1])
    expect(page.locator("[data-notice]")).to_contain_text("That task is settled")


def test_a_draft_that_failed_goes_out_again_by_itself(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    demonstration_task_make(project)
    page = open_page(bob, WRITE)
    page.route("**/draft/", lambda route: route.abort(), times=1)
    page.keyboard.type("Kept")
    expect(page.get_by_text("Draft kept on this device")).to_be_visible()
    kept(page)
    assert Assignment.objects.get().draft["text"] == "Kept"


def test_a_long_draft_reaches_the_server_when_the_page_is_put_aside(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    demonstration_task_make(project)
    page = open_page(bob, WRITE)
    long = "水" * 25_000  # 75 kB
    page.get_by_label("Your answer").fill(long)
    leaving = page.evaluate(
        """() => {
          const [sent, call] = [[], window.fetch];
          window.fetch = (url, options) => (sent.push(options.keepalive), call(url, options));
          Object.defineProperty(document, "hidden", {value: true});
          document.dispatchEvent(new Event("visibilitychange"));
          return sent;
        }"""
    )
    assert leaving == [False]  # a browser refuses to let 75 kB outlive the page
    kept(page)
    assert Assignment.objects.get().draft["text"] == long


def test_a_crash_loses_nothing(open_page: OpenPage, bob: User, project: Project) -> None:
    demonstration_task_make(project)
    page = open_page(bob, WRITE)
    page.route("**/draft/", lambda route: route.abort())
    page.keyboard.type("Kept on this device alone")
    other = page.context.new_page()
    # No goodbye of any kind: the tab is gone.
    page.close(run_before_unload=False)
    other.goto(WRITE)
    expect(other.get_by_label("Your answer")).to_have_value("Kept on this device alone")
