"""Live turns over HTTP: asking, waiting, choosing, and asking again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings
from rest_framework.test import APIClient

from annotation.models import Assignment, Project, Turn
from annotation.services.projects import project_update
from tests.factories import claim_make, demonstration_task_make, prompt_make
from tests.replies import answer_waiting, replies_of
from training.models import ReplyRequest, Sample
from training.services.replying import MAX_ATTEMPTS, MAX_OPEN

pytestmark = pytest.mark.django_db

Rung = list[tuple[str, int, str]]


@pytest.fixture
def bobs(
    project: Project, bob: User, settings: Settings, tmp_path: Path, rung: Rung
) -> Callable[..., Assignment]:
    """Bob's assignment of a kind of conversation; a named base model answers."""
    settings.PREFERENDUM_BASE_MODEL = str(tmp_path)

    def make(kind: str, **options: Any) -> Assignment:
        project_update(
            actor=None,
            project=project,
            kinds=[*project.kinds, kind],
            options={kind: options},
            targets={kind: 1},
        )
        return claim_make(project, bob, kind)

    return make


def turns_url(assignment: Assignment, rest: str = "") -> str:
    return f"/api/v1/assignments/{assignment.pk}/turns/{rest}"


def test_a_conversation_from_the_first_word_to_the_second_turn(
    bobs: Callable[..., Assignment],
    bob: User,
    api: Callable[..., APIClient],
    rung: Rung,
    django_capture_on_commit_callbacks: Any,
) -> None:
    client, assignment = api(bob), bobs("conversation", num_replies=3)
    assert client.get(turns_url(assignment)).json() == {"turns": []}
    with django_capture_on_commit_callbacks(execute=True):
        said = client.post(turns_url(assignment), {"text": "Hello"}, format="json")
    assert said.status_code == 201, said.json()
    (turn,) = said.json()["turns"]
    assert (turn["text"], turn["parent"], turn["messages"]) == ("Hello", None, [])
    assert turn["replies"] == []
    assert turn["reply_state"] == {"status": "queued", "progress": 0.0, "code": "", "error": ""}
    request = ReplyRequest.objects.get()
    assert rung == [("reply_answer", request.pk, "replies")]
    # The page did not hear the answer and sends it again.
    again = client.post(turns_url(assignment), {"text": "Hello"}, format="json")
    assert [item["id"] for item in again.json()["turns"]] == [turn["id"]]
    assert answer_waiting() == 1
    (turn,) = client.get(turns_url(assignment)).json()["turns"]
    assert turn["reply_state"]["status"] == "done"
    assert sorted(reply["text"][:7] for reply in turn["replies"]) == [
        f"Reply {n}" for n in (1, 2, 3)
    ]
    assert set(turn["replies"][0]) == {"id", "text"}
    chosen = turn["replies"][1]
    taken = client.put(
        turns_url(assignment, f"{turn['id']}/choice/"), {"chosen": chosen["id"]}, format="json"
    )
    assert taken.json()["turns"][0]["reply_text"] == chosen["text"]
    said = client.post(
        turns_url(assignment), {"text": "Go on", "parent": turn["id"]}, format="json"
    )
    second = said.json()["turns"][1]
    assert second["messages"] == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": chosen["text"]},
    ]
    assert second["reply_state"]["status"] == "queued"


def test_other_replies_come_in_a_sibling_turn_and_a_failed_one_is_asked_again(
    bobs: Callable[..., Assignment], bob: User, api: Callable[..., APIClient]
) -> None:
    client, assignment = api(bob), bobs("conversation")
    first = say(client, assignment, "Hello")
    again = turns_url(assignment, f"{first['id']}/again/")
    # Nobody answered yet: it is the same turn that waits.
    assert [turn["id"] for turn in client.post(again).json()["turns"]] == [first["id"]]
    for error, code in {"reply_failed: Out of: luck.": "reply_failed", "Out of: luck.": ""}.items():
        ReplyRequest.objects.update(status="failed", error=f"{error}\n\nTraceback: secret")
        (failed,) = client.get(turns_url(assignment)).json()["turns"]
        why = {"code": code, "error": "Out of: luck."}
        assert failed["reply_state"] == {"status": "failed", "progress": 0.0, **why}
    (waiting,) = client.post(again).json()["turns"]
    assert waiting["reply_state"]["status"] == "queued"
    assert answer_waiting() == 1
    turns = client.post(again).json()["turns"]
    assert [turn["reply_state"]["status"] for turn in turns] == ["done", "queued"]
    assert (turns[1]["text"], turns[1]["parent"]) == ("Hello", None)
    assert answer_waiting() == 1
    turns = client.get(turns_url(assignment)).json()["turns"]
    texts = [{reply["text"] for reply in turn["replies"]} for turn in turns]
    assert texts[0].isdisjoint(texts[1])


