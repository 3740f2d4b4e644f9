"""A small family of models, as rows alone, of which it is known who learned from whom."""

import uuid
from dataclasses import dataclass

from django.contrib.auth.models import User

from annotation.models import Project
from tests.factories import (
    completion_make,
    demonstration_make,
    prompt_make,
    ranking_make,
    thumb_make,
)
from training.choices import CheckpointKind, RoundStatus, RunStatus, SamplePurpose, Trigger
from training.models import (
    Checkpoint,
    Deployment,
    Round,
    Run,
    RunParent,
    Sample,
    Snapshot,
)

# Those of the family that learned from Bob.
BOBS = {"rm-1", "ppo-1", "ppo-1/10", "ppo-2", "kto-4"}


@dataclass(frozen=True)
class Family:
    """Dora wrote both demonstrations and three rankings, Bob one ranking and one thumb.

    Each model with what it was made from; Bob's ranking is in snapshot 1 alone, his thumb in 3:

        sft-0     on 0 (demonstrations)
        rm-1      on 1 (all rankings), from sft-0         reads Bob
        sft-1     on 1, beside Bob's ranking, reads demonstrations alone
        ppo-1     on 1, from sft-0, rm-1                  one generation from Bob's reader
        ppo-1/10  a candidate of the same run
        rm-2      on 2 (Dora's rankings), from sft-0
        ppo-2     on 2, from ppo-1, rm-2                  two generations
        ppo-3     on 2, from sft-0, rm-2
        kto-4     on 3 (Bob's thumb), from sft-1          reads Bob
    """

    project: Project
    snapshots: list[Snapshot]
    models: dict[str, Checkpoint]

    def names(self, ids: set[int]) -> set[str]:
        return {name for name, row in self.models.items() if row.pk in ids}


def snapshot_make(project: Project, judgements: list) -> Snapshot:
    snapshot = Snapshot.objects.create(project=project, hash=uuid.uuid4().hex, seed=1, manifest={})
    snapshot.assignments.add(*(row.assignment for row in judgements))
    return snapshot


def run_make(snapshot: Snapshot, step: str, method: str, **parents: Checkpoint) -> Run:
    round = Round.objects.get(snapshot=snapshot)
    run = Run.objects.create(
        project=round.project,
        round=None if Run.objects.filter(round=round, step=step).exists() else round,
        step=step,
        method=method,
        queue="train",
        status=RunStatus.SUCCEEDED,
        seed=1,
        code_version="abc1234",
        snapshot=snapshot,
    )
    for role, checkpoint in parents.items():
        RunParent.objects.create(run=run, role=role, checkpoint=checkpoint)
    return run


def model_make(run: Run, kind: str, name: str, step: int | None = None) -> Checkpoint:
    return Checkpoint.objects.create(
        project=run.project, run=run, kind=kind, name=name, path=f"runs/{run.pk}", step=step
    )


def family_make(project: Project, bob: User, dora: User) -> Family:
    demonstrations = [demonstration_make(project, dora) for _ in range(2)]
    dora_rankings = [ranking_make(project, dora) for _ in range(3)]
    all_rankings = [*dora_rankings, ranking_make(project, bob)]
    judged = [
        [],
        all_rankings,
        dora_rankings,
        [thumb_make(project, bob)],
    ]
    snapshots = []
    for number, more in enumerate(judged):
        snapshots.append(snapshot_make(project, [*demonstrations, *more]))
        Round.objects.create(
            project=project,
            number=number,
            status=RoundStatus.SUCCEEDED,
            steps=["freeze"],
            step="freeze",
            trigger=Trigger.MANUAL,
            snapshot=snapshots[-1],
            finished_at=snapshots[-1].created_at,
        )
    base = Checkpoint.objects.create(kind=CheckpointKind.BASE, name="base", path="base_model/x")
    zero, one, two, three = snapshots
    models = {"base": base}

    def add(name: str, snapshot: Snapshot, step: str, method: str, **parents: str) -> None:
        kind = {"sft": "sft", "reward_model": "reward_model"}.get(step, "policy")
        made_from = {role: models[parent] for role, parent in parents.items()}
        models[name] = model_make(run_make(snapshot, step, method, **made_from), kind, name)

    add("sft-0", zero, "sft", "sft", init="base")
    add("rm-1", one, "reward_model", "reward_model", init="sft-0")
    add("sft-1", one, "sft", "sft", init="base")
    add("ppo-1", one, "policy", "ppo", reference="sft-0", reward_model="rm-1")
    models["ppo-1/10"] = model_make(models["ppo-1"].run, "policy", "ppo-1/10", step=10)
    add("rm-2", two, "reward_model", "reward_model", init="sft-0")
    add("ppo-2", two, "policy", "ppo", init="ppo-1", reference="sft-0", reward_model="rm-2")
    add("ppo-3", two, "policy", "ppo", reference="sft-0", reward_model="rm-2")
    add("kto-4", three, "policy", "kto", reference="sft-1")
    Deployment.objects.create(
        project=project, checkpoint=models["ppo-2"], round=Round.objects.get(number=2)
    )
    return Family(project, snapshots, models)


def sampled(family: Family, name: str) -> int:
    completion = completion_make(prompt_make(family.project))
    Sample.objects.create(
        completion=completion, checkpoint=family.models[name], run=family.models[name].run,
        index=0, settings={}, seed=1, num_tokens=2, finished=True, purpose=SamplePurpose.RANKING,
    )  # fmt: skip
    return completion.pk
