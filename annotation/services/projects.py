from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from rest_framework.exceptions import ValidationError as RestValidationError

from annotation.choices import Role
from annotation.errors import Conflict, InvalidInput, NotFound
from annotation.judgements import kind_get, kind_list
from annotation.judgements.base import Supply
from annotation.models import Membership, Project
from annotation.services.audit import audit_record
from annotation.services.guidelines import guidelines_publish
from annotation.services.leases import assignments_withdraw
from annotation.services.locks import project_lock
from annotation.services.saving import save_changed, save_new
from annotation.services.targets import target_tasks_settle
from annotation.services.tasks import demonstration_tasks_ensure, demonstration_tasks_trim
from annotation.validation import invalid_input, json_problem

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
        "targets",
        "options",
        "undo_minutes",
        "is_active",
    }
)


MAX_TARGET = 1_000_000


class SlugTaken(Conflict):
    code = "slug_taken"


class LastAdmin(Conflict):
    code = "last_admin"


@transaction.atomic
def project_create(*, actor: User | None, slug: str, name: str, **fields: Any) -> Project:
    """Makes the project and its actor an admin of it. Raises SlugTaken, InvalidInput."""
    project_fields_check({"name": name, **fields})
    if Project.objects.filter(slug=slug).exists():
        raise SlugTaken(f"There is already a project {slug!r}; choose another slug.", slug=slug)
    project = save_new(Project(slug=slug, name=name, **fields))
    guidelines_publish(project=project, author=actor)
    target_tasks_settle(project=project)
    if actor is not None:
        save_new(Membership(project=project, user=actor, role=Role.ADMIN))
    audit_record(actor=actor, verb="project:created", target=project, project=project, slug=slug)
    return project


@transaction.atomic
def project_update(*, actor: User | None, project: Project, **fields: Any) -> Project:
    """Changes the given fields; a new demonstrations_target or kinds takes effect at once.

    Tasks that exist keep their judgements_wanted and completions. Raises InvalidInput.
    """
    project_fields_check(fields)
    # Two changes at once: the second sees the first one's guidelines and tasks.
    project_lock(project.pk)
    changed = save_changed(project, **fields)
    if not changed:
        return project
    if "guidelines" in changed:
        guidelines_publish(project=project, author=actor)
    if {"demonstrations_target", "kinds"} & set(changed):
        demonstration_tasks_trim(project=project)
        demonstration_tasks_ensure(project=project)
    if {"targets", "kinds"} & set(changed):
        target_tasks_settle(project=project)
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
    project_lock(project.pk)
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
    project_lock(project.pk)
    membership = Membership.objects.filter(project=project, user=user).first()
    if membership is None:
        raise NotFound(f"{user.get_username()} is not a member of {project.slug}.")
    _refuse_last_admin(membership)
    audit_record(
        actor=actor, verb="membership:removed", target=membership, project=project, user=user.pk
    )
    membership.delete()
    assignments_withdraw(project=project, annotator=user)


def project_fields_check(fields: Mapping[str, Any]) -> None:
    """Raises InvalidInput unless a project may be given these values.

    What the model itself checks, such as lengths, is checked when it is saved.
    """
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
    if "targets" in fields:
        _targets_check(fields["targets"])
    if "options" in fields:
        _options_check(fields["options"])


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


def _targets_check(targets: Any) -> None:
    known = [kind.name for kind in kind_list() if kind.supply is Supply.TARGET]
    for name, number in (targets if isinstance(targets, dict) else {"": None}).items():
        if name not in known or type(number) is not int or not 0 <= number <= MAX_TARGET:
            raise InvalidInput(
                f"targets has {str(name)[:60]!r}: {str(number)[:60]}; a number of tasks up to "
                f"{MAX_TARGET} for one of {', '.join(known)} is expected.",
                fields={"targets": ["A number of tasks for each kind is expected."]},
            )


def _options_check(options: Any) -> None:
    if not isinstance(options, dict):
        raise InvalidInput("options is not an object of kinds.", fields={"options": []})
    for name, chosen in options.items():
        serializer = kind_get(name).options_serializer(data=chosen)
        unknown = sorted(set(chosen) - set(serializer.fields)) if isinstance(chosen, dict) else []
        if unknown:
            raise InvalidInput(
                f"The kind {name} has no option {', '.join(unknown)}; it has: "
                f"{', '.join(serializer.fields) or 'none'}.",
                fields={"options": [f"{name}: unknown option."]},
            )
        if not serializer.is_valid():
            problem = invalid_input(RestValidationError(serializer.errors))
            raise InvalidInput(
                f"options of {name}: {problem.message}", fields={"options": [problem.message]}
            )
