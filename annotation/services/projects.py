from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from annotation.choices import Role
from annotation.errors import Conflict, InvalidInput, NotFound
from annotation.judgements import kind_get
from annotation.models import Membership, Project
from annotation.services.assignments import assignments_withdraw
from annotation.services.audit import audit_record
from annotation.services.saving import save_changed, save_new
from annotation.services.tasks import demonstration_tasks_ensure, demonstration_tasks_trim
from annotation.validation import json_problem

EDITABLE = frozenset(
    {
        "name",
        "description",
        "guidelines",
        "lease_minutes",
        "judgements_per_task",
        "completions_per_task",
        "kinds",
        "demonstrations_target",
        "is_active",
    }
)


class SlugTaken(Conflict):
    code = "slug_taken"


class LastAdmin(Conflict):
    code = "last_admin"


@transaction.atomic
def project_create(*, actor: User | None, slug: str, name: str, **fields: Any) -> Project:
    """Makes the project and its actor an admin of it. Raises SlugTaken, InvalidInput."""
    _fields_check({"name": name, **fields})
    if Project.objects.filter(slug=slug).exists():
        raise SlugTaken(f"There is already a project {slug!r}; choose another slug.", slug=slug)
    project = save_new(Project(slug=slug, name=name, **fields))
    if actor is not None:
        save_new(Membership(project=project, user=actor, role=Role.ADMIN))
    audit_record(actor=actor, verb="project:created", target=project, project=project, slug=slug)
    return project


@transaction.atomic
def project_update(*, actor: User | None, project: Project, **fields: Any) -> Project:
    """Changes the given fields; a new demonstrations_target or kinds takes effect at once.

    Tasks that exist keep their judgements_wanted and completions. Raises InvalidInput.
    """
    _fields_check(fields)
    changed = save_changed(project, **fields)
    if not changed:
        return project
    if {"demonstrations_target", "kinds"} & set(changed):
        demonstration_tasks_trim(project=project)
        demonstration_tasks_ensure(project=project)
    audit_record(
        actor=actor,
        verb="project:updated",
        target=project,
        project=project,
        fields={name: fields[name] for name in changed},
    )
    return project


@transaction.atomic
def membership_set(
    *, actor: User | None, project: Project, user: User, role: Role | str
) -> Membership:
    """Makes the user a member with this role, or changes the role.

    Raises InvalidInput for an unknown role, LastAdmin when nobody could manage the project.
    """
    if role not in Role.values:
        raise InvalidInput(
            f"{role!r} is not a role; choose one of {', '.join(Role.values)}.", role=str(role)
        )
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    membership = Membership.objects.filter(project=project, user=user).first()
    if membership is None:
        membership = save_new(Membership(project=project, user=user, role=role))
    else:
        if role != Role.ADMIN:
            _refuse_last_admin(membership)
        if not save_changed(membership, role=role):
            return membership
    audit_record(
        actor=actor,
        verb="membership:set",
        target=membership,
        project=project,
        user=user.pk,
        role=str(role),
    )
    return membership


@transaction.atomic
def membership_remove(*, actor: User | None, project: Project, user: User) -> None:
    """Ends the membership and takes back what the user holds; their judgements stay.

    Raises NotFound, LastAdmin.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    membership = Membership.objects.filter(project=project, user=user).first()
    if membership is None:
        raise NotFound(f"{user.get_username()} is not a member of {project.slug}.")
    _refuse_last_admin(membership)
    audit_record(
        actor=actor, verb="membership:removed", target=membership, project=project, user=user.pk
    )
    membership.delete()
    assignments_withdraw(project=project, annotator=user)


def kinds_check(kinds: Any) -> None:
    """Raises InvalidInput unless it is a list of different known kinds, and not empty."""
    if not isinstance(kinds, list) or not kinds or len(set(map(str, kinds))) != len(kinds):
        raise InvalidInput(
            f"kinds is {str(kinds)[:200]!r}; a list of different kinds of judgement is expected.",
            fields={"kinds": ["A list of different names is expected."]},
        )
    for name in kinds:
        kind_get(name)


def _refuse_last_admin(membership: Membership) -> None:
    if membership.role != Role.ADMIN:
        return
    admins = Membership.objects.filter(project=membership.project, role=Role.ADMIN)
    if not admins.exclude(pk=membership.pk).exists():
        raise LastAdmin(
            f"{membership.user.get_username()} is the last admin of {membership.project.slug}; "
            "make another member admin first."
        )


def _fields_check(fields: dict[str, Any]) -> None:
    if unknown := sorted(set(fields) - EDITABLE):
        raise InvalidInput(
            f"A project has no field {', '.join(unknown)} that can be set; "
            f"there are: {', '.join(sorted(EDITABLE))}.",
            fields={name: ["Unknown field."] for name in unknown},
        )
    for name, value in fields.items():
        if problem := json_problem(value):
            raise InvalidInput(f"{name} {problem}.", fields={name: [problem]})
    if "kinds" in fields:
        kinds_check(fields["kinds"])
