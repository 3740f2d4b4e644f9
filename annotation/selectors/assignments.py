from typing import Any

from annotation.errors import NotFound
from annotation.evidence import messages_shown
from annotation.judgements import kind_get
from annotation.models import Assignment, Brief, Completion, Prompt
from annotation.selectors.access import Visitor, role_of
from annotation.selectors.guidelines import guidelines_get

# What every use of an assignment reads.
ASSIGNMENT_PARTS = ("task__project", "task__prompt", "task__brief", "guidelines")


def assignment_get(*, user: Visitor, assignment_id: int) -> Assignment:
    """The user's own assignment in a project they are still a member of. Raises NotFound."""
    assignment = (
        Assignment.objects.filter(pk=assignment_id, annotator_id=user.pk)
        .select_related(*ASSIGNMENT_PARTS)
        .first()
    )
    if assignment is None or role_of(user, assignment.task.project) is None:
        raise NotFound(f"You have no assignment {assignment_id}. Claim one first.")
    return assignment


def assignment_present(assignment: Assignment) -> dict[str, Any]:
    """Everything the annotator may see, and nothing that tells who made a completion."""
    task, kind = assignment.task, kind_get(assignment.task.kind)
    texts = dict(Completion.objects.filter(pk__in=assignment.shown_order).values_list("pk", "text"))
    return {
        "id": assignment.pk,
        "kind": task.kind,
        "status": assignment.status,
        "project": {"slug": task.project.slug, "name": task.project.name},
        "prompt": _prompt(task.prompt),
        "brief": _brief(task.brief),
        "completions": [{"id": pk, "text": texts[pk]} for pk in assignment.shown_order],
        "guidelines": _guidelines(assignment),
        "options": kind.options(task.project),
        "details": kind.present(assignment),
        "undo_seconds": 60 * task.project.undo_minutes,
        "draft": assignment.draft,
        "lease_expires_at": assignment.lease_expires_at,
    }


def _prompt(prompt: Prompt | None) -> dict[str, Any] | None:
    if prompt is None:
        return None
    return {"messages": messages_shown(prompt), "sources": prompt.sources}


def _brief(brief: Brief | None) -> dict[str, Any] | None:
    return {"kind": brief.kind, "name": brief.name, "text": brief.text} if brief else None


def _guidelines(assignment: Assignment) -> dict[str, Any]:
    """As they were when the task was taken, and the number of the newest version."""
    version, latest = assignment.guidelines, guidelines_get(assignment.task.project)
    return {
        "version": version.number if version else 0,
        "text": version.text if version else "",
        "latest": latest.number if latest else 0,
    }
