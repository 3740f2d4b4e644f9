"""Rules, goals, use cases and topics that tasks are about. Another wording is another version."""

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from annotation.errors import Conflict, InvalidInput
from annotation.models import Brief, Project, Task
from annotation.selectors.briefs import brief_kind_check
from annotation.services.audit import audit_record
from annotation.services.locks import project_lock
from annotation.services.saving import save_changed, save_new
from annotation.services.targets import target_tasks_settle
from annotation.services.tasks import tasks_withdraw
from annotation.validation import text_problem

MAX_NAME = 100
MAX_TEXT = 4_000


class BriefNameTaken(Conflict):
    code = "brief_name_taken"


@transaction.atomic
def brief_create(*, project: Project, actor: User | None, kind: str, name: str, text: str) -> Brief:
    """From now on new tasks take turns with it. Raises BriefNameTaken, InvalidInput."""
    project = project_lock(project.pk)
    kind = brief_kind_check(kind)
    name, text = _check(name, of="name", most=MAX_NAME), _check(text, of="text", most=MAX_TEXT)
    if Brief.objects.filter(project=project, kind=kind, name=name).exists():
        raise BriefNameTaken(
            f"{project.slug} has a {kind.label.lower()} {name!r} already; give that one another "
            "wording, or choose another name.",
            name=name,
        )
    brief = save_new(Brief(project=project, kind=kind, name=name, text=text, author=actor))
    _announce(brief, actor, "created")
    return brief


@transaction.atomic
def brief_update(*, brief: Brief, actor: User | None, text: str) -> Brief:
    """The wording under this name from now on: a new version, and the others are inactive.

    Returns the version in force; the newest version's own wording is no new one, only in force
    again. Tasks that somebody took keep theirs. Raises InvalidInput.
    """
    project = project_lock(brief.project_id)
    text = _check(text, of="text", most=MAX_TEXT)
    newest = _versions(brief).latest("version")
    if newest.text == text:
        return _activate(newest, actor, is_active=True)
    _versions(brief).filter(is_active=True).update(is_active=False)
    latest = save_new(
        Brief(
            project=project,
            kind=brief.kind,
            name=brief.name,
            version=newest.version + 1,
            text=text,
            author=actor,
        )
    )
    _announce(latest, actor, "updated")
    return latest


@transaction.atomic
def brief_set_active(*, brief: Brief, actor: User | None, is_active: bool) -> Brief:
    """Whether new tasks are made with this version; at most one of a name is active.

    Its tasks that nobody took are withdrawn with it.
    """
    project_lock(brief.project_id)
    return _activate(_versions(brief).get(pk=brief.pk), actor, is_active=is_active)


def _activate(brief: Brief, actor: User | None, *, is_active: bool) -> Brief:
    if brief.is_active == is_active:
        return brief
    if is_active:
        _versions(brief).filter(is_active=True).update(is_active=False)
    save_changed(brief, is_active=is_active)
    _announce(brief, actor, "activated" if is_active else "deactivated")
    return brief


def _announce(brief: Brief, actor: User | None, verb: str) -> None:
    """Tasks follow at once; those of inactive versions go while nobody has taken them."""
    tasks_withdraw(
        tasks_queryset=Task.objects.filter(brief__in=_versions(brief).filter(is_active=False)),
        reason=f"The {brief.get_kind_display().lower()} {brief.name!r} was changed.",
    )
    target_tasks_settle(project=brief.project)
    audit_record(
        actor=actor,
        verb=f"brief:{verb}",
        target=brief,
        project=brief.project,
        kind=brief.kind,
        name=brief.name,
        version=brief.version,
    )


def _versions(brief: Brief) -> QuerySet[Brief]:
    return Brief.objects.filter(project=brief.project, kind=brief.kind, name=brief.name)


def _check(value: str, *, of: str, most: int) -> str:
    """Without outer white space. Raises InvalidInput."""
    value = value.strip()
    problem = text_problem(value)
    if problem is None and not 1 <= len(value) <= most:
        problem = f"has {len(value)} characters; 1 to {most} are taken"
    if problem is not None:
        raise InvalidInput(f"The {of} {problem}.", fields={of: [problem]})
    return value
