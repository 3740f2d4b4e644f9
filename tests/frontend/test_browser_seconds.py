"""Active time: what a person really spent, however often the task was left and came back."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from annotation.models import Assignment, Project
from tests.factories import demonstration_task_make
from tests.frontend.conftest import OpenPage

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

WRITE = "/projects/project/work/demonstration/"


def turned(page: Page, *, hidden: bool) -> None:
    """As if another tab came before this one, or went away again."""
    value = "true" if hidden else "false"
    page.evaluate(
        f"""() => {{
          Object.defineProperty(document, "hidden", {{value: {value}, configurable: true}});
          document.dispatchEvent(new Event("visibilitychange"));
        }}"""
    )


def wait(page: Page, seconds: int) -> None:
    """Goes by on the page's clock, which stands still otherwise."""
    page.clock.fast_forward(seconds * 1000)


@pytest.fixture
def page(open_page: OpenPage, bob: User, project: Project) -> Page:
    """At a task for a minute or more, of which a minute counts; from now on by the test's clock."""
    demonstration_task_make(project)
    page = open_page(bob, "/")
    now = timezone.now()
    page.clock.install(time=now)
    page.goto(WRITE)
    page.clock.pause_at(now + timedelta(minutes=10))
    page.keyboard.type("a")
    return page


def handed_in(page: Page) -> float | None:
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="Nothing to do right now")).to_be_visible()
    return Assignment.objects.get().seconds_spent


def test_idle_and_hidden_time_do_not_count(page: Page) -> None:
    wait(page, 20)
    page.keyboard.type("b")  # 60 + 20
    wait(page, 600)
    page.keyboard.type("c")  # + 60 of the ten minutes
    wait(page, 5)
    turned(page, hidden=True)  # + 5
    wait(page, 40)
    turned(page, hidden=False)
    wait(page, 7)  # + 7, reading
    assert handed_in(page) == 152


def test_a_reload_and_an_undo_go_on_with_what_was_spent(page: Page) -> None:
    wait(page, 20)
    page.keyboard.type("b")  # 60 + 20
    page.reload()
    expect(page.get_by_label("Your answer")).to_have_value("ab")
    wait(page, 10)
    assert handed_in(page) == 90
    page.keyboard.press("u")
    expect(page.get_by_label("Your answer")).to_be_visible()
    wait(page, 3)
    assert handed_in(page) == 93
