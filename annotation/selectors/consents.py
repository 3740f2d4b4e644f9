"""Who agreed to work that may upset them, and who had enough of it for now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet
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

    @property
    def is_free(self) -> bool:
        return not self.needs_consent and self.capped_until is None


def consent_list(*, user: Visitor, projects: Sequence[Project]) -> QuerySet[Consent]:
    """The person's consents in force."""
    return Consent.objects.filter(
        user_id=user.pk,  # type: ignore[misc]
        project__in=projects,
        withdrawn_at__isnull=True,
    )


def work_limits(*, user: Visitor, projects: Sequence[Project]) -> dict[tuple[int, str], WorkLimit]:
    """By project id and kind, of the kinds that warn about their content.

    Two queries; none where the projects collect no such kind.
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
    handed_in = _handed_in(user, projects)
    return {
        (project.pk, kind): WorkLimit(
            needs_consent=(project.pk, kind) not in agreed,
            capped_until=_capped_until(project, kind, handed_in.get((project.pk, kind), [])),
        )
        for project, kind in warned
    }


def _handed_in(user: Visitor, projects: Sequence[Project]) -> dict[tuple[int, str], list[datetime]]:
    """When the person handed in such work within the period, newest first."""
    rows = (
        Assignment.objects.filter(
            annotator_id=user.pk,
            status=AssignmentStatus.SUBMITTED,
            finished_at__gt=timezone.now() - EXPOSURE_PERIOD,
            task__project__in=projects,
            task__kind__in=[kind.name for kind in kind_list() if kind.needs_consent],
        )
        .order_by("-finished_at")
        .values_list("task__project_id", "task__kind", "finished_at")
    )
    handed_in: dict[tuple[int, str], list[datetime]] = {}
    for project_id, kind, finished_at in rows:
        if finished_at is not None:
            handed_in.setdefault((project_id, kind), []).append(finished_at)
    return handed_in


def _capped_until(project: Project, kind: str, handed_in: list[datetime]) -> datetime | None:
    """When the oldest of the last ``per_day`` leaves the period; None while there were fewer."""
    per_day = kind_get(kind).options(project)["per_day"]
    if len(handed_in) < per_day:
        return None
    return handed_in[per_day - 1] + EXPOSURE_PERIOD
