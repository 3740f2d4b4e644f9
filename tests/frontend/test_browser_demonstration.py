"""Writing answers in a real browser, from nothing and from a model's draft."""

import json
import re

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, Route, expect

from annotation.models import Assignment, Completion, Demonstration, Project, Prompt
from annotation.services.projects import project_update
from tests.factories import completion_make, demonstration_task_make, prompt_make
from tests.frontend.conftest import OpenPage, violations

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

WRITE = "/projects/project/work/demonstration/"
DRAFT = "Boil the egg for *five* minutes."


@pytest.fixture
def prompt(project: Project) -> Prompt:
    project_update(actor=None, project=project, options={"demonstration": {"drafts": "offered"}})
    prompt = prompt_make(project, "How long do I boil an egg?")
    demonstration_task_make(project, prompt)
    return prompt


def drafts_come(page: Page, text: str = DRAFT, looks: int = 2) -> None:
    """Answers for the live policies, which take `looks` looks to write."""
    asked = []

    def answer(route: Route) -> None:
        asked.append(route.request.method)
        is_there = len(asked) > looks
        draft = offer(text) if is_there else None
        shown = {"id": draft.pk, "text": draft.text} if draft else None
        state = {"status": "done" if is_there else "running", "progress": 0.5, "error": ""}
        route.fulfill(status=200, json=state | {"draft": shown})

    page.route("**/draft-reply/", answer)


def offer(text: str) -> Completion:
    """As the service that replies stores a draft."""
    assignment = Assignment.objects.get()
    draft = Completion.objects.filter(pk__in=assignment.shown_order).first()
    if draft is None:
        draft = completion_make(assignment.task.the_prompt, text)
        Assignment.objects.update(shown_order=[draft.pk])
    return draft


def box(page: Page):
    return page.get_by_label("Your answer")


def saved(page: Page) -> None:
    """No write is under way any more: nobody waits for another's in the tests' database."""
    expect(page.get_by_text("Draft saved")).to_be_visible()


def idle(page: Page) -> None:
    expect(page.get_by_role("heading", name="Nothing to do right now")).to_be_visible()


def test_a_draft_is_edited_by_keyboard_alone(
    open_page: OpenPage, bob: User, prompt: Prompt
) -> None:
    page = open_page(bob, WRITE)
    drafts_come(page)
    page.keyboard.press("Alt+d")
    expect(page.locator("[data-draft-bar] progress")).to_be_visible()
    expect(box(page)).to_have_value(DRAFT)
    page.keyboard.press("Control+End")
    page.keyboard.type(" Then cool it.")
    page.keyboard.press("Alt+v")
    expect(page.locator("[data-panel=changes] ins")).to_contain_text("Then cool it.")
    expect(page.locator("[data-panel=changes] del")).to_have_count(0)
    page.keyboard.press("Alt+p")
    expect(page.locator("[data-panel=preview] em")).to_have_text("five")
    page.keyboard.press("Control+Enter")
    idle(page)
    made = Demonstration.objects.get()
    assert made.completion.text == f"{DRAFT} Then cool it."
    assert made.edited_from is not None
    assert made.edited_from.text == DRAFT
    assert (made.assignment.seconds_spent or 0) > 0


def test_own_words_and_the_edited_draft_both_survive_a_change_of_mind_and_a_reload(
    open_page: OpenPage, bob: User, prompt: Prompt
) -> None:
    page = open_page(bob, WRITE)
    drafts_come(page)
    page.keyboard.type("Six minutes")
    saved(page)
    page.keyboard.press("Alt+d")
    expect(box(page)).to_have_value(DRAFT)
    page.keyboard.type("Yes: ")
    expect(page.get_by_text("Saving")).to_be_visible()
    saved(page)
    page.reload()
    expect(box(page)).to_have_value(f"Yes: {DRAFT}")
    page.keyboard.press("Alt+d")
    expect(box(page)).to_have_value("Six minutes")
    expect(page.get_by_role("button", name="Changes")).to_be_hidden()
    page.keyboard.press("Alt+d")
    expect(box(page)).to_have_value(f"Yes: {DRAFT}")
    page.keyboard.press("Alt+d")
    page.keyboard.press("Control+Enter")
    idle(page)
    made = Demonstration.objects.get()
    assert (made.completion.text, made.edited_from) == ("Six minutes", None)


def test_a_draft_that_does_not_come_leaves_what_was_written(
    open_page: OpenPage, bob: User, prompt: Prompt
) -> None:
    page = open_page(bob, WRITE)
    refusal = {"code": "no_live_policy", "message": "No policy is live.", "extra": {}}
    page.route("**/draft-reply/", lambda route: route.fulfill(status=409, body=json.dumps(refusal)))
    page.keyboard.type("Six minutes")
    saved(page)
    page.keyboard.press("Alt+d")
    expect(page.locator("[data-draft-words]")).to_contain_text(
        "No draft came. No policy replies to people in this project now."
    )
    expect(box(page)).to_have_value("Six minutes")
    page.unroute("**/draft-reply/")
    drafts_come(page, looks=0)
    page.get_by_role("button", name="Start from a draft").click()
    expect(box(page)).to_have_value(DRAFT)
    expect(page.get_by_text("Saving")).to_be_visible()
    saved(page)


def test_a_draft_is_edited_on_a_phone(open_page: OpenPage, bob: User, prompt: Prompt) -> None:
    page = open_page(bob, WRITE, width=390, height=844)
    drafts_come(page, looks=0)
    page.get_by_role("button", name="Start from a draft").click()
    expect(box(page)).to_have_value(DRAFT)
    page.get_by_role("button", name="Changes").click()
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("[data-panel=changes]")).to_contain_text("The two texts are the same.")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box(page).fill("Five.")
    page.get_by_role("button", name=re.compile("^Submit")).click()
    idle(page)
    assert Demonstration.objects.get().edited_from is not None


def test_no_draft_is_offered_where_the_project_wants_none(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    demonstration_task_make(project)
    page = open_page(bob, WRITE)
    expect(page.get_by_role("button", name="Start from a draft")).to_be_hidden()
    page.keyboard.press("Alt+d")
    page.keyboard.type("Six.")
    expect(box(page)).to_have_value("Six.")
    saved(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_passes_the_accessibility_audit(
    open_page: OpenPage, bob: User, prompt: Prompt, scheme
) -> None:
    page = open_page(bob, WRITE)
    page.emulate_media(color_scheme=scheme)
    drafts_come(page, looks=0)
    page.keyboard.press("Alt+d")
    expect(box(page)).to_have_value(DRAFT)
    page.keyboard.type("Well: ")
    for key in ("Alt+v", "Alt+p"):
        page.keyboard.press(key)
    expect(page.locator("[data-panel=changes] ins")).to_be_visible()
    saved(page)
    assert violations(page) == []
