"""Which checkpoint plays which part in a run."""

from typing import Any

from training.algorithms.methods import Method
from training.choices import CheckpointKind, RoundStep
from training.errors import ConfigInvalid
from training.models import Checkpoint, Deployment, LoopSettings, Round, Run
from training.services.base_model import base_checkpoint_get
from training.services.configs import run_config

KIND_OF_STAGE = {
    "sft": CheckpointKind.SFT,
    "reward_model": CheckpointKind.REWARD_MODEL,
    "policy": CheckpointKind.POLICY,
}


def checkpoint_register(*, run: Run, method: Method) -> Checkpoint | None:
    """The checkpoint of a succeeded run, None for a method that leaves no model. Idempotent."""
    if method.produces is None:
        return None
    suffix = str(run.round.number) if run.round else str(run.pk)
    checkpoint, _ = Checkpoint.objects.get_or_create(
        run=run,
        defaults={
            "project": run.project,
            "kind": KIND_OF_STAGE[method.stage],
            "name": f"{method.name}-{suffix}",
            "path": f"runs/{run.pk}/output",
        },
    )
    return checkpoint


def reference_checkpoint_get(settings: LoopSettings) -> Checkpoint:
    """The frozen model that rewards and KL are measured against: the latest SFT, else the base."""
    found = (
        Checkpoint.objects.filter(project=settings.project, kind=CheckpointKind.SFT)
        .order_by("-pk")
        .first()
    )
    return found or base_checkpoint_get(base_model=settings.base_model)


def round_checkpoint_get(round: Round, step: str) -> Checkpoint | None:
    return Checkpoint.objects.filter(run__round=round, run__step=step).first()


def round_policy_get(round: Round, settings: LoopSettings) -> Checkpoint:
    """What the round deploys: its policy, in a first round the reference."""
    policy = round_checkpoint_get(round, RoundStep.POLICY)
    return policy or reference_checkpoint_get(settings)


def run_inputs_resolve(
    round: Round, settings: LoopSettings, method: Method
) -> dict[str, Checkpoint]:
    """The parents of a round's run by role; a role not named here is the reference.

    "init" is what training begins from: the base model for SFT, the reference for all others.
    """
    inputs = {}
    for role in method.inputs:
        if role == "base" or (role == "init" and method.stage == "sft"):
            checkpoint = base_checkpoint_get(base_model=settings.base_model)
        elif role == "policy":
            checkpoint = round_policy_get(round, settings)
        elif role == "reward_model":
            checkpoint = Checkpoint.objects.get(run__round=round, kind=CheckpointKind.REWARD_MODEL)
        else:
            checkpoint = reference_checkpoint_get(settings)
        inputs[role] = checkpoint
    config = run_config(settings, method)
    for role, (field, value) in method.optional_inputs.items():
        if config[field] == value:
            inputs[role] = _newest_of_role(settings, method, role, field, value)
    return inputs


def _newest_of_role(
    settings: LoopSettings, method: Method, role: str, field: str, value: Any
) -> Checkpoint:
    """The project's newest checkpoint for an optional role; raises ConfigInvalid without one."""
    found = Checkpoint.objects.filter(project=settings.project, kind=role).order_by("-pk").first()
    if found is None:
        needed = CheckpointKind(role).label.lower()
        raise ConfigInvalid(
            f"{method.name}: {field} = {value!r} needs a {needed}, and this project has none yet. "
            "Choose another value until a round has made one.",
            field=field,
            value=value,
            expectation=f"a project with a {needed}",
        )
    return found


def deployment_get(project_id: int) -> Deployment | None:
    """The policy in use."""
    return (
        Deployment.objects.filter(project_id=project_id, retired_at__isnull=True)
        .select_related("checkpoint")
        .first()
    )
