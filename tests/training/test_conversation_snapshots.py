"""What is learned from conversations, and that no turn crosses the train/held-out split."""

import json
from collections import defaultdict
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotation.models import Assignment, Completion, Project, Turn
from annotation.services.assignments import assignment_submit
from annotation.services.projects import project_update
from annotation.services.turns import turn_choose, turn_show
from annotation.services.undo import UndoRefused, assignment_undo
from tests.factories import (
    completion_make,
    conversation_make,
    exchange_make,
    replies_make,
    talk_begin,
    turn_make,
)
from training.algorithms.data.record_checks import SplitCheck
from training.models import LoopSettings, Snapshot
from training.services.snapshots import HELD_OUT, TRAIN, snapshot_create, snapshot_folder

pytestmark = pytest.mark.django_db


def read(snapshot: Snapshot, name: str) -> list[dict[str, Any]]:
    text = (snapshot_folder(snapshot.hash) / f"{name}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def submit(assignment: Assignment, **payload: Any) -> None:
    assignment_submit(assignment_id=assignment.pk, annotator=assignment.annotator, payload=payload)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def test_all_turns_of_a_conversation_are_on_the_side_of_its_opening(
    project: Project, bob: User, small: LoopSettings
) -> None:
    """With a side of its own, a second turn would stray with the probability 2 * 0.2 * 0.8."""
    for number in range(30):
        conversation_make(project, bob, f"Opening {number}?")
    snapshot = snapshot_create(project=project, settings=small)
    sides: dict[str, set[str]] = defaultdict(set)
    records = read(snapshot, "rankings")
    check = SplitCheck()
    for record in records:
        sides[record["prompt"][0]["content"]].add(record["split"])
        check.add("rankings", record)
    assert len(records) == 60
    assert len(sides) == 30
    assert all(len(side) == 1 for side in sides.values())
    assert set.union(*sides.values()) == {TRAIN, HELD_OUT}
    counts = snapshot.manifest["rankings"]
    assert counts == {
        side: sum(record["split"] == side for record in records) for side in (TRAIN, HELD_OUT)
    }
    # No policy is sampled on what labelers happened to say.
    assert read(snapshot, "prompts") == []


def test_replies_that_read_the_same_are_told_apart_by_nobody(
    project: Project, bob: User, small: LoopSettings
) -> None:
    for texts in (["same", "same"], ["same", "same", "other"]):
        talk = talk_begin(project, bob, "conversation")
        turn = turn_make(talk, f"About {len(texts)}.")
        shown = [completion_make(turn.prompt, text).pk for text in texts]
        turn_show(turn_id=turn.pk, completion_ids=shown)
        turn_choose(turn_id=turn.pk, annotator=bob, chosen=shown[0])
        submit(talk)
    records = read(snapshot_create(project=project, settings=small), "rankings")
    assert {len(record["ranks"]): ranks_by_text(record) for record in records} == {
        2: [("same", 1), ("same", 1)],
        3: [("other", 2), ("same", 1), ("same", 1)],
    }


def test_a_judgement_that_teaches_nothing_is_frozen_once_all_the_same(
    project: Project, bob: User, small: LoopSettings
) -> None:
    """The files do not change by it; were it new for ever, rounds would start without an end."""
    project_update(actor=None, project=project, kinds=["rule_probe"])

    def probe(verdict: str) -> None:
        talk = talk_begin(project, bob, "rule_probe")
        exchange_make(talk, "Break it.", num=1)
        submit(talk, verdict=verdict)

    probe("kept")
    before = snapshot_create(project=project, settings=small)
    probe("unsure")
    after = snapshot_create(project=project, settings=small)
    assert (before.hash, after.assignments.count()) == (after.hash, 2)


def ranks_by_text(record: dict[str, Any]) -> list[tuple[str, int]]:
    return sorted(zip(record["completions"], record["ranks"], strict=True))


def test_a_branch_with_another_opening_has_its_own_side(
    project: Project, bob: User, small: LoopSettings
) -> None:
    """The same words may open another person's conversation, where they have that side too."""
    talk = talk_begin(project, bob, "conversation")
    for number in range(20):
        exchange_make(talk, f"Opening {number}?")
    submit(talk)
    for number in range(20):
        conversation_make(project, bob, f"Opening {number}?")
    check = SplitCheck()
    for record in read(snapshot_create(project=project, settings=small), "rankings"):
        check.add("rankings", record)


def test_the_examples_of_a_conversation_are_its_choices(
    project: Project, bob: User, small: LoopSettings
) -> None:
    conversation_make(project, bob, "Hello?")
    first, second = Turn.objects.order_by("pk")
    opening = [user("Hello?")]
    path = [*opening, assistant(first.chosen.text), user("And then?")]
    snapshot = snapshot_create(project=project, settings=small)
    records = read(snapshot, "rankings")
    assert [record["prompt"] for record in records] == [opening, path]
    texts = dict(Completion.objects.values_list("pk", "text"))
    for record, turn in zip(records, (first, second), strict=True):
        turn.refresh_from_db()
        assert record["kind"] == "conversation"
        assert record["completions"] == [texts[pk] for pk in turn.shown_order]
        ranks = [1 if pk == turn.chosen_id else 2 for pk in turn.shown_order]
        assert record["ranks"] == ranks
    assert list(snapshot.assignments.all()) == [first.assignment]


def test_a_dialogue_is_frozen_as_demonstrations_and_edits(
    project: Project, bob: User, small: LoopSettings
) -> None:
    talk = talk_begin(project, bob, "dialogue")
    turn = turn_make(talk, "Hello?")
    [suggestion] = replies_make(turn, 1)
    turn_choose(turn_id=turn.pk, annotator=bob, text="Good day.", edited_from=suggestion.pk)
    submit(talk)
    snapshot = snapshot_create(project=project, settings=small)
    [demonstration] = read(snapshot, "demonstrations")
    [ranking] = read(snapshot, "rankings")
    assert (demonstration["prompt"], demonstration["completion"]) == ([user("Hello?")], "Good day.")
    assert (ranking["completions"], ranking["ranks"]) == (["Good day.", suggestion.text], [1, 2])
    assert demonstration["split"] == ranking["split"]


def test_an_attack_and_a_probe_are_frozen_with_their_verdicts(
    project: Project, bob: User, small: LoopSettings
) -> None:
    attack = talk_begin(project, bob, "red_team", num_replies=3)
    exchange_make(attack, num=3)
    submit(attack, attack_success=4)
    probe = talk_begin(project, bob, "rule_probe")
    turn = exchange_make(probe, "Break it.", num=1)
    submit(probe, verdict="broken", broken_at=turn.pk)
    snapshot = snapshot_create(project=project, settings=small)
    [ranking] = read(snapshot, "rankings")
    [rating] = read(snapshot, "ratings")
    assert sorted(ranking["ranks"]) == [1, 2, 3]
    assert (rating["kind"], rating["desirable"]) == ("rule_probe", False)
    assert (rating["prompt"], rating["completion"]) == ([user("Break it.")], turn.chosen.text)


def test_a_frozen_conversation_is_not_taken_back(
    project: Project, bob: User, small: LoopSettings
) -> None:
    conversation = conversation_make(project, bob)
    snapshot_create(project=project, settings=small)
    with pytest.raises(UndoRefused):
        assignment_undo(assignment_id=conversation.assignment_id, annotator=bob)
