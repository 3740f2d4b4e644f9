"""What labelers flagged or found broken, until somebody looked at it."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotation.choices import Role
from annotation.models import Project, Report
from annotation.selectors.reports import Seen, report_get, report_list, reports_seen
from annotation.services.reports import report_resolve
from frontend.views.project_page import project_page, refusals_as_messages, render_project
from frontend.views.requests import UserRequest

# Each shows all that its labeler saw: texts of any length.
PAGE_SIZE = 10


@project_page(Role.REVIEWER)
@require_safe
def reports_page(request: UserRequest, project: Project) -> HttpResponse:
    is_open = request.GET.get("state") != "resolved"
    pages = Paginator(report_list(project, is_open=is_open), PAGE_SIZE)
    page = pages.get_page(request.GET.get("page"))
    seen = reports_seen(page)
    context = {
        "is_open": is_open,
        "num_open": report_list(project, is_open=True).count(),
        "page": page,
        "rows": [_row(report, seen[report.assignment_id]) for report in page],
    }
    return render_project(request, project, "frontend/pages/reports.html", context, "reports")


def _row(report: Report, seen: Seen) -> tuple[Report, Seen, list[dict[str, Any]]]:
    """With the turns by numbers, each with that of the turn before it."""
    places = {turn["id"]: number for number, turn in enumerate(seen.turns, 1)}
    turns = [
        turn
        | {
            "number": places[turn["id"]],
            "after": places.get(turn["parent"]),
            "is_own_reply": turn["chosen"] is not None
            and turn["chosen"] not in {reply["id"] for reply in turn["replies"]},
        }
        for turn in seen.turns
    ]
    return report, seen, turns


@project_page(Role.REVIEWER)
@require_POST
def report_close(request: UserRequest, project: Project, report_id: int) -> HttpResponse:
    with refusals_as_messages(request):
        report_resolve(report=report_get(project, report_id), actor=request.user)
        messages.success(request, _("Marked as looked at."))
    return redirect("reports", project.slug)
