"""Which policies answer the prompts that people rank, with which weights, and taking one back."""

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from annotation.choices import TaskStatus
from annotation.models import Project, Task
from annotation.services.audit import audit_record
from annotation.services.tasks import tasks_withdraw
from training.choices import DeploymentRole, RetiredTasks
from training.errors import NothingToRollBack
from training.models import Checkpoint, Deployment, LoopSettings, Round
from training.services.checkpoints import (
    deployment_get,
    reference_checkpoint_get,
    round_policy_get,
)
from training.services.settings import loop_settings_ensure

# The name under which each takes part in a sampling run.
ROLE_OF_DEPLOYMENT = {
    DeploymentRole.PRIMARY: "policy",
    DeploymentRole.PREVIOUS: "previous",
    DeploymentRole.REFERENCE: "reference",
}
LAST_PRIORITY = -1


def round_deploy(*, round: Round, settings: LoopSettings) -> None:
    """Deploys the round's policy, beside it the previous one and the reference by their weights.

    Safe to repeat and to run twice at once.
    """
    checkpoint = round_policy_get(round, settings)
    try:
        with transaction.atomic():
            if Deployment.objects.filter(round=round).exists():
                return
            _replace(round.project, checkpoint, settings, round=round)
    except IntegrityError:
        # Deployed by somebody else at the same moment; the constraint let one of us through.
        if not Deployment.objects.filter(round=round).exists():
            raise


@transaction.atomic
def deployment_rollback(*, project: Project, actor: User | None, reason: str) -> Deployment:
    """Puts the policy before the one in use back in its place, and marks the round that failed.

    Nothing is deleted; unclaimed tasks of the policy taken back go the way of retired ones. Raises
    NothingToRollBack.
    """
    settings = LoopSettings.objects.select_for_update().get(
        pk=loop_settings_ensure(project=project).pk
    )
    current = deployment_get(project.pk)
    target = _before(current) if current else None
    if current is None or target is None:
        raise NothingToRollBack(f"{project.slug} has never used another policy than this one.")
    Round.objects.filter(project=project, deployments__checkpoint=current.checkpoint_id).update(
        rolled_back_at=timezone.now(), rolled_back_by=actor, rollback_reason=reason
    )
    deployed = _replace(project, target, settings, round=None)
    audit_record(
        actor=actor, verb="deployment:rolled_back", target=deployed, project=project,
        reason=reason, checkpoint_from=current.checkpoint_id, checkpoint_to=target.pk,
    )  # fmt: skip
    retired_tasks_apply(project=project, rule=RetiredTasks.WITHDRAW)
    return deployed


def policies_live(project: Project) -> dict[str, tuple[Checkpoint, float]]:
    """{role in a sampling run: (checkpoint, weight)} of the policies deployed, the primary first.

    Weights may be any; only their proportions matter. Policies of weight 0 are left out.
    """
    active = Deployment.objects.filter(project=project, retired_at__isnull=True, weight__gt=0)
    by_role = {item.role: item for item in active.select_related("checkpoint")}
    return {
        name: (by_role[role].checkpoint, by_role[role].weight)
        for role, name in ROLE_OF_DEPLOYMENT.items()
        if role in by_role
    }


def retired_tasks_apply(*, project: Project, rule: str) -> int:
    """Withdraws, or puts last, the open unclaimed tasks that show policies no longer deployed."""
    stale = list(_stale_tasks(project).values_list("pk", flat=True))
    tasks = Task.objects.filter(pk__in=stale)
    if rule == RetiredTasks.WITHDRAW:
        return tasks_withdraw(tasks_queryset=tasks, reason="its policies are no longer deployed")
    if rule == RetiredTasks.LAST:
        return tasks.update(priority=LAST_PRIORITY)
    return 0


def tasks_of_checkpoint(checkpoint: Checkpoint) -> QuerySet[Task]:
    return Task.objects.filter(completions__sample__checkpoint=checkpoint).distinct()


def _stale_tasks(project: Project) -> QuerySet[Task]:
    """Tasks with a sampled answer, none of it by a live policy."""
    live = Deployment.objects.filter(project=project, retired_at__isnull=True).values("checkpoint")
    open_tasks = Task.objects.filter(project=project, status=TaskStatus.OPEN, claims=0)
    shown_live = Task.objects.filter(completions__sample__checkpoint__in=live)
    sampled = open_tasks.filter(completions__sample__isnull=False)
    return sampled.exclude(pk__in=shown_live.values("pk")).distinct()


def _replace(
    project: Project, checkpoint: Checkpoint, settings: LoopSettings, round: Round | None
) -> Deployment:
    """Retires what is deployed and deploys the checkpoint with its company."""
    before = deployment_get(project.pk)
    active = Deployment.objects.filter(project=project, retired_at__isnull=True)
    active.update(retired_at=timezone.now())
    deployed = Deployment.objects.create(project=project, checkpoint=checkpoint, round=round)
    company: Sequence[tuple[DeploymentRole, Checkpoint | None, float]] = (
        (DeploymentRole.PREVIOUS, before.checkpoint if before else None, settings.weight_previous),
        (DeploymentRole.REFERENCE, reference_checkpoint_get(settings), settings.weight_reference),
    )
    used = {checkpoint.pk}
    for role, other, weight in company:
        # After a rollback the previous policy is the one that was just taken back.
        is_unwanted = role == DeploymentRole.PREVIOUS and round is None
        if other is None or weight == 0 or other.pk in used or is_unwanted:
            continue
        used.add(other.pk)
        Deployment.objects.create(
            project=project, checkpoint=other, round=round, role=role, weight=weight
        )
    return deployed


def _before(current: Deployment) -> Checkpoint | None:
    """The last policy in use before this one that was not taken back itself."""
    earlier = (
        Deployment.objects.filter(
            project=current.project_id, role=DeploymentRole.PRIMARY, pk__lt=current.pk
        )
        .exclude(checkpoint=current.checkpoint_id)
        .exclude(round__rolled_back_at__isnull=False)
        .select_related("checkpoint")
        .order_by("-pk")
    )
    found = earlier.first()
    return found.checkpoint if found else None
