from typing import Any

from annotation.errors import NotFound
from annotation.models import Assignment, Completion
from annotation.selectors.access import Visitor, role_of


def assignment_get(*, user: Visitor, assignment_id: int) -> Assignment:
    """The user's own assignment in a project they are still a member of. Raises NotFound."""
    assignment = (
        Assignment.objects.filter(pk=assignment_id, annotator_id=user.pk)
        .select_related("task__project", "task__prompt")
        .first()
    )
    if assignment is None or role_of(user, assignment.task.project) is None:
        raise NotFound(f"You have no assignment {assignment_id}. Claim one first.")
    return assignment


def assignment_present(assignment: Assignment) -> dict[str, Any]:
    """Everything the annotator may see, and nothing that tells who made a completion."""
    task = assignment.task
    texts = dict(Completion.objects.filter(pk__in=assignment.shown_order).values_list("pk", "text"))
    return {
        "id": assignment.pk,
        "kind": task.kind,
        "status": assignment.status,
        "project": {"slug": task.project.slug, "name": task.project.name},
        "prompt": {"messages": task.prompt.messages},
        "completions": [{"id": pk, "text": texts[pk]} for pk in assignment.shown_order],
        "guidelines": task.project.guidelines,
        "draft": assignment.draft,
        "lease_expires_at": assignment.lease_expires_at,
    }
