import json
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from annotation.choices import Role
from annotation.errors import NotFound
from annotation.models import Project
from frontend.calibration import calibration_of
from frontend.views.project_page import project_page, refusals_as_messages, render_project
from frontend.views.requests import UserRequest
from training.choices import RUN_ACTIVE, RUN_STOPPED
from training.models import Run
from training.selectors.runs import run_curves, run_list
from training.services.round_control import run_retry
from training.services.runs import run_cancel

ACTIONS = {
    "cancel": (run_cancel, _("The run stops at its next step. Labels are untouched.")),
    "retry": (run_retry, _("The run is queued again and goes on from its saved state.")),
}


@project_page(Role.REVIEWER)
@require_safe
def run_page(request: UserRequest, project: Project, run_id: int) -> HttpResponse:
    run = _run(project, run_id)
    context = _context(run) | {
        "config": json.dumps(run.config, indent=2, sort_keys=True),
        "parents": list(run.run_parents.all()),
        "calibration": calibration_of(run.result),
    }
    return render_project(request, project, "frontend/pages/run.html", context, "project")


@project_page(Role.REVIEWER)
@require_safe
def run_live(request: UserRequest, project: Project, run_id: int) -> HttpResponse:
    """The run's state alone; the page asks for it every two seconds while the run is active."""
    context = _context(_run(project, run_id)) | {"project": project}
    return render(request, "frontend/partials/run_live.html", context)


@project_page(Role.REVIEWER)
@require_safe
def run_points(request: UserRequest, project: Project, run_id: int) -> HttpResponse:
    return JsonResponse(run_curves(_run(project, run_id)))


@project_page(Role.ADMIN)
@require_POST
def run_act(request: UserRequest, project: Project, run_id: int, action: str) -> HttpResponse:
    if action not in ACTIONS:
        raise Http404
    service, words = ACTIONS[action]
    with refusals_as_messages(request):
        service(run=_run(project, run_id), actor=request.user)
        messages.success(request, str(words))
    return redirect("run", project.slug, run_id)


def _run(project: Project, run_id: int) -> Run:
    run = run_list(project).filter(pk=run_id).first()
    if run is None:
        raise NotFound(f"{project.slug} has no run {run_id}.")
    return run


def _context(run: Run) -> dict[str, Any]:
    return {
        "run": run,
        "is_active": run.status in RUN_ACTIVE,
        "is_stopped": run.status in RUN_STOPPED,
        "metrics": sorted((run.result or {}).get("metrics", {}).items()),
    }
