"""Loading the policies while somebody who will talk with them still reads and types."""

import logging
from datetime import datetime, timedelta

from django.conf import settings as django_settings
from django.utils import timezone

from annotation.choices import AssignmentStatus
from annotation.judgements import kind_get
from annotation.models import Assignment, Project
from training.errors import NoLivePolicy
from training.services.doorbell import replies_foresee_ring
from training.services.reply_jobs import preparing_job
from training.services.reply_process import ReplyDefect, ReplyRefused, replies_generate
from training.services.settings import loop_settings_ensure
from training.services.worker_exit import WorkerWatch

logger = logging.getLogger(__name__)
# Ticks may be late; one ring more is heard by a process that has the policies already.
TICKS_BACK = 2


class _WorkerLeaves(Exception):
    pass


def replies_foresee(*, now: datetime | None = None) -> None:
    """Rings for each project in which somebody just took a task that may ask for replies."""
    seconds = TICKS_BACK * django_settings.PREFERENDUM_TICK_SECONDS
    since = (now or timezone.now()) - timedelta(seconds=seconds)
    taken = Assignment.objects.filter(status=AssignmentStatus.ACTIVE, claimed_at__gte=since)
    projects = {
        assignment.task.project
        for assignment in taken.select_related("task__project")
        if _may_ask(assignment.task.kind, assignment.task.project)
    }
    for project in projects:
        replies_foresee_ring(project_id=project.pk)


def replies_prepare(*, project_id: int) -> None:
    """Has the policies of the project loaded. What is wrong with them is told when somebody asks.

    Safe to call at any time.
    """
    project = Project.objects.get(pk=project_id)
    watch = WorkerWatch()

    def beat(progress: float | None) -> None:
        if watch.is_leaving:
            raise _WorkerLeaves

    try:
        replies_generate(preparing_job(loop_settings_ensure(project=project)), beat)
    except (NoLivePolicy, ReplyRefused, ReplyDefect, _WorkerLeaves) as reason:
        logger.warning("the policies of %s were not loaded ahead: %s", project.slug, reason)


def _may_ask(kind: str, project: Project) -> bool:
    options = kind_get(kind).options(project)
    return bool(
        options.get("num_replies")
        or options.get("suggestions")
        or options.get("drafts") == "offered"
    )
