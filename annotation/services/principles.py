"""The principles AI labelers are asked about. An edit adds a version; what was asked stays."""

import hashlib
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max

from annotation.errors import Conflict, InvalidInput
from annotation.models import Principle, PrincipleVersion, Project
from annotation.models.ai import MAX_PRINCIPLE_CHARACTERS
from annotation.services.audit import audit_record
from annotation.services.locks import project_lock
from annotation.services.saving import save_changed, save_new
from annotation.validation import text_problem

EDITABLE = frozenset({"name", "text", "position", "is_active"})


class PrincipleNameTaken(Conflict):
    code = "principle_name_taken"


@transaction.atomic
def principle_create(
    *, project: Project, actor: User | None, name: str, text: str, position: int | None = None
) -> Principle:
    """At the end unless a position is given. Raises PrincipleNameTaken, InvalidInput."""
    project_lock(project.pk)
    _name_check(project, name)
    if position is None:
        last = Principle.objects.filter(project=project).aggregate(last=Max("position"))["last"]
        position = 0 if last is None else last + 1
    principle = save_new(Principle(project=project, name=name, position=position))
    _version_add(principle, 1, text, actor)
    audit_record(
        actor=actor, verb="principle:created", target=principle, project=project, name=name
    )
    return principle


@transaction.atomic
def principle_update(*, principle: Principle, actor: User | None, **fields: Any) -> Principle:
    """Changes the given fields; another text becomes the next version.

    Raises PrincipleNameTaken, InvalidInput.
    """
    if unknown := sorted(set(fields) - EDITABLE):
        raise InvalidInput(
            f"A principle has no field {', '.join(unknown)}; there are: "
            f"{', '.join(sorted(EDITABLE))}.",
            fields={name: ["Unknown field."] for name in unknown},
        )
    principle = (
        Principle.objects.select_for_update(of=("self",))
        .select_related("project")
        .get(pk=principle.pk)
    )
    text = fields.pop("text", None)
    if fields.get("name", principle.name) != principle.name:
        _name_check(principle.project, fields["name"])
    changed = save_changed(principle, **fields)
    newest = principle.version
    if text is not None and text.strip() != newest.text:
        _version_add(principle, newest.number + 1, text, actor)
        changed.append("text")
    if changed:
        audit_record(
            actor=actor,
            verb="principle:updated",
            target=principle,
            project=principle.project,
            fields=changed,
            version=principle.version.number,
        )
    return principle


def _version_add(principle: Principle, number: int, text: str, actor: User | None) -> None:
    text = text.strip()
    if (problem := text_problem(text)) or not text or len(text) > MAX_PRINCIPLE_CHARACTERS:
        problem = (
            problem or f"has {len(text)} characters; 1 to {MAX_PRINCIPLE_CHARACTERS} are taken"
        )
        raise InvalidInput(f"The text {problem}.", fields={"text": [problem]})
    text_hash = hashlib.sha256(text.encode()).hexdigest()
    save_new(
        PrincipleVersion(
            principle=principle, number=number, text=text, text_hash=text_hash, author=actor
        )
    )


def _name_check(project: Project, name: str) -> None:
    if Principle.objects.filter(project=project, name=name).exists():
        raise PrincipleNameTaken(
            f"{project.slug} has a principle {name!r} already; edit that one or choose another "
            "name.",
            name=name,
        )
