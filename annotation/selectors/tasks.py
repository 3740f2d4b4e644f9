from collections.abc import Collection

from django.contrib.auth.models import User
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from annotation.choices import AssignmentStatus, TaskStatus
from annotation.models import Assignment, Project, Task

# The condition of the queue, shared by the query that finds a task and the update that takes it.
HAS_FREE_SLOT = Q(status=TaskStatus.OPEN, claims__lt=F("judgements_wanted"))


def tasks_claimable(*, project: Project, annotator: User, kinds: Collection[str]) -> QuerySet[Task]:
    """Tasks with a free slot that this annotator has neither judged, skipped nor holds."""
    settled = Assignment.objects.filter(task=OuterRef("pk"), annotator=annotator).exclude(
        status__in=AssignmentStatus.RECLAIMABLE
    )
    return (
        Task.objects.filter(HAS_FREE_SLOT, project=project, kind__in=kinds)
        .exclude(Exists(settled))
        .order_by("-priority", "pk")
    )
