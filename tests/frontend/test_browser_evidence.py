"""Checking an answer against its sources in a real browser."""

import json
import re

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from annotation.models import Assignment, Completion, EvidenceMark, Project, Prompt
from annotation.services.prompts import prompts_import
from annotation.services.tasks import task_create
from tests.factories import completion_make
from tests.frontend.conftest import OpenPage, violations

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

CHECK = "/projects/project/work/evidence/"
# The third statement cites a source that is not there; the second cites none.
ANSWER = "The sky is **blue** [1]. That is nice. Grass is red [2, 9]. So it is. [1]"
HOSTILE = "<img src=x onerror='window.hacked=1'>"


@pytest.fixture
def prompt(project: Project) -> Prompt:
    sources = [
        {"title": "Sky", "text": "The sky is blue. " * 60, "url": "https://sky.example/a"},
        {"title": "Grass", "text": "Grass is green. " * 60 + HOSTILE},
    ]
    line = json.dumps({"prompt": "Which colours?", "sources": sources})
    prompts_import(actor=None, project=project, lines=[line])
    project.kinds = ["evidence"]
    project.save()
    prompt = Prompt.objects.get()
    completions = [completion_make(prompt, ANSWER)]
    task_create(project=project, kind="evidence", prompt=prompt, completions=completions)
    return prompt


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def idle(page: Page) -> None:
    expect(page.get_by_role("heading", name="Nothing to do right now")).to_be_visible()


def cited(page: Page) -> list[str]:
    return page.locator(".source.cited h3").all_inner_texts()


def current(page: Page):
    return page.locator(".statement.current")


def said() -> list[bool]:
    return [statement["is_supported"] for statement in EvidenceMark.objects.get().statements]


def test_an_answer_is_checked_by_keyboard_alone(
    open_page: OpenPage, bob: User, prompt: Prompt
) -> None:
    page = open_page(bob, CHECK)
    expect(page.locator(".chat .message")).to_have_count(1)
    expect(page.locator(".chat")).to_contain_text("Which colours?")
    expect(current(page)).to_have_attribute("aria-label", "Statement 1 of 3")
    expect(current(page).locator("strong")).to_have_text("blue")
    assert cited(page) == ["[1] Sky"]
    press(page, "Enter")
    assert not EvidenceMark.objects.exists(), "nothing is accepted by default"
    press(page, "j")
    assert cited(page) == ["[2] Grass"]
    expect(page.get_by_role("heading", name="[2] Grass")).to_be_in_viewport()
    expect(current(page)).to_contain_text("[9] There is no such source")
    press(page, "ArrowUp", "y", "n")
    expect(current(page)).to_have_attribute("aria-label", "Statement 3 of 3")
    press(page, "y")
    expect(page.locator("[data-why]")).to_have_text("Now the answer as a whole.")
    press(page, "n", "Enter")
    idle(page)
    mark = EvidenceMark.objects.get()
    assert said() == [True, False, True]
    assert mark.is_supported is False
    assert (mark.assignment.seconds_spent or 0) > 0


def test_an_answer_is_checked_on_a_phone(open_page: OpenPage, bob: User, prompt: Prompt) -> None:
    page = open_page(bob, CHECK, width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    statements = page.get_by_role("group", name=re.compile("^Statement"))
    for index, name in enumerate(["Not supported", "Supported", "Not supported"]):
        statements.nth(index).get_by_role("button", name=name, exact=False).last.click()
    whole = page.get_by_role("group", name="The answer as a whole")
    # The source stays in view while the statements go by.
    expect(page.get_by_role("region", name="Sources")).to_be_in_viewport(ratio=0.5)
    whole.get_by_role("button", name="Supported").last.click()
    page.get_by_role("button", name=re.compile("^Submit")).click()
    idle(page)
    assert EvidenceMark.objects.get().is_supported is True


def test_the_arrows_scroll_the_sources_while_these_have_the_focus(
    open_page: OpenPage, bob: User, prompt: Prompt
) -> None:
    page = open_page(bob, CHECK, height=500)
    sources = page.get_by_role("region", name="Sources")
    sources.focus()
    press(page, "ArrowDown", "ArrowDown")
    page.wait_for_function("document.querySelector('.sources').scrollTop > 0")
    expect(current(page)).to_have_attribute("aria-label", "Statement 1 of 3")
    press(page, "j")
    expect(current(page)).to_have_attribute("aria-label", "Statement 2 of 3")


def test_verdicts_are_restored_after_a_reload(
    open_page: OpenPage, bob: User, prompt: Prompt
) -> None:
    page = open_page(bob, CHECK)
    press(page, "y", "n")
    expect(page.get_by_text("Draft saved")).to_be_visible()
    page.reload()
    expect(current(page)).to_have_attribute("aria-label", "Statement 3 of 3")
    expect(page.locator("[data-verdict][aria-pressed=true]")).to_have_count(2)
    verdicts = [{"index": 0, "is_supported": True}, {"index": 2, "is_supported": False}]
    assert Assignment.objects.get().draft == {"statements": verdicts}
    press(page, "n", "n", "Enter")
    idle(page)
    assert said() == [True, False, False]


def test_a_link_to_a_source_leads_away_safely_and_hostile_text_runs_nothing(
    open_page: OpenPage, bob: User, prompt: Prompt
) -> None:
    Completion.objects.update(text=f"{HOSTILE} [2].")
    page = open_page(bob, CHECK)
    link = page.locator(".source a")
    expect(link).to_have_attribute("href", "https://sky.example/a")
    expect(link).to_have_attribute("rel", re.compile("noopener noreferrer"))
    expect(current(page)).to_contain_text(HOSTILE)
    expect(page.locator(".source").nth(1)).to_contain_text(HOSTILE)
    assert page.evaluate("window.hacked") is None


def test_an_answer_without_citations_is_judged_as_a_whole(
    open_page: OpenPage, bob: User, prompt: Prompt
) -> None:
    Completion.objects.update(text="")
    page = open_page(bob, CHECK)
    expect(page.locator("[data-answer-parts]")).to_have_text("(an empty answer)")
    press(page, "n", "Enter")
    idle(page)
    assert (said(), EvidenceMark.objects.get().is_supported) == ([], False)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_passes_the_accessibility_audit(
    open_page: OpenPage, bob: User, prompt: Prompt, scheme
) -> None:
    page = open_page(bob, CHECK)
    page.emulate_media(color_scheme=scheme)
    press(page, "y", "n")
    expect(page.get_by_text("Draft saved")).to_be_visible()
    assert violations(page) == []
