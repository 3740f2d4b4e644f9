"""Whose judgements count. Training snapshots and every count of what was collected ask here."""

from typing import Any, TypeVar

from django.contrib.auth.models import User
from django.db.models import Model, Q, QuerySet

from annotation.errors import NotFound, PermissionDenied
from annotation.models import Exclusion, Project

RowT = TypeVar("RowT", bound=Model)


class LabelerExcluded(PermissionDenied):
    code = "labeler_excluded"


def exclusion_list(project: Project) -> QuerySet[Exclusion]:
    """The exclusions in force, oldest first."""
    return Exclusion.objects.filter(project=project, lifted_at__isnull=True).select_related(
        "user", "excluded_by"
    )


def exclusion_get(project: Project, user: User) -> Exclusion | None:
    """The exclusion in force."""
    return exclusion_list(project).filter(user=user).first()


def exclusion_refusal(project: Project, user: User) -> LabelerExcluded | None:
    """Why the person gets no work in the project; None when they may have some."""
    if exclusion_get(project, user) is None:
        return None
    return LabelerExcluded(
        f"Your work in {project.slug} was withdrawn by an admin, so there is none for you now. "
        "What you did is kept. Ask an admin of the project to readmit you.",
        project=project.slug,
    )


def excluded_ids(project: Project) -> QuerySet[Any]:
    """User ids, as a subquery."""
    active = Exclusion.objects.filter(project=project, lifted_at__isnull=True)
    return active.values("user")


def judgements_counted(judgements: QuerySet[RowT], project: Project) -> QuerySet[RowT]:
    """Those of the project's judgements, of one kind, whose annotator is not excluded."""
    return judgements.exclude(annotator__in=excluded_ids(project))


def labeler_get(project: Project, user_id: int) -> User:
    """A member, or somebody who was one and took tasks. Raises NotFound."""
    belongs = Q(memberships__project=project) | Q(assignments__task__project=project)
    user = User.objects.filter(belongs, pk=user_id).distinct().first()
    if user is None:
        raise NotFound(f"User {user_id} is no member of {project.slug} and never judged in it.")
    return user
