from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Count
from django.db.models.functions import TruncDate
from django.utils import timezone

from annotation.choices import AssignmentStatus, TaskStatus
from annotation.models import Assignment, Demonstration, Project, Prompt, Ranking, Task
from annotation.selectors.exclusions import judgements_counted

NUM_DAYS = 14


def project_progress(project: Project) -> dict[str, Any]:
    """What has been collected so far, without the work of excluded people.

    ``open_tasks`` maps each kind of the project to its open tasks; ``annotators`` counts the
    people with at least one judgement; ``rankings_per_day`` is oldest first and ends today.
    """
    submitted = judgements_counted(
        Assignment.objects.filter(task__project=project, status=AssignmentStatus.SUBMITTED), project
    )
    return {
        "prompts": Prompt.objects.filter(project=project).count(),
        "demonstrations": judgements_counted(
            Demonstration.objects.filter(prompt__project=project), project
        ).count(),
        "rankings": judgements_counted(
            Ranking.objects.filter(task__project=project), project
        ).count(),
        "open_tasks": _open_tasks(project),
        "annotators": submitted.aggregate(num=Count("annotator", distinct=True))["num"],
        "rankings_per_day": _rankings_per_day(project, today=timezone.localdate()),
    }


def _open_tasks(project: Project) -> dict[str, int]:
    rows = (
        Task.objects.filter(project=project, status=TaskStatus.OPEN)
        .order_by()
        .values_list("kind")
        .annotate(num=Count("pk"))
    )
    return dict.fromkeys(project.kinds, 0) | dict(rows)


def _rankings_per_day(project: Project, *, today: date) -> list[dict[str, Any]]:
    first = today - timedelta(days=NUM_DAYS - 1)
    since = timezone.make_aware(datetime.combine(first, time.min))
    rankings = Ranking.objects.filter(task__project=project, created_at__gte=since)
    counts = dict(
        judgements_counted(rankings, project)
        .order_by()
        .values_list(TruncDate("created_at"))
        .annotate(num=Count("pk"))
    )
    days = [first + timedelta(days=offset) for offset in range(NUM_DAYS)]
    return [{"date": day, "count": counts.get(day, 0)} for day in days]
