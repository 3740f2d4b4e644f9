"""Training uses every kind of judgement: what is frozen, counted and read of each."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotation.models import Assignment, Project
from annotation.services.assignments import assignment_submit
from annotation.services.projects import project_update
from annotation.services.undo import UndoRefused, assignment_undo
from tests.factories import (
    answers_task_make,
    claim_make,
    conversation_make,
    prompt_make,
    ranking_make,
)
from tests.tiny import tiny_tokenizer
from training.algorithms.data.encoding import rankings_encode
from training.algorithms.methods import method_get
from training.choices import RewardModelUse, RoundStep
from training.models import LoopSettings, Round, Snapshot
from training.selectors.judgements import held_count
from training.selectors.lineage import labeler_lineage
from training.selectors.loop import Requirement, loop_status, requirement_get
from training.services.base_model import base_checkpoint_get
from training.services.run_folder import run_folder_prepare
from training.services.runs import run_create
from training.services.snapshots import snapshot_create, snapshot_folder

pytestmark = pytest.mark.django_db


def read(snapshot: Snapshot, name: str) -> list[dict[str, Any]]:
    text = (snapshot_folder(snapshot.hash) / f"{name}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def comparison_make(project: Project, annotator: User, strength: int | None = 3) -> Assignment:
    """The second answer is better by so many steps; None: neither is."""
    if "comparison" not in project.kinds:
        project_update(actor=None, project=project, kinds=[*project.kinds, "comparison"])
    task = answers_task_make(project, "comparison", num_completions=2)
    assignment = claim_make(project, annotator, "comparison")
    better = task.task_completions.order_by("index").last().completion_id
    payload = {"preferred": better if strength else None, "strength": strength}
    assignment_submit(assignment_id=assignment.pk, annotator=annotator, payload=payload)
    return assignment


def test_a_strength_reaches_the_reward_model(
    project: Project, bob: User, small: LoopSettings
) -> None:
    comparison_make(project, bob, strength=3)
    comparison_make(project, bob, strength=None)
    ranking_make(project, bob)
    small.held_out_percent = 0
    snapshot = snapshot_create(project=project, settings=small)
    run = run_create(
        settings=small,
        step=RoundStep.REWARD_MODEL,
        method=method_get("reward_model"),
        seed=1,
        snapshot=snapshot,
        parents={"init": base_checkpoint_get(base_model=small.base_model)},
    )
    lines = (run_folder_prepare(run) / "data" / "rankings.jsonl").read_text().splitlines()
    encoded = rankings_encode(tiny_tokenizer(), map(json.loads, lines), max_tokens=100)
    found = sorted((r.strength or 0, list(r.ranks)) for r in encoded.records)
    assert found == [(0, [1, 1]), (0, [1, 2, 2]), (3, [2, 1])]


def test_every_turn_of_a_conversation_is_learned_from_on_its_openings_side(
    project: Project, bob: User, small: LoopSettings
) -> None:
    # Among twelve openings both sides are there, whatever hashes they have.
    talks = [conversation_make(project, bob, f"Hello number {n}?") for n in range(12)]
    small.held_out_percent = 50
    snapshot = snapshot_create(project=project, settings=small)
    records = read(snapshot, "rankings")
    assert len(records) == 24
    assert {record["split"] for record in records} == {"train", "held_out"}
    for talk in talks:
        own = [record for record in records if record["id"] == talk.pk]
        assert [len(record["prompt"]) for record in own] == [1, 3]
        assert len({record["split"] for record in own}) == 1
        turns = talk.assignment.turns.order_by("pk")
        assert [record["prompt_id"] for record in own] == [turn.prompt_id for turn in turns]
    # Two pairs of a conversation are one judgement.
    assert held_count(snapshot, "rankings") == 12


def test_few_shot_pairs_teach_on_the_side_of_their_prompt(
    project: Project, bob: User, small: LoopSettings
) -> None:
    project_update(
        actor=None,
        project=project,
        kinds=[*project.kinds, "prompt_writing"],
        targets={"prompt_writing": 2},
        options={"prompt_writing": {"num_pairs": 3}},
    )
    pairs = [{"query": f"{n}+{n}", "response": str(2 * n)} for n in (1, 2, 3)]
    # The same pairs in another order: their rotations are the same texts.
    for given in (pairs, [pairs[1], pairs[0], pairs[2]]):
        assignment = claim_make(project, bob, "prompt_writing")
        payload = {"form": "few_shot", "use_case": "other", "instruction": "Add.", "pairs": given}
        assignment_submit(assignment_id=assignment.pk, annotator=bob, payload=payload)
    small.held_out_percent = 50
    records = read(snapshot_create(project=project, settings=small), "demonstrations")
    assert len(records) == 6
    sides: dict[str, set[str]] = {}
    for record in records:
        sides.setdefault(json.dumps(record["prompt"]), set()).add(record["split"])
    assert all(len(splits) == 1 for splits in sides.values())


def test_a_judgement_taken_back_in_time_is_in_no_snapshot_and_later_ones_stay(
    project: Project, bob: User, small: LoopSettings
) -> None:
    kept, regretted = ranking_make(project, bob), ranking_make(project, bob)
    assignment_undo(assignment_id=regretted.assignment_id, annotator=bob)
    snapshot = snapshot_create(project=project, settings=small)
    assert list(snapshot.assignments.all()) == [kept.assignment]
    assert [record["id"] for record in read(snapshot, "rankings")] == [kept.pk]
    with pytest.raises(UndoRefused) as refusal:
        assignment_undo(assignment_id=kept.assignment_id, annotator=bob)
    assert refusal.value.extra["why"] == "frozen"
    assert list(snapshot.assignments.all()) == [kept.assignment]


@pytest.fixture
def begun(project: Project, bob: User, small: LoopSettings) -> Project:
    """Its base model is deployed, and its last round saw one comparison and one conversation."""
    project.deployments.create(checkpoint=base_checkpoint_get(base_model=small.base_model))
    comparison_make(project, bob)
    conversation_make(project, bob)
    snapshot = snapshot_create(project=project, settings=small)
    Round.objects.create(
        project=project, number=0, steps=["freeze"], status="cancelled", trigger="manual",
        snapshot=snapshot, finished_at=snapshot.created_at,
    )  # fmt: skip
    return project


def test_a_round_that_waits_for_rankings_is_fed_by_every_kind_that_orders_answers(
    begun: Project, bob: User, small: LoopSettings
) -> None:
    assert requirement_get(begun, small).have == 0
    ranking_make(begun, bob)
    comparison_make(begun, bob)
    # Two turns, one judgement.
    conversation_make(begun, bob, "Good morning!")
    assert requirement_get(begun, small) == Requirement("judgements", 3, 6)
    assert loop_status(begun).num_rankings == 5
    begun.kinds = ["demonstration", "comparison"]
    assert requirement_get(begun, small) == Requirement("comparisons", 1, 6)


def test_what_may_teach_nothing_is_not_waited_for(
    begun: Project, bob: User, small: LoopSettings
) -> None:
    begun.kinds = ["prompt_writing", "ranking"]
    assert requirement_get(begun, small).what == "rankings"
    small.policy_method, small.reward_model = "kto", RewardModelUse.NONE
    begun.kinds = ["rule_probe", "ranking"]
    assert requirement_get(begun, small).what == "rule probes"
    small.save()
    begun.save()
    assert "needs 6 new rule probes;" in loop_status(begun).sentence


def test_a_persons_lineage_holds_every_kind(begun: Project, bob: User) -> None:
    lineage = labeler_lineage(begun, bob)
    (share,) = lineage.snapshots
    assert share.judgements == {"comparison": 1, "conversation": 1}
    assert share.total == 2
    assert lineage.judgements["conversation"] == 1


def test_prompts_of_conversations_are_no_prompts_of_the_loop(
    begun: Project, small: LoopSettings
) -> None:
    asked = prompt_make(begun)
    records = read(snapshot_create(project=begun, settings=small), "prompts")
    in_files = {record["prompt_id"] for record in records}
    turns = begun.prompts.filter(source="conversation").values_list("pk", flat=True)
    assert asked.pk in in_files
    assert len(turns) == 2
    assert in_files.isdisjoint(turns)
