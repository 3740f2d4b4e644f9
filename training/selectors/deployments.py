"""Which policies answer now, which did before, and which one a rollback would bring back."""

from dataclasses import dataclass
from datetime import datetime

from annotation.models import Project
from training.choices import DeploymentRole
from training.models import Checkpoint, Deployment

ROLE_ORDER = (DeploymentRole.PRIMARY, DeploymentRole.PREVIOUS, DeploymentRole.REFERENCE)


@dataclass(frozen=True, slots=True)
class DeploymentSummary:
    """`share` of the prompts' answers while it is live, by the weights; 0 once retired."""

    id: int
    role: str
    title: str
    checkpoint_id: int
    checkpoint_name: str
    round_number: int | None
    weight: float
    share: float
    activated_at: datetime
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class Deployments:
    """`live`: the policy in use first. `retired`: the newest first. `rollback_to`: see below."""

    live: list[DeploymentSummary]
    retired: list[DeploymentSummary]
    rollback_to: Checkpoint | None


def deployments_get(project: Project, num_retired: int = 20) -> Deployments:
    rows = Deployment.objects.filter(project=project).select_related("checkpoint", "round")
    live = sorted(rows.filter(retired_at=None), key=lambda row: ROLE_ORDER.index(row.role))
    total = sum(row.weight for row in live)
    retired = rows.filter(retired_at__isnull=False).order_by("-pk")[:num_retired]
    return Deployments(
        live=[_summary(row, row.weight / total if total else 0.0) for row in live],
        retired=[_summary(row, 0.0) for row in retired],
        rollback_to=rollback_target(live[0]) if live else None,
    )


def rollback_target(current: Deployment) -> Checkpoint | None:
    """The last policy in use before this one that was not taken back itself."""
    primary = Deployment.objects.filter(project=current.project_id, role=DeploymentRole.PRIMARY)
    # By checkpoint: after a second rollback a policy taken back has been in use without a round.
    taken_back = primary.filter(round__rolled_back_at__isnull=False).values("checkpoint")
    earlier = (
        primary.filter(pk__lt=current.pk)
        .exclude(checkpoint=current.checkpoint_id)
        .exclude(checkpoint__in=taken_back)
        .select_related("checkpoint")
        .order_by("-pk")
    )
    found = earlier.first()
    return found.checkpoint if found else None


def _summary(row: Deployment, share: float) -> DeploymentSummary:
    return DeploymentSummary(
        id=row.pk,
        role=row.role,
        title=row.get_role_display(),
        checkpoint_id=row.checkpoint_id,
        checkpoint_name=row.checkpoint.name,
        round_number=row.round.number if row.round else None,
        weight=row.weight,
        share=share,
        activated_at=row.activated_at,
        retired_at=row.retired_at,
    )
