from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncDate
from django.utils import timezone

from annotation.choices import AssignmentStatus, TaskStatus
from annotation.judgements import kind_get
from annotation.models import Assignment, Project, Prompt, Ranking, Task
from annotation.selectors.exclusions import judgements_counted

NUM_DAYS = 14


def project_progress(project: Project) -> dict[str, Any]:
    """What has been collected so far, without the work of excluded people.

    ``judgements`` and ``open_tasks`` map each kind of the project, and each that there is any of,
    to a number; ``rankings`` are the judgements that order answers, of whatever kind;
    ``annotators`` counts the people with at least one judgement; ``rankings_per_day`` is oldest
    first and ends today.
    """
    submitted = judgements_counted(
        Assignment.objects.filter(task__project=project, status=AssignmentStatus.SUBMITTED), project
    )
    judgements = _by_kind(project, submitted, "task__kind")
    return {
        "prompts": Prompt.objects.filter(project=project).count(),
        "judgements": judgements,
        "demonstrations": judgements.get("demonstration", 0),
        "rankings": sum(num for kind, num in judgements.items() if kind_get(kind).is_preference),
        "open_tasks": _by_kind(
            project, Task.objects.filter(project=project, status=TaskStatus.OPEN), "kind"
        ),
        "annotators": submitted.aggregate(num=Count("annotator", distinct=True))["num"],
        "rankings_per_day": _rankings_per_day(project, today=timezone.localdate()),
    }


def _by_kind(project: Project, rows: QuerySet[Any], field: str) -> dict[str, int]:
    counts = rows.order_by().values_list(field).annotate(num=Count("pk"))
    return dict.fromkeys(project.kinds, 0) | dict(counts)


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
