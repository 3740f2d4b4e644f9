from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from annotation.errors import NotFound
from annotation.evidence import messages_shown
from annotation.judgements import kind_get
from annotation.judgements.base import Supply
from annotation.models import Assignment, Brief, Completion, Project, Report
from annotation.selectors.turns import turns_present_many


@dataclass(frozen=True, slots=True)
class Seen:
    """What a labeler had before them. Nothing tells which model wrote an answer or a reply."""

    messages: list[dict[str, str]]
    sources: list[dict[str, str]]
    brief: Brief | None
    # In the order shown.
    answers: list[str]
    # There is one answer at most, which the labeler was to edit.
    is_draft: bool
    # As turns_present gives them.
    turns: list[dict[str, Any]]


def report_list(project: Project, *, is_open: bool | None = None) -> QuerySet[Report]:
    """What labelers reported, newest first; all, or only those open or resolved."""
    reports = Report.objects.filter(project=project).select_related(
        "reporter", "resolved_by", "assignment__task__prompt", "assignment__task__brief"
    )
    return reports if is_open is None else reports.filter(resolved_at__isnull=is_open)


def report_get(project: Project, report_id: int) -> Report:
    """Raises NotFound."""
    report = report_list(project).filter(pk=report_id).first()
    if report is None:
        raise NotFound(f"{project.slug} has no report {report_id}.")
    return report


def reports_seen(reports: Iterable[Report]) -> dict[int, Seen]:
    """{assignment id: what its labeler saw}, of reports as report_list gives them.

    Three queries, however many reports there are.
    """
    assignments = {report.assignment_id: report.assignment for report in reports}
    shown = [pk for assignment in assignments.values() for pk in assignment.shown_order]
    texts = dict(Completion.objects.filter(pk__in=shown).values_list("pk", "text"))
    turns = turns_present_many(assignments.keys())
    return {pk: _seen(row, texts, turns[pk]) for pk, row in assignments.items()}


def _seen(assignment: Assignment, texts: dict[int, str], turns: list[dict[str, Any]]) -> Seen:
    task = assignment.task
    return Seen(
        messages=messages_shown(task.prompt) if task.prompt else [],
        sources=task.prompt.sources if task.prompt else [],
        brief=task.brief,
        answers=[texts[pk] for pk in assignment.shown_order if pk in texts],
        is_draft=kind_get(task.kind).supply is Supply.PROMPTS,
        turns=turns,
    )
