from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q

from annotation.choices import AssignmentStatus
from annotation.judgements import kind_get
from annotation.models import Assignment, Exclusion, Project, Task
from annotation.selectors.access import Visitor, project_list
from annotation.selectors.consents import WorkLimit, work_limits
from annotation.selectors.tasks import HAS_FREE_SLOT


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One line of "my work": what this person can do now, and has done."""

    project: Project
    kind: str
    num_open: int
    num_done_by_me: int
    # Why a claim would be refused now: a warning to agree to first, or enough of it for today.
    needs_consent: bool = False
    capped_until: datetime | None = None

    @property
    def title(self) -> str:
        return str(kind_get(self.kind).title)

    @property
    def invitation(self) -> str:
        return str(kind_get(self.kind).invitation)


def work_list(*, user: Visitor) -> list[WorkItem]:
    """An item for each project and kind, also where nothing is open now.

    Three queries, and two more where a kind warns about its content. ``num_open`` counts what
    there is to claim: free tasks and the ones the user holds; nothing where their work does not
    count.
    """
    projects = list(project_list(user=user))
    if not projects:
        return []
    num_open = _count_open(user, projects)
    num_done = _count_done(user, projects)
    limits = work_limits(user=user, projects=projects)
    return [
        WorkItem(
            project=project,
            kind=kind,
            num_open=num_open[project.pk, kind],
            num_done_by_me=num_done[project.pk, kind],
            needs_consent=limit.needs_consent,
            capped_until=limit.capped_until,
        )
        for project in projects
        for kind in project.kinds
        for limit in [limits.get((project.pk, kind), WorkLimit())]
    ]


def _count_open(user: Visitor, projects: list[Project]) -> Counter[tuple[int, str]]:
    mine = Assignment.objects.filter(task=OuterRef("pk"), annotator_id=user.pk)
    held = Exists(mine.filter(status=AssignmentStatus.ACTIVE))
    settled = Exists(mine.exclude(status__in=AssignmentStatus.RECLAIMABLE))
    excluded = Exclusion.objects.filter(
        project=OuterRef("project"),
        user_id=user.pk,  # type: ignore[misc]
        lifted_at__isnull=True,
    )
    claimable = HAS_FREE_SLOT & ~Q(settled) & Q(project__is_active=True)
    rows = (
        Task.objects.filter(claimable | Q(held), project__in=projects)
        .exclude(Exists(excluded))
        .order_by()
        .values_list("project_id", "kind")
        .annotate(num=Count("pk"))
    )
    return Counter({(project, kind): num for project, kind, num in rows})


def _count_done(user: Visitor, projects: list[Project]) -> Counter[tuple[int, str]]:
    rows = (
        Assignment.objects.filter(
            annotator_id=user.pk, status=AssignmentStatus.SUBMITTED, task__project__in=projects
        )
        .order_by()
        .values_list("task__project_id", "task__kind")
        .annotate(num=Count("pk"))
    )
    return Counter({(project, kind): num for project, kind, num in rows})
