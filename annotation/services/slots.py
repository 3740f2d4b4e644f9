"""A task's slots: Task.claims is changed here and nowhere else, one conditional update each."""

from django.db.models import F

from annotation.choices import AssignmentStatus, TaskStatus
from annotation.models import Assignment, Task
from annotation.selectors.tasks import HAS_FREE_SLOT


def slot_take(task_id: int) -> bool:
    """Takes a slot if one is free; also locks the task's row until the transaction ends.

    The database evaluates the condition again after waiting for another claimer, so two of them
    cannot take the last slot.
    """
    free = Task.objects.filter(HAS_FREE_SLOT, pk=task_id)
    return free.update(claims=F("claims") + 1) == 1


def slot_free(task_id: int) -> None:
    Task.objects.filter(pk=task_id, claims__gt=0).update(claims=F("claims") - 1)


def task_close_if_done(task: Task) -> None:
    """Closes the task once every wanted judgement is in. Needs the task's lock."""
    submitted = Assignment.objects.filter(task=task, status=AssignmentStatus.SUBMITTED).count()
    if submitted >= task.judgements_wanted:
        Task.objects.filter(pk=task.pk, status=TaskStatus.OPEN).update(status=TaskStatus.CLOSED)
