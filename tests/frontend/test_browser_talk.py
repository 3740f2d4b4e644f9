"""Live conversations and written dialogues in a real browser."""

from pathlib import Path
from typing import Literal

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django import Settings

from annotation.models import Assignment, Completion, Conversation, Project, Turn
from frontend.catalogs import catalogs_compile
from tests.frontend.conftest import OpenPage, violations
from tests.frontend.talks import (
    answer,
    failed,
    idle,
    model_ready,
    path_stored,
    phase,
    press,
    say,
    stored,
    talk_make,
    url,
)
from tests.replies import answer_waiting, replies_of
from training.models import ReplyRequest, Sample

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

TALK = url("conversation")
DIALOGUE = url("dialogue")


@pytest.fixture(autouse=True)
def model(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_ready(settings, tmp_path, monkeypatch)


@pytest.fixture
def talk(project: Project) -> Project:
    talk_make(project, "conversation", num_replies=3)
    return project


@pytest.fixture
def dialogue(project: Project) -> Project:
    talk_make(project, "dialogue")
    return project


def message(page: Page):
    return page.get_by_label("Your message")


def replies(page: Page):
    return page.locator("[data-reply]")


def log(page: Page) -> list[str]:
    return page.locator("[data-log] .prose").all_inner_texts()


def test_a_conversation_by_keyboard_alone(open_page: OpenPage, bob: User, talk: Project) -> None:
    page = open_page(bob, TALK)
    expect(message(page)).to_be_focused()
    page.keyboard.type("How do I")
    press(page, "Shift+Enter")
    page.keyboard.type("bake bread?")
    press(page, "Enter")
    phase(page, "waiting")
    expect(page.get_by_role("progressbar", name="All replies together")).to_be_visible()
    expect(replies(page)).to_have_count(0)
    assert answer_waiting() == 1
    expect(replies(page)).to_have_count(3)
    expect(page.locator("[data-live]")).to_have_text(
        "3 replies are here. Which is the best? A to C."
    )
    press(page, "b")
    expect(page.locator("[data-reply].chosen .letter")).to_have_text("B")
    expect(message(page)).to_be_focused()
    say(page, "And then?")
    expect(replies(page)).to_have_count(3)
    press(page, "3", "Control+Enter")
    idle(page)
    first, second = Turn.objects.order_by("pk")
    assert first.chosen_id == first.shown_order[1]
    assert second.chosen_id == second.shown_order[2]
    assert first.chosen is not None
    assert second.prompt.messages[1]["content"] == first.chosen.text
    assert [said for said, _ in path_stored()] == ["How do I\nbake bread?", "And then?"]
    assert (Assignment.objects.get().seconds_spent or 0) > 0


def test_a_choice_changes_until_the_conversation_goes_on(
    open_page: OpenPage, bob: User, talk: Project
) -> None:
    page = open_page(bob, TALK)
    say(page, "Hello")
    press(page, "a")
    expect(message(page)).to_be_focused()
    press(page, "Escape", "c")
    expect(page.locator("[data-reply].chosen .letter")).to_have_text("C")
    stored(page)
    say(page, "abc")
    expect(replies(page)).to_have_count(3)
    turn = Turn.objects.order_by("pk")[0]
    assert turn.chosen_id == turn.shown_order[2], "letters typed into a message choose nothing"


def test_new_answers_are_another_version_of_the_turn(
    open_page: OpenPage, bob: User, talk: Project
) -> None:
    page = open_page(bob, TALK)
    say(page, "Hello", replies_of("one", "two", "three"))
    expect(replies(page)).to_have_count(3)
    press(page, "n")
    answer(page, replies_of("four", "five", "six"))
    expect(page.get_by_role("group", name="Version 2 of 2")).to_be_visible()
    assert sorted(page.locator("[data-reply] .prose").all_inner_texts()) == ["five", "four", "six"]
    press(page, ",")
    expect(page.get_by_role("group", name="Version 1 of 2")).to_be_visible()
    assert sorted(page.locator("[data-reply] .prose").all_inner_texts()) == ["one", "three", "two"]
    press(page, "a", "Control+Enter")
    idle(page)
    first, second = Turn.objects.order_by("pk")
    assert Conversation.objects.get().last_turn == first
    assert second.chosen is None


def test_a_branch_says_an_earlier_message_anew(
    open_page: OpenPage, bob: User, talk: Project
) -> None:
    page = open_page(bob, TALK)
    for text in ("One", "Two"):
        say(page, text)
        expect(replies(page)).to_have_count(3)
        press(page, "a")
        expect(message(page)).to_be_focused()
    page.keyboard.type("unsent")
    page.get_by_role("button", name="Branch here").first.click()
    expect(message(page)).to_have_value("One")
    expect(message(page)).to_be_focused()
    page.get_by_role("button", name="Go back").click()
    expect(message(page)).to_have_value("unsent")
    page.get_by_role("button", name="Branch here").nth(1).click()
    expect(message(page)).to_have_value("Two")
    press(page, "ControlOrMeta+a")
    say(page, "Another two")
    expect(page.get_by_role("group", name="Version 2 of 2")).to_be_visible()
    press(page, "b", "Control+Enter")
    idle(page)
    assert [said for said, _ in path_stored()] == ["One", "Another two"]
    one, two, other = Turn.objects.order_by("pk")
    assert (one.parent, two.parent, other.parent) == (None, one, one)


def test_a_reload_brings_everything_back(open_page: OpenPage, bob: User, talk: Project) -> None:
    page = open_page(bob, TALK)
    say(page, "One")
    expect(replies(page)).to_have_count(3)
    page.reload()
    expect(replies(page)).to_have_count(3)
    press(page, "b")
    expect(message(page)).to_be_focused()
    page.keyboard.type("half a thou")
    page.reload()
    expect(message(page)).to_have_value("half a thou")
    expect(page.locator("[data-reply].chosen .letter")).to_have_text("B")
    page.keyboard.type("ght")
    press(page, "Enter")
    phase(page, "waiting")
    page.reload()
    answer(page)
    expect(replies(page)).to_have_count(3)
    expect(message(page)).to_be_hidden()
    assert log(page)[0] == "One"
    assert list(Turn.objects.values_list("parent", flat=True)) == [
        None,
        Turn.objects.earliest("pk").pk,
    ]


def test_failed_replies_are_asked_for_again(open_page: OpenPage, bob: User, talk: Project) -> None:
    page = open_page(bob, TALK)
    page.keyboard.type("Hello")
    press(page, "Enter")
    phase(page, "waiting")
    failed("The policy ran out of memory.")
    expect(page.get_by_text("The policy ran out of memory.")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    answer(page)
    expect(replies(page)).to_have_count(3)
    assert ReplyRequest.objects.count() == Turn.objects.count() == 1


def test_a_message_is_kept_while_the_server_is_away(
    open_page: OpenPage, bob: User, talk: Project
) -> None:
    page = open_page(bob, TALK)
    page.route("**/api/v1/**", lambda route: route.abort())
    page.keyboard.type("Hello")
    press(page, "Enter")
    expect(page.get_by_role("alert").first).to_contain_text("server_unreachable")
    page.reload()
    expect(message(page)).to_have_value("Hello")
    page.unroute("**/api/v1/**")
    press(page, "Enter")
    answer(page)
    expect(replies(page)).to_have_count(3)
    assert Turn.objects.count() == 1


def test_the_page_says_why_it_cannot_be_finished(
    open_page: OpenPage, bob: User, project: Project
) -> None:
    talk_make(project, "conversation", min_turns=2, max_turns=2)
    page = open_page(bob, TALK)
    expect(page.locator("[data-why]")).to_have_text("2 turns to go at least.")
    say(page, "One")
    press(page, "a")
    expect(page.locator("[data-why]")).to_have_text("1 turn to go at least.")
    page.keyboard.type("Two")
    press(page, "Control+Enter")
    expect(page.locator("[data-live]")).to_have_text("Send or delete the message that you began.")
    press(page, "Enter")
    answer(page)
    press(page, "a")
    expect(page.get_by_text("as many turns as it may have")).to_be_visible()
    expect(message(page)).to_be_hidden()
    press(page, "Control+Enter")
    idle(page)


def test_nothing_on_the_page_tells_which_model_wrote_what(
    open_page: OpenPage, bob: User, talk: Project
) -> None:
    page = open_page(bob, TALK)
    answers: list[str] = []
    page.on("response", lambda got: "/turns/" in got.url and answers.append(got.text()))
    say(page, "Hello")
    expect(replies(page)).to_have_count(3)
    names = {sample.checkpoint.name for sample in Sample.objects.select_related("checkpoint")}
    seen = page.content() + "".join(answers)
    assert names
    assert not [name for name in [*names, "checkpoint", "seed"] if name in seen]


def test_a_dialogue_by_keyboard_alone(open_page: OpenPage, bob: User, dialogue: Project) -> None:
    page = open_page(bob, DIALOGUE)
    expect(page.get_by_label("You, as the person")).to_be_focused()
    page.keyboard.type("What is a fjord?")
    press(page, "Enter")
    ideal = page.get_by_role("textbox", name="The ideal answer")
    expect(ideal).to_be_focused()
    page.keyboard.type("A long narrow inlet.")
    press(page, "Enter")
    expect(page.get_by_label("You, as the person")).to_be_focused()
    page.keyboard.type("Name one.")
    press(page, "Enter")
    expect(ideal).to_be_focused()
    press(page, "Alt+d")
    expect(page.get_by_role("progressbar", name="All replies together")).to_be_visible()
    answer_waiting(replies_of("Geiranger is one fjord."))
    expect(ideal).to_have_value("Geiranger is one fjord.")
    press(page, "Alt+v")
    page.keyboard.type(" It is in Norway.")
    expect(page.locator("[data-answer-diff] ins")).to_contain_text("It is in Norway.")
    press(page, "Enter")
    expect(page.get_by_label("You, as the person")).to_be_focused()
    press(page, "Control+Enter")
    idle(page)
    assert path_stored() == [
        ("What is a fjord?", "A long narrow inlet."),
        ("Name one.", "Geiranger is one fjord. It is in Norway."),
    ]
    first, second = Turn.objects.order_by("pk")
    assert first.edited_from is None
    assert second.edited_from is not None
    assert second.edited_from.text == "Geiranger is one fjord."


def test_a_suggestion_waits_beside_words_until_it_is_taken(
    open_page: OpenPage, bob: User, dialogue: Project
) -> None:
    page = open_page(bob, DIALOGUE)
    page.keyboard.type("Hello")
    press(page, "Enter")
    ideal = page.get_by_role("textbox", name="The ideal answer")
    expect(ideal).to_be_focused()
    press(page, "Alt+d")
    page.keyboard.type("my own words")
    expect(page.get_by_role("progressbar", name="All replies together")).to_be_visible()
    answer_waiting(replies_of("the model's words"))
    expect(page.locator("[data-suggested]")).to_contain_text("the model's words")
    expect(ideal).to_have_value("my own words")
    press(page, "Alt+d")
    expect(ideal).to_have_value("the model's words")
    expect(page.locator("[data-suggested]")).to_be_hidden()
    press(page, "Enter")
    expect(page.get_by_label("You, as the person")).to_be_focused()
    page.get_by_role("button", name="Edit the answer").click()
    expect(ideal).to_have_value("the model's words")
    page.keyboard.type("!")
    page.reload()
    expect(ideal).to_have_value("the model's words!")
    expect(ideal).to_be_focused()
    press(page, "Enter")
    expect(page.get_by_label("You, as the person")).to_be_focused()
    turn = Turn.objects.get()
    assert turn.chosen is not None
    assert turn.chosen.text == "the model's words!"
    assert turn.edited_from is not None


def test_an_answer_begun_waits_at_its_own_version(
    open_page: OpenPage, bob: User, dialogue: Project
) -> None:
    page = open_page(bob, DIALOGUE)
    said, ideal = page.get_by_label("You, as the person"), page.locator("#answer")
    page.keyboard.type("One")
    press(page, "Enter")
    expect(ideal).to_be_focused()
    page.keyboard.type("Answer one")
    press(page, "Enter")
    expect(said).to_be_focused()
    page.get_by_role("button", name="Edit the answer").click()
    ideal.fill("Answer one, edited at length")
    press(page, "Escape", "e")
    said.fill("Two")
    press(page, "Enter")
    expect(page.get_by_role("group", name="Version 2 of 2")).to_be_visible()
    expect(ideal).to_have_value("")
    ideal.fill("Answer two, half-written")
    page.get_by_role("button", name="Previous version").click()
    expect(ideal).to_have_value("Answer one, edited at length")
    page.get_by_role("button", name="Next version").click()
    expect(ideal).to_have_value("Answer two, half-written")
    expect(page.get_by_text("Draft saved")).to_be_visible()
    page.reload()
    expect(ideal).to_have_value("Answer two, half-written")
    page.get_by_role("button", name="Previous version").click()
    expect(ideal).to_have_value("Answer one, edited at length")
    press(page, "Enter")
    expect(said).to_be_visible()
    page.get_by_role("button", name="Next version").click()
    expect(ideal).to_have_value("Answer two, half-written")
    ideal.press("Enter")
    stored(page)
    texts = [turn.chosen and turn.chosen.text for turn in Turn.objects.order_by("pk")]
    assert texts == ["Answer one, edited at length", "Answer two, half-written"]


@pytest.mark.parametrize("is_sent", [True, False], ids=["sent", "left"])
def test_a_message_begun_waits_while_an_earlier_one_is_said_anew(
    is_sent: bool, open_page: OpenPage, bob: User, dialogue: Project
) -> None:
    page = open_page(bob, DIALOGUE)
    said, ideal = page.get_by_label("You, as the person"), page.locator("#answer")
    page.keyboard.type("One")
    press(page, "Enter")
    expect(ideal).to_be_focused()
    page.keyboard.type("Answer one")
    press(page, "Enter")
    expect(said).to_be_focused()
    page.keyboard.type("Half a message")
    press(page, "Escape", "e")
    expect(said).to_have_value("One")
    said.fill("One, said anew")
    expect(page.get_by_text("Draft saved")).to_be_visible()
    page.reload()
    expect(said).to_have_value("One, said anew")
    if is_sent:
        said.press("Enter")
        expect(ideal).to_be_visible()
        page.get_by_role("button", name="Previous version").click()
    else:
        page.get_by_role("button", name="Go back").click()
    expect(said).to_have_value("Half a message")
    assert Turn.objects.count() == (2 if is_sent else 1)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("en", "The model could not write a reply. Try again"), ("zh-hans", "模型没能写出回复。")],
)
def test_why_no_reply_came_is_said_in_the_readers_language(
    language: str, sentence: str, open_page: OpenPage, bob: User, talk: Project
) -> None:
    catalogs_compile()
    page = open_page(bob, "/login/")
    page.context.add_cookies([{"name": "django_language", "value": language, "url": page.url}])
    page.goto(TALK)
    page.locator("#message").fill("Hello")
    press(page, "Enter")
    phase(page, "waiting")
    failed("reply_failed: No reply could be written.")
    expect(page.locator("[data-failed-why]")).to_contain_text(sentence)
    expect(page.locator("[data-failed-why]")).not_to_contain_text("No reply could be written")