def test_a_message_is_answered_ten_times_at_most(
    bobs: Callable[..., Assignment], bob: User, api: Callable[..., APIClient]
) -> None:
    client, assignment = api(bob), bobs("conversation")
    turn = say(client, assignment, "Hello")
    again = turns_url(assignment, f"{turn['id']}/again/")
    for _ in range(MAX_ATTEMPTS - 1):
        answer_waiting()
        assert client.post(again).status_code == 200
    answer_waiting()
    refused = client.post(again)
    assert (refused.status_code, refused.json()["code"]) == (409, "reply_attempts_exhausted")
    assert Turn.objects.count() == ReplyRequest.objects.count() == 10
    # Other words are welcome.
    assert say(client, assignment, "Hi")["reply_state"]["status"] == "queued"


def test_three_messages_wait_for_replies_at_a_time(
    bobs: Callable[..., Assignment], bob: User, api: Callable[..., APIClient]
) -> None:
    client, assignment = api(bob), bobs("conversation")
    for number in range(MAX_OPEN):
        say(client, assignment, f"Message {number}")
    refused = client.post(turns_url(assignment), {"text": "One more"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "replies_open")
    assert refused.json()["extra"] == {"maximum": 3}
    answer_waiting()
    assert say(client, assignment, "One more")["reply_state"]["status"] == "queued"


def test_waiting_costs_few_queries(
    bobs: Callable[..., Assignment],
    bob: User,
    api: Callable[..., APIClient],
    django_assert_max_num_queries: Any,
) -> None:
    client, assignment = api(bob), bobs("conversation")
    for number in range(4):
        say(client, assignment, f"Message {number}")
        answer_waiting()
    with django_assert_max_num_queries(6):
        turns = client.get(turns_url(assignment)).json()["turns"]
    assert [turn["reply_state"]["status"] for turn in turns] == ["done"] * 4


def test_nothing_tells_which_policy_wrote_what(
    bobs: Callable[..., Assignment], bob: User, api: Callable[..., APIClient]
) -> None:
    client, assignment = api(bob), bobs("conversation")
    say(client, assignment, "Hello")
    answer_waiting(replies_of("Good day.", "Good morning."))
    sample = Sample.objects.select_related("checkpoint").first()
    assert sample is not None
    content = client.get(turns_url(assignment)).content.decode()
    for word in ("checkpoint", "policy", "seed", "sample", sample.checkpoint.name):
        assert word not in content


def test_only_the_assignments_owner_may_look_or_talk(
    bobs: Callable[..., Assignment],
    bob: User,
    alice: User,
    charlie: User,
    api: Callable[..., APIClient],
) -> None:
    assignment = bobs("conversation")
    turn = say(api(bob), assignment, "Hello")
    calls = [
        ("get", "", None),
        ("post", "", {"text": "Hello"}),
        ("post", f"{turn['id']}/again/", None),
        ("post", f"{turn['id']}/suggest/", None),
        ("put", f"{turn['id']}/choice/", {"chosen": 1}),
    ]
    for user, status in ((alice, 404), (charlie, 404), (None, 401)):
        for method, rest, body in calls:
            answer = getattr(api(user), method)(turns_url(assignment, rest), body, format="json")
            assert answer.status_code == status, (user, method, rest)
        assert api(user).post(draft_url(assignment)).status_code == status
    assert ReplyRequest.objects.count() == 1


@pytest.mark.parametrize("text", ["", "  ", "a\x00b", "\ud800", [7], None, "a" * 32_001])
def test_words_that_cannot_be_stored_are_refused(
    bobs: Callable[..., Assignment], bob: User, api: Callable[..., APIClient], text: Any
) -> None:
    client, assignment = api(bob), bobs("conversation")
    body = json.dumps({"text": text})
    answer = client.post(turns_url(assignment), body, content_type="application/json")
    assert answer.status_code == 400
    assert not Turn.objects.exists()


def test_before_anything_can_answer_nothing_is_begun(
    bobs: Callable[..., Assignment], bob: User, api: Callable[..., APIClient], settings: Settings
) -> None:
    client, assignment = api(bob), bobs("conversation")
    settings.PREFERENDUM_BASE_MODEL = ""
    answer = client.post(turns_url(assignment), {"text": "Hello"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_live_policy")
    assert not Turn.objects.exists()


class TestDialogue:
    def test_a_turn_gets_one_suggestion_to_edit(
        self, bobs: Callable[..., Assignment], bob: User, api: Callable[..., APIClient]
    ) -> None:
        client, assignment = api(bob), bobs("dialogue")
        turn = say(client, assignment, "What is a fugue?")
        assert (turn["suggestion"], turn["reply_state"]["status"]) == (None, "none")
        suggest = turns_url(assignment, f"{turn['id']}/suggest/")
        (turn,) = client.post(suggest).json()["turns"]
        assert turn["reply_state"]["status"] == "queued"
        assert answer_waiting(replies_of("A piece of music.")) == 1
        # One is all it gets.
        (turn,) = client.post(suggest).json()["turns"]
        assert turn["suggestion"]["text"] == "A piece of music."
        assert answer_waiting() == 0
        written = client.put(
            turns_url(assignment, f"{turn['id']}/choice/"),
            {"text": "A piece of music for voices.", "edited_from": turn["suggestion"]["id"]},
            format="json",
        )
        (turn,) = written.json()["turns"]
        assert turn["reply_text"] == "A piece of music for voices."
        assert turn["edited_from"] == turn["suggestion"]["id"]

    def test_a_suggestion_that_failed_is_asked_for_again(
        self, bobs: Callable[..., Assignment], bob: User, api: Callable[..., APIClient]
    ) -> None:
        client, assignment = api(bob), bobs("dialogue")
        turn = say(client, assignment, "What is a fugue?")
        for rest in ("suggest", "again", "suggest"):
            answer = client.post(turns_url(assignment, f"{turn['id']}/{rest}/"))
            (turn,) = answer.json()["turns"]
            assert turn["reply_state"]["status"] == "queued"
            assert ReplyRequest.objects.get().num_replies == 1
            ReplyRequest.objects.update(status="failed")

    def test_a_project_may_offer_none(
        self, bobs: Callable[..., Assignment], bob: User, api: Callable[..., APIClient]
    ) -> None:
        client, assignment = api(bob), bobs("dialogue", suggestions=False)
        turn = say(client, assignment, "What is a fugue?")
        refused = client.post(turns_url(assignment, f"{turn['id']}/suggest/"))
        assert (refused.status_code, refused.json()["code"]) == (409, "replies_not_offered")


class TestDraft:
    @pytest.fixture
    def asked(
        self, project: Project, bob: User, settings: Settings, tmp_path: Path, rung: Rung
    ) -> Callable[..., Assignment]:
        settings.PREFERENDUM_BASE_MODEL = str(tmp_path)

        def make(drafts: str) -> Assignment:
            project_update(
                actor=None, project=project, options={"demonstration": {"drafts": drafts}}
            )
            demonstration_task_make(project, prompt_make(project, "What is a fugue?"))
            return claim_make(project, bob, "demonstration")

        return make

    def test_a_draft_comes_once_and_can_be_edited(
        self, asked: Callable[..., Assignment], bob: User, api: Callable[..., APIClient]
    ) -> None:
        client, assignment = api(bob), asked("offered")
        nothing = {"status": "none", "progress": 0.0, "code": "", "error": "", "draft": None}
        assert client.get(draft_url(assignment)).json() == nothing
        for _ in range(2):
            waiting = client.post(draft_url(assignment)).json()
            assert (waiting["status"], waiting["draft"]) == ("queued", None)
        assert answer_waiting(replies_of("A piece of music.")) == 1
        for answer in (client.get(draft_url(assignment)), client.post(draft_url(assignment))):
            assert (answer.json()["status"], answer.json()["progress"]) == ("done", 1.0)
            draft = answer.json()["draft"]
            assert draft["text"] == "A piece of music."
        assert answer_waiting() == 0
        assignment.refresh_from_db()
        assert assignment.shown_order == [draft["id"]]
        submitted = client.post(
            f"/api/v1/assignments/{assignment.pk}/submit/",
            {"text": "A piece of music for voices.", "edited_from": draft["id"]},
            format="json",
        )
        assert submitted.status_code == 201, submitted.json()

    def test_it_is_offered_only_where_the_project_says_so(
        self, asked: Callable[..., Assignment], bob: User, api: Callable[..., APIClient]
    ) -> None:
        client, assignment = api(bob), asked("none")
        refused = client.post(draft_url(assignment))
        assert (refused.status_code, refused.json()["code"]) == (409, "replies_not_offered")
        assert not ReplyRequest.objects.exists()

    def test_conversations_have_none(
        self, bobs: Callable[..., Assignment], bob: User, api: Callable[..., APIClient]
    ) -> None:
        refused = api(bob).post(draft_url(bobs("conversation")))
        assert refused.json()["code"] == "replies_not_offered"


def say(client: APIClient, assignment: Assignment, text: str) -> dict[str, Any]:
    answer = client.post(turns_url(assignment), {"text": text}, format="json")
    assert answer.status_code == 201, answer.json()
    return answer.json()["turns"][-1]


def draft_url(assignment: Assignment) -> str:
    return f"/api/v1/assignments/{assignment.pk}/draft-reply/"
