"""The one place that decides who may see or do what in a project."""

from typing import TypeAlias

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Exists, OuterRef, QuerySet

from annotation.choices import Role
from annotation.errors import NotFound, PermissionDenied
from annotation.models import Membership, Project

Visitor: TypeAlias = User | AnonymousUser


def role_of(user: Visitor, project: Project) -> Role | None:
    """The user's role; a superuser is admin of everything; None: not a member."""
    if not user.is_authenticated or not user.is_active:
        return None
    if user.is_superuser:
        return Role.ADMIN
    role = Membership.objects.filter(project=project, user=user).values_list("role", flat=True)
    return Role(role[0]) if role else None


def role_require(*, user: Visitor, project: Project, role: Role = Role.LABELER) -> Role:
    """Raises NotFound for a non-member (who learns nothing), PermissionDenied for a lower role."""
    held = role_of(user, project)
    if held is None:
        raise project_not_found(project.slug)
    if not held.includes(role):
        raise PermissionDenied(
            f"You are {held.label.lower()} of {project.slug}; this needs the role "
            f"{role.label.lower()}. Ask an admin of the project.",
            role=held.value,
            needed=role.value,
        )
    return held


def project_get(*, user: Visitor, slug: str, role: Role = Role.LABELER) -> Project:
    """The project if the user holds at least ``role`` in it. Raises as role_require does."""
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        raise project_not_found(slug)
    role_require(user=user, project=project, role=role)
    return project


def project_list(*, user: Visitor) -> QuerySet[Project]:
    """The projects the user is a member of; all of them for a superuser."""
    if not user.is_authenticated or not user.is_active:
        return Project.objects.none()
    if user.is_superuser:
        return Project.objects.all()
    mine = Membership.objects.filter(project=OuterRef("pk"), user=user)
    return Project.objects.filter(Exists(mine))


def staff_require(user: Visitor) -> None:
    """Raises PermissionDenied unless the user administers this instance."""
    if not (user.is_authenticated and user.is_active and user.is_staff):
        raise PermissionDenied("Only staff may do this. Ask who runs this instance.")


def project_not_found(slug: str) -> NotFound:
    return NotFound(f"There is no project {slug!r} that you are a member of.")