@pytest.mark.parametrize("kind", ["conversation", "dialogue"])
def test_a_phone_shows_it_without_scrolling_sideways(
    kind: str, open_page: OpenPage, bob: User, project: Project
) -> None:
    talk_make(project, kind)
    page = open_page(bob, url(kind), width=390, height=844)
    page.keyboard.type("long " * 30 + "x" * 300)
    page.get_by_role("button", name="Send").click()
    if kind == "conversation":
        answer(page, replies_of("y" * 400, "word " * 400))
        expect(replies(page)).to_have_count(2)
        page.get_by_role("button", name="Choose").first.click()
    else:
        expect(page.get_by_role("textbox", name="The ideal answer")).to_be_focused()
    stored(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_hostile_words_run_nothing(open_page: OpenPage, bob: User, talk: Project) -> None:
    hostile = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"
    page = open_page(bob, TALK)
    say(page, hostile, replies_of(hostile, "\u202e right to left \u202c", "a" * 30_000))
    expect(replies(page)).to_have_count(3)
    press(page, "a")
    expect(message(page)).to_be_focused()
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert Completion.objects.filter(text=hostile).exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_conversations_pass_the_accessibility_audit(
    scheme: Literal["light", "dark"], open_page: OpenPage, bob: User, talk: Project
) -> None:
    page = open_page(bob, TALK)
    page.emulate_media(color_scheme=scheme)
    found = violations(page)
    say(page, "Hello")
    expect(replies(page)).to_have_count(3)
    found += violations(page)
    press(page, "n")
    phase(page, "waiting")
    found += violations(page)
    answer(page)
    expect(replies(page)).to_have_count(3)
    press(page, "a")
    expect(message(page)).to_be_focused()
    say(page, "And then?")
    expect(replies(page)).to_have_count(3)
    found += violations(page)
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dialogues_pass_the_accessibility_audit(
    scheme: Literal["light", "dark"], open_page: OpenPage, bob: User, dialogue: Project
) -> None:
    page = open_page(bob, DIALOGUE)
    page.emulate_media(color_scheme=scheme)
    page.keyboard.type("Hello")
    press(page, "Enter")
    ideal = page.get_by_role("textbox", name="The ideal answer")
    expect(ideal).to_be_focused()
    press(page, "Alt+d")
    page.keyboard.type("my own words")
    expect(page.get_by_role("progressbar", name="All replies together")).to_be_visible()
    answer_waiting(replies_of("the model's words"))
    expect(page.locator("[data-suggested]")).to_be_visible()
    found = violations(page)
    press(page, "Alt+d", "Alt+v")
    page.keyboard.type(" and mine")
    expect(page.locator("[data-answer-diff] ins")).to_be_visible()
    found += violations(page)
    press(page, "Enter")
    expect(page.get_by_label("You, as the person")).to_be_focused()
    found += violations(page)
    assert found == [], "\n".join(found)
