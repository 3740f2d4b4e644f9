"""Writing prompts in a real browser, in all three forms."""

import re

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from annotation.choices import BriefKind
from annotation.models import Assignment, Brief, Project, WrittenPrompt
from annotation.services.projects import project_update
from tests.factories import prompt_make
from tests.frontend.conftest import OpenPage, violations

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

WRITE = "/projects/project/work/prompt_writing/"


@pytest.fixture
def writing(project: Project) -> Project:
    return project_update(
        actor=None,
        project=project,
        kinds=["prompt_writing"],
        targets={"prompt_writing": 1},
        options={"prompt_writing": {"num_pairs": 2}},
    )


@pytest.fixture
def use_case(project: Project) -> Brief:
    return Brief.objects.create(
        project=project, kind=BriefKind.USE_CASE, name="Letters", text="Write *kind* letters."
    )


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def idle(page: Page) -> None:
    expect(page.get_by_role("heading", name="Nothing to do right now")).to_be_visible()


def why(page: Page):
    return page.locator("[data-why]")


def test_a_plain_prompt_by_keyboard_alone(open_page: OpenPage, bob: User, writing: Project) -> None:
    page = open_page(bob, WRITE)
    expect(page.get_by_role("radio", name="For the use case")).to_be_hidden()
    expect(why(page)).to_have_text("Write a prompt first.")
    page.keyboard.type("Name three birds, s and ? included.")
    expect(why(page)).to_have_text("Say what kind of prompt it is.")
    press(page, "Control+Enter")
    assert not WrittenPrompt.objects.exists()
    press(page, "Alt+3")
    expect(page.get_by_role("radio", name="Brainstorming")).to_be_checked()
    press(page, "Control+Enter")
    idle(page)
    written = WrittenPrompt.objects.get()
    assert written.prompt.text_last == "Name three birds, s and ? included."
    assert (written.form, written.prompt.use_case) == ("plain", "brainstorming")
    assert (written.assignment.seconds_spent or 0) > 0


def test_a_few_shot_prompt_by_keyboard_alone(
    open_page: OpenPage, bob: User, writing: Project
) -> None:
    page = open_page(bob, WRITE)
    press(page, "Alt+k")
    for text in ("Say it in German.", "dog", "Hund", "cow"):
        page.keyboard.type(text)
        press(page, "Tab")
    expect(why(page)).to_have_text("Write the response of example 2.")
    page.keyboard.type("Kuh")
    press(page, "Tab", "Space", "ArrowRight", "Control+Enter")
    idle(page)
    written = WrittenPrompt.objects.get()
    assert written.instruction == "Say it in German."
    assert written.pairs == [
        {"query": "dog", "response": "Hund"},
        {"query": "cow", "response": "Kuh"},
    ]
    assert written.prompt.use_case == "open_qa"
    assert written.prompt.text_last == "Say it in German.\n\ndog\nHund\n\ncow"


def test_a_use_case_is_written_for_on_a_phone(
    open_page: OpenPage, bob: User, use_case: Brief, writing: Project
) -> None:
    page = open_page(bob, WRITE, width=390, height=844)
    expect(page.get_by_role("heading", name="The use case: Letters")).to_be_visible()
    expect(page.locator("[data-use-case-text] em")).to_have_text("kind")
    expect(page.get_by_role("radio", name="For the use case")).to_be_checked()
    page.get_by_label("Your prompt").fill("Write to my aunt.")
    page.get_by_text("Generation").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name=re.compile("^Submit")).click()
    idle(page)
    written = WrittenPrompt.objects.get()
    assert (written.form, written.assignment.task.brief) == ("use_case", use_case)


def test_every_form_is_restored_after_a_reload(
    open_page: OpenPage, bob: User, writing: Project
) -> None:
    page = open_page(bob, WRITE)
    page.keyboard.type("A plain one")
    press(page, "Alt+k")
    page.keyboard.type("An instruction")
    press(page, "Tab")
    page.keyboard.type("dog")
    press(page, "Alt+0")
    expect(page.get_by_text("Draft saved")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Instruction", exact=True)).to_have_value("An instruction")
    expect(page.get_by_label("Query").first).to_have_value("dog")
    expect(page.get_by_role("radio", name="Other")).to_be_checked()
    press(page, "Alt+k")
    expect(page.get_by_label("Your prompt")).to_have_value("A plain one")
    draft = Assignment.objects.get().draft
    assert (draft["form"], draft["text"]) == ("few_shot", "A plain one")


def test_a_prompt_that_is_there_already_is_refused_and_can_be_changed(
    open_page: OpenPage, bob: User, writing: Project
) -> None:
    prompt_make(writing, "Name three birds.")
    page = open_page(bob, WRITE)
    page.keyboard.type("Name three birds.")
    press(page, "Alt+3", "Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("prompt_exists")
    page.get_by_label("Your prompt").fill("Name four birds.")
    press(page, "Control+Enter")
    idle(page)
    assert WrittenPrompt.objects.get().prompt.text_last == "Name four birds."


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_passes_the_accessibility_audit(
    open_page: OpenPage, bob: User, use_case: Brief, writing: Project, scheme
) -> None:
    page = open_page(bob, WRITE)
    page.emulate_media(color_scheme=scheme)
    found = []
    for _ in range(3):
        press(page, "Alt+4", "Alt+k")
        found += violations(page)
    expect(page.get_by_text("Draft saved")).to_be_visible()
    assert found == []
