"""How a page of work is looked at: the prompt in view, and only the keys that do something."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from annotation.models import Project
from annotation.services.projects import project_update
from annotation.services.tasks import task_create
from tests.factories import completion_make, prompt_make
from tests.frontend.conftest import OpenPage, violations
from tests.frontend.talks import url

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

NUM_ANSWERS = {"ranking": 3, "rating": 3, "comparison": 2, "thumbs": 1, "evidence": 1}


@pytest.fixture
def opened(open_page: OpenPage, bob: User, project: Project, kind: str) -> Page:
    """A task of the kind whose answers are far longer than the window."""
    project_update(actor=None, project=project, kinds=[kind])
    prompt = prompt_make(project, "Which colours?")
    prompt.sources = [{"title": "Sky", "text": "The sky is blue.", "url": ""}]
    prompt.save()
    text = "The sky is blue [1]. " + "And so on.\n\n" * 150 + "Grass is green [1]."
    answers = [completion_make(prompt, f"{number} {text}") for number in range(NUM_ANSWERS[kind])]
    task_create(project=project, kind=kind, prompt=prompt, completions=answers)
    page = open_page(bob, url(kind))
    expect(page.locator("[data-chat]")).to_contain_text("Which colours?")
    return page


@pytest.mark.parametrize("kind", NUM_ANSWERS)
def test_the_prompt_stays_in_view_while_a_long_answer_scrolls(opened: Page) -> None:
    prompt = opened.locator("[data-chat]")
    opened.evaluate("scrollTo(0, 1200)")
    assert opened.evaluate("scrollY") == 1200
    expect(prompt).to_be_in_viewport(ratio=1)
    opened.get_by_role("button", name="Fold the prompt").click()
    expect(opened.get_by_role("button", name="Show the prompt")).to_be_visible()
    expect(prompt).to_be_in_viewport()
    assert violations(opened) == []


@pytest.mark.parametrize("kind", ["evidence"])
def test_a_statement_is_not_hidden_behind_the_prompt(opened: Page) -> None:
    opened.keyboard.press("j")
    opened.keyboard.press("j")
    opened.keyboard.press("k")
    opened.keyboard.press("k")
    top = "element => element.getBoundingClientRect().top"
    pinned = opened.locator(".pinned").evaluate("element => element.getBoundingClientRect().bottom")
    assert opened.locator(".statement.current").evaluate(top) >= pinned


@pytest.mark.parametrize("kind", NUM_ANSWERS)
def test_keys_for_several_answers_are_listed_where_there_are_several(
    opened: Page, kind: str
) -> None:
    opened.keyboard.press("?")
    keys = opened.get_by_role("dialog", name="Keys")
    expect(keys.get_by_text("Texts as they were written, or drawn")).to_be_visible()
    for words in ("Answers side by side", "What differs from the answer in focus"):
        expect(keys.get_by_text(words)).to_be_visible(visible=NUM_ANSWERS[kind] > 1)
    for name in ("Stacked", "Differences"):
        button = opened.locator("button", has_text=name)
        expect(button).to_be_visible(visible=NUM_ANSWERS[kind] > 1)
