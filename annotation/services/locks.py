"""Row locks, always in one order, so no deadlock: the project, then consents, then tasks.

None is a key lock: rows that only point at the locked one can be written meanwhile.
"""

from annotation.models import Project, Task


def project_lock(project_id: int) -> Project:
    """The project as it is once its row is locked; a second one who wants it finds our rows."""
    return Project.objects.select_for_update(no_key=True).get(pk=project_id)


def task_lock(task_id: int) -> Task:
    """Whoever changes an assignment holds its task's lock first."""
    return Task.objects.select_for_update(no_key=True).get(pk=task_id)
