"""People's judgements as training counts them: by kind and by what they teach, never in pairs."""

from collections.abc import Collection, Iterable

from django.db.models import QuerySet

from annotation.choices import AssignmentStatus
from annotation.judgements import kind_list
from annotation.judgements.base import JudgementKind
from annotation.models import Assignment, Project
from annotation.selectors.exclusions import judgements_counted
from training.models import Snapshot


def kinds_teaching() -> list[JudgementKind]:
    """The kinds that training learns anything from."""
    return [kind for kind in kind_list() if kind.training_streams]


def kinds_read(streams: Collection[str]) -> list[JudgementKind]:
    """The kinds whose judgements somebody who reads these streams learns from."""
    return [kind for kind in kind_list() if not kind.training_streams.isdisjoint(streams)]


def kinds_counted(stream: str) -> list[JudgementKind]:
    """The kinds whose judgements are counted under the stream."""
    return [kind for kind in kind_list() if kind.counted_stream == stream]


def judgements_submitted(project: Project, kinds: Iterable[JudgementKind]) -> QuerySet[Assignment]:
    """Those that count: submitted, and not of excluded people."""
    submitted = Assignment.objects.filter(
        task__project=project,
        task__kind__in=[kind.name for kind in kinds],
        status=AssignmentStatus.SUBMITTED,
    )
    return judgements_counted(submitted, project)


def judgements_held(snapshot: Snapshot, kinds: Iterable[JudgementKind]) -> QuerySet[Assignment]:
    """What a snapshot holds, of whomever."""
    return snapshot.assignments.filter(task__kind__in=[kind.name for kind in kinds])


def held_count(snapshot: Snapshot | None, stream: str) -> int:
    """How many judgements the snapshot holds that count under the stream."""
    return judgements_held(snapshot, kinds_counted(stream)).count() if snapshot else 0


def judgements_new_count(
    project: Project, kinds: Collection[JudgementKind], snapshot: Snapshot | None
) -> int:
    """How many count that the snapshot lacks; all of them without one."""
    total = judgements_submitted(project, kinds).count()
    if snapshot is None:
        return total
    return total - judgements_counted(judgements_held(snapshot, kinds), project).count()
