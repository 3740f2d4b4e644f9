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
TRIED_STEPS = [
    "freeze",
    "reward_model",
    "calibrate",
    "test_reward_model",
    "policy",
    "evaluate",
    "decide",
    "sample",
    "queue",
    "verdict",
    "deploy",
]
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


GATES = [
    {
        "gate": "min_pair_accuracy",
        "status": "passed",
        "value": 0.71,
        "limit": 0.5,
        "sentence": "The reward model orders 71.0% of the held-out pairs as people do.",
    },
    {
        "gate": "min_test_gain",
        "status": "passed",
        "value": 0.64,
        "limit": 0.0,
        "sentence": "The policy gains +0.64 ± 0.11 over the reference by the test reward model.",
    },
    {
        "gate": "min_gain_over_previous",
        "status": "unmeasured",
        "value": None,
        "limit": 0.0,
        "sentence": "The gain over the policy in use was not measured by a test reward model.",
    },
    {
        "gate": "max_kl",
        "status": "passed",
        "value": 9.0,
        "limit": 50.0,
        "sentence": "The KL to the reference is 9.0 nats, at most 50 is allowed.",
    },
]
HELD = {
    "gate": "max_length_ratio",
    "status": "hold",
    "value": 2.31,
    "limit": 2.0,
    "sentence": "Its answers and the reference's differ 2.31-fold in tokens (72 and 31), above 2.",
}
REJECTED = HELD | {"status": "reject"}
TRIAL = {"wins": 15.5, "num": 24, "low": 0.401, "high": 0.838}
# Three checkpoints: the proxy goes on rising, the test reward turns at the second.
CANDIDATES = [
    {"role": "candidate_000010", "step": 10, "kl": 4.0, "proxy_gain": 0.6, "test_gain": 0.5},
    {"role": "candidate_000020", "step": 20, "kl": 9.0, "proxy_gain": 1.1, "test_gain": 0.64},
    {"role": "policy", "step": None, "kl": 25.0, "proxy_gain": 1.7, "test_gain": 0.3},
]
ERRORS = {"proxy_gain_error": 0.08, "test_gain_error": 0.11}
BEST_OF_N = [
    {"n": 1, "kl": 0.0, "proxy": 0.1, "test": 0.05},
    {"n": 2, "kl": 0.193, "proxy": 0.4, "test": 0.25},
    {"n": 4, "kl": 0.636, "proxy": 0.7, "test": 0.41},
]
EVALUATION = {
    "metrics": HEADLINE | {"evaluate/test_gain": 0.64, "evaluate/test_gain_error": 0.11},
    "data": {
        "candidates": [row | ERRORS for row in CANDIDATES],
        "reference": {"role": "reference", "proxy": 0.1, "test": 0.05},
        "chosen": "candidate_000020",
        "best_of_n": BEST_OF_N,
    },
}
STATES = {
    "running": {"step": "policy", "status": "running"},
    "paused": {"step": "policy", "status": "paused"},
    "approval": {"step": "decide", "status": "running", "waiting_for": "approval"},
    "votes": {"step": "verdict", "status": "running", "waiting_for": "votes"},
    "promoted": {"step": "deploy", "status": "succeeded", "decision": "promote"},
    "held": {"step": "decide", "status": "succeeded", "decision": "hold"},
    "rejected": {"step": "decide", "status": "succeeded", "decision": "reject"},
    "rolled_back": {"step": "deploy", "status": "succeeded", "decision": "promote"},
    "failed": {"step": "policy", "status": "failed"},
}


def decided_round_make(rows: LoopRows, state: str, person: User | None = None) -> Round:
    """Round 2 of the project in one of STATES, with a policy of three checkpoints."""
    project = rows.project
    item = round_make(project, 2, TRIED_STEPS, rows.policy_run.snapshot)
    run_make(item, "reward_model", "reward_model")
    policy_run = run_make(item, "policy", "ppo", progress_done=12, progress_total=40)
    RunParent.objects.create(run=policy_run, checkpoint=rows.sft, role="reference")
    last = checkpoint_make(policy_run, CheckpointKind.POLICY, "ppo-2")
    earlier = [
        Checkpoint.objects.create(
            project=project,
            run=policy_run,
            step=step,
            kind=CheckpointKind.POLICY,
            name=f"ppo-2@{step}",
            path=f"runs/{policy_run.pk}/candidates/{step:06d}",
        )
        for step in (10, 20)
    ]
    fields = {"finished_at": None} | STATES[state]
    if fields["status"] not in ("running", "paused"):
        fields["finished_at"] = timezone.now()
    if state in ("running", "paused", "failed"):
        Run.objects.filter(pk=policy_run.pk).update(
            status="failed" if state == "failed" else "queued",
            finished_at=timezone.now() if state == "failed" else None,
        )
        fields |= (
            {"error_code": "training_halted", "error_text": "KL 61.2 is beyond max_kl."}
            if (state == "failed")
            else {}
        )
    else:
        run = run_make(item, "evaluate", "evaluate", result=EVALUATION)
        roles = ("candidate_000010", "candidate_000020", "policy")
        for role, checkpoint in zip(roles, [*earlier, last], strict=True):
            RunParent.objects.create(run=run, checkpoint=checkpoint, role=role)
        extra = {"held": [HELD], "rejected": [REJECTED]}.get(state, [])
        fields |= {
            "chosen": earlier[1],
            "decision_data": {"gates": [*GATES, *extra]},
            "decision_reason": HELD["sentence"] if extra else "All 3 gates let it through.",
        }
    if state in ("votes", "promoted", "rolled_back"):
        fields["decision_data"]["trial"] = TRIAL
    if fields.get("decision"):
        fields["decided_at"] = timezone.now()
    if state in ("promoted", "rolled_back"):
        Deployment.objects.filter(project=project).update(retired_at=timezone.now())
        is_back = state == "rolled_back"
        Deployment.objects.create(
            project=project,
            checkpoint=earlier[1],
            round=item,
            retired_at=timezone.now() if is_back else None,
        )
        company = {"role": "primary"} if is_back else {"role": "previous", "weight": 0.25}
        Deployment.objects.create(project=project, checkpoint=rows.policy, **company)
    if state == "rolled_back":
        fields |= {
            "rolled_back_at": timezone.now(),
            "rolled_back_by": person,
            "rollback_reason": "It flatters.",
        }
    Round.objects.filter(pk=item.pk).update(settings={"trial_votes": 40}, **fields)
    item.refresh_from_db()
    return item
