"""What labelers flagged or found broken, until somebody looked at it."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotation.choices import Role
from annotation.models import Project
from annotation.selectors.reports import report_get, report_list
from annotation.services.reports import report_resolve
from frontend.views.project_page import project_page, refusals_as_messages, render_project
from frontend.views.requests import UserRequest

PAGE_SIZE = 20


@project_page(Role.REVIEWER)
@require_safe
def reports_page(request: UserRequest, project: Project) -> HttpResponse:
    is_open = request.GET.get("state") != "resolved"
    pages = Paginator(report_list(project, is_open=is_open), PAGE_SIZE)
    context = {
        "is_open": is_open,
        "num_open": report_list(project, is_open=True).count(),
        "page": pages.get_page(request.GET.get("page")),
    }
    return render_project(request, project, "frontend/pages/reports.html", context, "reports")


@project_page(Role.REVIEWER)
@require_POST
def report_close(request: UserRequest, project: Project, report_id: int) -> HttpResponse:
    with refusals_as_messages(request):
        report_resolve(report=report_get(project, report_id), actor=request.user)
        messages.success(request, _("Marked as looked at."))
    return redirect("reports", project.slug)
