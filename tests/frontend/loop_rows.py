"""Rows of a loop that has turned, for pages to show: an SFT round, a PPO round, a failed run."""

import math
import uuid
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.utils import timezone

from annotation.models import Project
from tests.factories import completion_make, prompt_make
from training.algorithms.measuring.calibration import JudgedPair, calibration_report
from training.choices import CheckpointKind, RoundStatus, RunStatus, SamplePurpose
from training.models import (
    Checkpoint,
    Deployment,
    LoopSettings,
    Metric,
    Round,
    Run,
    RunParent,
    Sample,
    Snapshot,
)

SFT_STEPS = ["freeze", "sft", "deploy", "sample", "queue"]
PPO_STEPS = ["freeze", "reward_model", "policy", "evaluate", "deploy", "sample", "queue"]
HEADLINE = {
    "evaluate/pair_accuracy": 0.71,
    "evaluate/pair_accuracy_low": 0.62,
    "evaluate/pair_accuracy_high": 0.78,
    "evaluate/num_pairs": 120,
    "evaluate/num_prompts": 20,
    "evaluate/reward_policy": 1.25,
    "evaluate/reward_policy_error": 0.1,
    "evaluate/reward_reference": 0.05,
    "evaluate/reward_reference_error": 0.1,
    "evaluate/reward_gain": 1.2,
    "evaluate/reward_gain_error": 0.12,
    "evaluate/kl_to_reference": 2.5,
    "evaluate/length_tokens_policy": 31.0,
    "evaluate/length_tokens_reference": 33.0,
}


@dataclass(frozen=True)
class LoopRows:
    project: Project
    sft: Checkpoint
    policy: Checkpoint
    policy_run: Run
    reward_run: Run
    failed_run: Run


def loop_rows_make(project: Project, person: User) -> LoopRows:
    LoopSettings.objects.get_or_create(project=project)
    snapshot = Snapshot.objects.create(
        project=project,
        hash=uuid.uuid4().hex,
        seed=1,
        manifest={"rankings": {"train": 40, "held_out": 10}},
    )
    first = round_make(project, 0, SFT_STEPS, snapshot)
    sft_run = run_make(first, "sft", "sft")
    sft = checkpoint_make(sft_run, CheckpointKind.SFT, "zz-sft-secret")
    second = round_make(project, 1, PPO_STEPS, snapshot)
    report = {"metrics": {}, "data": {"calibration": calibration_report(judged_pairs())}}
    reward_run = run_make(second, "reward_model", "reward_model", result=report)
    policy_run = run_make(second, "policy", "ppo")
    policy = checkpoint_make(policy_run, CheckpointKind.POLICY, "zz-policy-secret")
    RunParent.objects.create(run=policy_run, checkpoint=sft, role="reference")
    for step, value in ((1, 0.5), (2, 0.7)):
        Metric.objects.create(run=policy_run, name="policy/kl_to_reference", step=step, value=value)
    evaluation = run_make(second, "evaluate", "evaluate", result={"metrics": HEADLINE})
    for index, checkpoint in enumerate((sft, policy)):
        sample_make(evaluation, checkpoint, index, text=f"Held-out answer of {checkpoint.name}")
    Deployment.objects.create(project=project, checkpoint=policy, round=second)
    failed = run_make(
        None,
        "sft",
        "sft",
        project=project,
        status=RunStatus.FAILED,
        error_code="loss_not_finite",
        error_text="The loss became NaN at step 3.",
    )
    return LoopRows(project, sft, policy, policy_run, reward_run, failed)


def judged_pairs() -> list[JudgedPair]:
    """120 pairs that a reward model gives 55 to 95 %, and is right on about as often."""
    pairs = []
    for index in range(120):
        probability = 0.55 + 0.1 * (index % 5)
        is_right = (index * 37 % 100) / 100 < probability
        odds = math.log(probability / (1 - probability))
        writers = ("ppo-1", "sft-0") if index % 3 else ("person", "ppo-1")
        length = (index * 13 % 41) - 20
        pairs.append(
            JudgedPair(index // 4, odds if is_right else -odds, length, writers, None, index % 2)
        )
    return pairs


def round_make(project: Project, number: int, steps: list[str], snapshot: Snapshot) -> Round:
    return Round.objects.create(
        project=project,
        number=number,
        status=RoundStatus.SUCCEEDED,
        steps=steps,
        step=steps[-1],
        trigger="automatic",
        snapshot=snapshot,
        finished_at=timezone.now(),
    )


def run_make(round: Round | None, step: str, method: str, **fields: object) -> Run:
    fields = {"status": RunStatus.SUCCEEDED, "started_at": timezone.now()} | fields
    if round is not None:
        fields = {"project": round.project, "snapshot": round.snapshot} | fields
    if fields["status"] in (RunStatus.SUCCEEDED, RunStatus.FAILED):
        fields.setdefault("finished_at", timezone.now())
    return Run.objects.create(
        round=round,
        step=step,
        method=method,
        queue="train",
        seed=7,
        code_version="abc1234",
        config={"learning_rate": 0.001},
        **fields,
    )


def checkpoint_make(run: Run, kind: CheckpointKind, name: str) -> Checkpoint:
    return Checkpoint.objects.create(
        project=run.project, run=run, kind=kind, name=name, path=f"checkpoints/{run.pk}"
    )


def sample_make(run: Run, checkpoint: Checkpoint, index: int, text: str) -> Sample:
    prompt = prompt_make(run.project, text="The held-out prompt?") if index == 0 else None
    prompt = prompt or run.project.prompts.get(messages__0__content="The held-out prompt?")
    return Sample.objects.create(
        completion=completion_make(prompt, text),
        checkpoint=checkpoint,
        run=run,
        index=index,
        settings={"temperature": 1.0},
        seed=1,
        num_tokens=12,
        finished=True,
        purpose=SamplePurpose.EVALUATION,
    )
