"""Which checkpoint plays which part in a run."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from django.db.models import QuerySet

from training.algorithms.methods import Method
from training.choices import CheckpointKind, DeploymentRole, PolicyStart, RewardModelUse, RoundStep
from training.errors import ConfigInvalid
from training.models import Checkpoint, Deployment, LoopSettings, Round, Run
from training.selectors.lineage import checkpoint_affected_by
from training.services.base_model import base_checkpoint_get
from training.services.configs import run_config

KIND_OF_STAGE = {
    "sft": CheckpointKind.SFT,
    "reward_model": CheckpointKind.REWARD_MODEL,
    "policy": CheckpointKind.POLICY,
}
LAST = "output"


def checkpoint_register(*, run: Run, method: Method, result: dict[str, Any]) -> None:
    """The checkpoints of a succeeded run: the last one and those kept along the way. Idempotent."""
    if method.produces is None:
        return
    suffix = str(run.round.number) if run.round else str(run.pk)
    name = f"{run.step if run.step == RoundStep.TEST_REWARD_MODEL else method.name}-{suffix}"
    kept = (result.get("data") or {}).get("candidates") or [{"folder": LAST}]
    for item in kept:
        is_last = item["folder"] == LAST
        Checkpoint.objects.get_or_create(
            run=run,
            step=None if is_last else item["step"],
            defaults={
                "project": run.project,
                "kind": KIND_OF_STAGE[method.stage],
                "name": name if is_last else f"{name}@{item['step']}",
                "path": str(PurePosixPath("runs", str(run.pk), item["folder"])),
            },
        )


def reference_checkpoint_get(settings: LoopSettings) -> Checkpoint:
    """The frozen model that rewards and KL are measured against: the latest SFT, else the base."""
    found = _of_project(settings).filter(kind=CheckpointKind.SFT).order_by("-pk").first()
    return found or base_checkpoint_get(base_model=settings.base_model)


def round_checkpoint_get(round: Round, step: str) -> Checkpoint | None:
    """The last checkpoint of a step's run, None when the round has no such run."""
    return _of_round(round, step).filter(step__isnull=True).first()


def round_policy_get(round: Round, settings: LoopSettings) -> Checkpoint:
    """What the round deploys: the checkpoint it chose, in a first round the reference."""
    chosen = round.chosen or round_checkpoint_get(round, RoundStep.POLICY)
    return chosen or reference_checkpoint_get(settings)


def run_inputs_resolve(
    round: Round, settings: LoopSettings, method: Method, extra: Mapping[str, Any]
) -> dict[str, Checkpoint]:
    """The parents of a round's run by role; a role not named here is the reference.

    "init" is what training begins from: the base model for SFT, the reference for all others.
    `extra`: what `step_values` adds to the config. Raises ConfigInvalid.
    """
    if round.step == RoundStep.EVALUATE:
        return dict(_measured(round, settings))
    inputs = {role: _input(round, settings, method, role) for role in method.inputs}
    config = run_config(settings, method, extra)
    for role, (field, value) in method.optional_inputs.items():
        if config.get(field) == value:
            inputs[role] = _optional_input(settings, method, role, field, value)
    return inputs


def step_values(round: Round, settings: LoopSettings, method: Method) -> dict[str, Any]:
    """Config values that the step itself decides.

    Starting from an earlier model waits until there is one that learned from nobody whose work was
    withdrawn since: what starts from it would have learned from them, too.
    """
    if round.step == RoundStep.TEST_REWARD_MODEL:
        return {"learn_from": "held_out"}
    if round.step == RoundStep.REWARD_MODEL and settings.reward_model == RewardModelUse.WARM:
        return {"start": "warm"} if _is_clean(reward_model_newest(settings)) else {}
    goes_on = settings.policy_start == PolicyStart.PREVIOUS
    if round.step == RoundStep.POLICY and goes_on and "start" in method.optional_inputs:
        deployment = deployment_get(settings.project_id)
        if deployment is None or _is_clean(deployment.checkpoint):
            return {"start": "policy"}
    return {}


def _is_clean(checkpoint: Checkpoint | None) -> bool:
    return checkpoint is not None and not checkpoint_affected_by(checkpoint)


def reward_model_newest(settings: LoopSettings) -> Checkpoint | None:
    """The project's newest reward model; the test reward models are none of them."""
    found = _of_project(settings).filter(run__step=RoundStep.REWARD_MODEL)
    return found.order_by("-pk").first()


def deployment_get(project_id: int) -> Deployment | None:
    """The policy in use."""
    return (
        Deployment.objects.filter(
            project_id=project_id, retired_at__isnull=True, role=DeploymentRole.PRIMARY
        )
        .select_related("checkpoint")
        .first()
    )


def _input(round: Round, settings: LoopSettings, method: Method, role: str) -> Checkpoint:
    if role == "base" or (role == "init" and method.stage == "sft"):
        return base_checkpoint_get(base_model=settings.base_model)
    if role == "policy":
        return round_policy_get(round, settings)
    if role == "reward_model":
        return _of_round(round, RoundStep.REWARD_MODEL).get()
    return reference_checkpoint_get(settings)


def _measured(round: Round, settings: LoopSettings) -> Iterator[tuple[str, Checkpoint]]:
    """Everything an evaluation compares, by role; a model the round does not have is left out."""
    reference = reference_checkpoint_get(settings)
    yield "reference", reference
    yield "policy", round_policy_get(round, settings)
    for checkpoint in _of_round(round, RoundStep.POLICY).filter(step__isnull=False):
        yield f"candidate_{checkpoint.step:06d}", checkpoint
    for step in (RoundStep.REWARD_MODEL, RoundStep.TEST_REWARD_MODEL):
        if model := round_checkpoint_get(round, step):
            yield str(step), model
    previous = deployment_get(round.project_id)
    if previous is not None and previous.checkpoint_id != reference.pk:
        yield "previous", previous.checkpoint


def _of_round(round: Round, step: str) -> QuerySet[Checkpoint]:
    return Checkpoint.objects.filter(
        run__round=round, run__step=step, run__superseded_at__isnull=True
    ).order_by("pk")


def _of_project(settings: LoopSettings) -> QuerySet[Checkpoint]:
    return Checkpoint.objects.filter(
        project=settings.project, run__superseded_at__isnull=True, step__isnull=True
    )


def _optional_input(
    settings: LoopSettings, method: Method, role: str, field: str, value: Any
) -> Checkpoint:
    """Raises ConfigInvalid when the project has no such checkpoint yet."""
    if role == "start":
        deployment = deployment_get(settings.project_id)
        needed, found = "deployed policy", deployment.checkpoint if deployment else None
    else:
        needed, found = "reward model", reward_model_newest(settings)
    if found is None:
        raise ConfigInvalid(
            f"{method.name}: {field} = {value!r} needs a {needed}, and this project has none yet. "
            "Choose another value until a round has made one.",
            field=field,
            value=value,
            expectation=f"a project with a {needed}",
        )
    return found
