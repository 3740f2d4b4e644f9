"""Tasks of the kinds that start from nothing or from a brief: as many as the project wants."""

from collections import Counter
from collections.abc import Iterator

from django.db.models import QuerySet

from annotation.choices import TaskStatus
from annotation.judgements import kind_list
from annotation.judgements.base import JudgementKind, Supply
from annotation.models import Brief, Project, Task
from annotation.services.tasks import tasks_withdraw


def target_tasks_settle(*, project: Project) -> int:
    """Makes the tasks that are missing and withdraws the unclaimed ones beyond the targets.

    Each new task takes the active brief that was used least. Needs the project's lock; safe to
    repeat. Returns how many were made.
    """
    kinds = [kind for kind in kind_list() if kind.supply is Supply.TARGET]
    return sum(_settle(project, kind) for kind in kinds)


def _settle(project: Project, kind: JudgementKind) -> int:
    wanted = project.targets.get(kind.name, 0) if kind.name in project.kinds else 0
    existing = Task.objects.filter(project=project, kind=kind.name).exclude(
        status=TaskStatus.WITHDRAWN
    )
    num_missing = wanted - existing.count()
    if num_missing < 0:
        unclaimed = existing.filter(claims=0, status=TaskStatus.OPEN).order_by("-pk")
        tasks_withdraw(
            tasks_queryset=unclaimed[:-num_missing], reason="The project wants fewer of these."
        )
    if num_missing <= 0:
        return 0
    briefs = list(_briefs(project, kind))
    if kind.needs_brief and not briefs:
        return 0
    tasks = Task.objects.bulk_create(
        [
            Task(project=project, kind=kind.name, brief=brief, strategy="target")
            for brief in _least_used(existing, briefs, num_missing)
        ],
        batch_size=500,
    )
    return len(tasks)


def _briefs(project: Project, kind: JudgementKind) -> QuerySet[Brief]:
    if kind.brief_kind is None:
        return Brief.objects.none()
    return Brief.objects.filter(project=project, kind=kind.brief_kind, is_active=True)


def _least_used(existing: QuerySet[Task], briefs: list[Brief], num: int) -> Iterator[Brief | None]:
    used = Counter(existing.values_list("brief__name", flat=True))
    for _ in range(num):
        brief = min(briefs, key=lambda brief: used[brief.name], default=None)
        if brief is not None:
            used[brief.name] += 1
        yield brief
