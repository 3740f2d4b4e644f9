"""Who agreed to work that may upset them, and who had enough of it for now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from annotation.choices import AssignmentStatus
from annotation.judgements import kind_get, kind_list
from annotation.models import Assignment, Consent, Project
from annotation.selectors.access import Visitor

EXPOSURE_PERIOD = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class WorkLimit:
    """Why a person gets no work of a kind now; as it is made, nothing is in the way."""

    needs_consent: bool = False
    capped_until: datetime | None = None


def consent_list(*, user: Visitor, projects: Sequence[Project]) -> QuerySet[Consent]:
    """The person's consents in force."""
    return Consent.objects.filter(
        user_id=user.pk,  # type: ignore[misc]
        project__in=projects,
        withdrawn_at__isnull=True,
    )


def work_limits(
    *, user: Visitor, projects: Sequence[Project], with_held: bool = False
) -> dict[tuple[int, str], WorkLimit]:
    """By project id and kind, of the kinds that warn about their content.

    What the person holds can always be gone on with; `with_held` asks whether there may be more
    beside it. Two queries; none where the projects collect no such kind.
    """
    warned = [
        (project, kind.name)
        for project in projects
        for kind in kind_list()
        if kind.needs_consent and kind.name in project.kinds
    ]
    if not warned:
        return {}
    agreed = set(consent_list(user=user, projects=projects).values_list("project_id", "kind"))
    taken = _taken(user, projects, with_held)
    return {
        (project.pk, kind): WorkLimit(
            needs_consent=(project.pk, kind) not in agreed,
            capped_until=_capped_until(project, kind, taken.get((project.pk, kind), [])),
        )
        for project, kind in warned
    }


def _taken(
    user: Visitor, projects: Sequence[Project], with_held: bool
) -> dict[tuple[int, str], list[datetime]]:
    """When the person handed in such work within the period, newest first; what they hold: now."""
    now = timezone.now()
    counted = Q(status=AssignmentStatus.SUBMITTED, finished_at__gt=now - EXPOSURE_PERIOD)
    if with_held:
        counted |= Q(status=AssignmentStatus.ACTIVE)
    rows = Assignment.objects.filter(
        counted,
        annotator_id=user.pk,
        task__project__in=projects,
        task__kind__in=[kind.name for kind in kind_list() if kind.needs_consent],
    ).values_list("task__project_id", "task__kind", "finished_at")
    taken: dict[tuple[int, str], list[datetime]] = {}
    for project_id, kind, finished_at in rows:
        taken.setdefault((project_id, kind), []).append(finished_at or now)
    return {key: sorted(times, reverse=True) for key, times in taken.items()}


def _capped_until(project: Project, kind: str, taken: list[datetime]) -> datetime | None:
    """When the oldest of the last ``per_day`` leaves the period; None while there were fewer."""
    per_day = kind_get(kind).options(project)["per_day"]
    if len(taken) < per_day:
        return None
    return taken[per_day - 1] + EXPOSURE_PERIOD
