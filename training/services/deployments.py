"""Which policies answer the prompts that people rank, with which weights, and taking one back."""

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from annotation.choices import TaskStatus
from annotation.models import Project, Task
from annotation.services.audit import audit_record
from annotation.services.tasks import tasks_withdraw
from training.choices import DeploymentRole, RetiredTasks
from training.errors import NothingToRollBack
from training.models import Checkpoint, Deployment, LoopSettings, Round
from training.selectors.deployments import rollback_target
from training.services.checkpoints import (
    deployment_get,
    reference_checkpoint_get,
    round_policy_get,
)
from training.services.settings import loop_settings_ensure
from training.services.step_hold import step_hold

# The name under which each takes part in a sampling run.
ROLE_OF_DEPLOYMENT = {
    DeploymentRole.PRIMARY: "policy",
    DeploymentRole.PREVIOUS: "previous",
    DeploymentRole.REFERENCE: "reference",
}
LAST_PRIORITY = -1


def round_deploy(*, round: Round, settings: LoopSettings) -> None:
    """Deploys the round's policy, beside it the previous one and the reference by their weights.

    Safe to repeat and to run twice at once. Raises StepLeft.
    """
    checkpoint = round_policy_get(round, settings)
    with transaction.atomic():
        _one_at_a_time(settings)
        step_hold(round)
        if not Deployment.objects.filter(round=round).exists():
            _replace(round.project, checkpoint, settings, round=round)


@transaction.atomic
def deployment_rollback(
    *, project: Project, actor: User | None, reason: str, checkpoint_id: int | None = None
) -> Deployment:
    """Puts the policy before the one in use back in its place, and marks the round that failed.

    `checkpoint_id`: the policy that is meant; when it is no longer in use, as at a second click,
    nothing is changed. Nothing is deleted; unclaimed tasks with an answer by the policy taken back
    are withdrawn. Raises NothingToRollBack.
    """
    settings = loop_settings_ensure(project=project)
    _one_at_a_time(settings)
    current = deployment_get(project.pk)
    if current and checkpoint_id not in (None, current.checkpoint_id):
        raise NothingToRollBack(
            f"Checkpoint {checkpoint_id} is no longer in use, {current.checkpoint.name} is. Look "
            "again before taking that back, too."
        )
    target = rollback_target(current) if current else None
    if current is None or target is None:
        raise NothingToRollBack(f"{project.slug} has no earlier policy to go back to.")
    _brought_by(current.checkpoint).filter(rolled_back_at__isnull=True).update(
        rolled_back_at=timezone.now(), rolled_back_by=actor, rollback_reason=reason
    )
    deployed = _replace(project, target, settings, round=None)
    audit_record(
        actor=actor, verb="deployment:rolled_back", target=deployed, project=project,
        reason=reason, checkpoint_from=current.checkpoint_id, checkpoint_to=target.pk,
    )  # fmt: skip
    tasks_withdraw(
        tasks_queryset=tasks_of_checkpoint(current.checkpoint), reason="its policy was taken back"
    )
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


def _one_at_a_time(settings: LoopSettings) -> None:
    """Until the transaction ends nobody else changes what the project has deployed."""
    LoopSettings.objects.select_for_update(no_key=True).get(pk=settings.pk)


def _brought_by(checkpoint: Checkpoint) -> QuerySet[Round]:
    """The rounds that brought the checkpoint into use, not those that kept it as company."""
    brought = Deployment.objects.filter(checkpoint=checkpoint, role=DeploymentRole.PRIMARY)
    return Round.objects.filter(pk__in=brought.values("round"))


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
