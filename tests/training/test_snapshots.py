"""Freezing: the same content is the same snapshot, and no prompt is on both sides."""

import json

import pytest
from django.contrib.auth.models import User

from annotation.models import Assignment, GuidelinesVersion, Project
from tests.factories import demonstration_make, prompt_make, ranking_make, thumb_make
from tests.training.people import prompts_make
from training.algorithms.methods import method_get
from training.models import LoopSettings, Round, Sample, Snapshot
from training.selectors.judgements import held_count
from training.services.base_model import base_checkpoint_get
from training.services.runs import run_create
from training.services.snapshots import (
    HELD_OUT,
    TRAIN,
    prompt_split,
    snapshot_create,
    snapshot_folder,
)

pytestmark = pytest.mark.django_db


def read(snapshot: Snapshot, name: str) -> list[dict]:
    text = (snapshot_folder(snapshot.hash) / f"{name}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def judged(project: Project, bob: User, small: LoopSettings) -> Project:
    for prompt in prompts_make(project, 20):
        ranking_make(project, bob, places=((1,), (0, 2)), prompt=prompt)
        demonstration_make(project, bob, "A good answer.", prompt)
    return project


def test_the_split_is_decided_by_the_first_32_bits_of_the_hash() -> None:
    # 0x00000013 = 19 < 20; 0x00000014 = 20; 0x00000064 = 100, which is 0 modulo 100.
    assert prompt_split("00000013" + "f" * 56, 20) == HELD_OUT
    assert prompt_split("00000014" + "0" * 56, 20) == TRAIN
    assert prompt_split("00000064" + "f" * 56, 1) == HELD_OUT
    assert prompt_split("00000000" + "0" * 56, 0) == TRAIN


def test_no_prompt_is_on_both_sides(judged: Project, small: LoopSettings) -> None:
    snapshot = snapshot_create(project=judged, settings=small)
    sides: dict[str, set[int]] = {TRAIN: set(), HELD_OUT: set()}
    for name in ("rankings", "demonstrations", "prompts"):
        for record in read(snapshot, name):
            sides[record["split"]].add(record["prompt_id"])
    assert sides[TRAIN]
    assert sides[HELD_OUT]
    assert not sides[TRAIN] & sides[HELD_OUT]
    counts = snapshot.manifest["rankings"]
    assert counts[TRAIN] + counts[HELD_OUT] == 20
    assert counts[HELD_OUT] == len([r for r in read(snapshot, "rankings") if r["split"] != TRAIN])


def test_the_same_content_is_one_snapshot_and_one_more_ranking_another(
    judged: Project, bob: User, small: LoopSettings
) -> None:
    first = snapshot_create(project=judged, settings=small)
    assert snapshot_create(project=judged, settings=small) == first
    assert held_count(first, "rankings") == 20
    assert held_count(first, "demonstrations") == 20
    ranking_make(judged, bob)
    second = snapshot_create(project=judged, settings=small)
    assert second.hash != first.hash
    assert held_count(second, "rankings") == 21
    # The first one is what it was.
    assert len(read(first, "rankings")) == held_count(first, "rankings") == 20
    small.held_out_percent = 50
    assert snapshot_create(project=judged, settings=small).hash not in {first.hash, second.hash}


def test_how_long_a_judgement_took_changes_no_snapshot(
    judged: Project, small: LoopSettings
) -> None:
    first = snapshot_create(project=judged, settings=small)
    guidelines = GuidelinesVersion.objects.create(project=judged, number=1, text="Be kind.")
    Assignment.objects.update(seconds_spent=12.5, guidelines=guidelines)
    assert snapshot_create(project=judged, settings=small) == first
    written = b"".join(path.read_bytes() for path in snapshot_folder(first.hash).iterdir())
    assert b"seconds_spent" not in written
    assert b"guidelines" not in written


def test_a_ranking_is_stored_as_given_with_its_ties(
    project: Project, bob: User, small: LoopSettings
) -> None:
    ranking = ranking_make(project, bob, places=((1,), (0, 2)), prompt=prompt_make(project, "Q?"))
    (record,) = read(snapshot_create(project=project, settings=small), "rankings")
    assert record["id"] == ranking.pk
    assert record["prompt"] == [{"role": "user", "content": "Q?"}]
    assert record["ranks"] == [2, 1, 2]
    assert len(record["completions"]) == 3
    assert all(isinstance(text, str) for text in record["completions"])
    # Who judged and when stays in the database.
    assert "annotator" not in record
    assert "created_at" not in record
    assert "bob" not in json.dumps(record)


def test_thumbs_are_frozen_as_the_ratings_that_kto_reads(
    project: Project, bob: User, small: LoopSettings
) -> None:
    prompt = prompt_make(project, "Q?")
    thumbs = [thumb_make(project, bob, is_up=is_up, prompt=prompt) for is_up in (True, False)]
    snapshot = snapshot_create(project=project, settings=small)
    split = prompt_split(prompt.content_hash, 20)
    assert read(snapshot, "ratings") == [
        {
            "id": thumb.pk,
            "kind": "thumbs",
            "prompt_id": prompt.pk,
            "prompt": [{"role": "user", "content": "Q?"}],
            "completion": thumb.completion.text,
            "desirable": desirable,
            "split": split,
        }
        for thumb, desirable in zip(thumbs, [True, False], strict=True)
    ]
    assert set(snapshot.assignments.all()) == {thumb.assignment for thumb in thumbs}
    assert snapshot.manifest["ratings"] == {TRAIN: 0, HELD_OUT: 0} | {split: 2}


def test_a_ranking_names_who_wrote_its_completions_and_in_which_round(
    project: Project, bob: User, small: LoopSettings, silence: None
) -> None:
    ranking = ranking_make(project, bob, places=((0,), (1,), (2,)))
    base = base_checkpoint_get()
    method = method_get("sample")
    round = Round.objects.create(project=project, number=3, step="sample")
    runs = [
        run_create(
            settings=small, step="sample", method=method, seed=n, parents={"policy": base}, round=r
        )
        for n, r in enumerate([round, None])
    ]
    items = sorted(ranking.task.task_completions.all(), key=lambda part: part.index)
    for index, (run, item) in enumerate(zip(runs, items, strict=False)):
        Sample.objects.create(
            completion=item.completion, checkpoint=base, run=run, index=index, settings={},
            seed=1, num_tokens=2, finished=True, purpose="ranking",
        )  # fmt: skip
    (record,) = read(snapshot_create(project=project, settings=small), "rankings")
    assert record["sources"] == [base.name, base.name, "person"]
    assert record["round"] == 3


def test_the_files_are_read_only_and_come_before_the_row(
    judged: Project, small: LoopSettings
) -> None:
    snapshot = snapshot_create(project=judged, settings=small)
    folder = snapshot_folder(snapshot.hash)
    assert {path.name for path in folder.iterdir()} == {
        "demonstrations.jsonl",
        "rankings.jsonl",
        "ratings.jsonl",
        "prompts.jsonl",
    }
    assert all(path.stat().st_mode & 0o222 == 0 for path in folder.iterdir())
    assert not list(folder.parent.glob(".new-*"))
