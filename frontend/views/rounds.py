from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from annotation.choices import Role
from annotation.models import Project
from frontend.views.project_page import project_page, refusals_as_messages, render_project
from frontend.views.requests import UserRequest
from training.choices import Trigger
from training.selectors.access import round_get_for
from training.selectors.rounds import round_get
from training.services.rounds import round_cancel, round_retry, round_start

ACTIONS = {
    "cancel": (round_cancel, "The round stops. Labels are untouched."),
    "retry": (round_retry, "The round goes on from the step that stopped."),
}


@project_page(Role.REVIEWER)
@require_safe
def round_page(request: UserRequest, project: Project, number: int) -> HttpResponse:
    context = {"round": round_get(project, number)}
    return render_project(request, project, "frontend/pages/round.html", context, "project")


@project_page(Role.ADMIN)
@require_POST
def round_begin(request: UserRequest, project: Project) -> HttpResponse:
    with refusals_as_messages(request):
        started = round_start(project=project, actor=request.user, trigger=Trigger.MANUAL)
        messages.success(request, f"Round {started.number} has started.")
    return redirect("project", project.slug)


@project_page(Role.ADMIN)
@require_POST
def round_act(request: UserRequest, project: Project, number: int, action: str) -> HttpResponse:
    if action not in ACTIONS:
        raise Http404
    service, words = ACTIONS[action]
    found = round_get_for(user=request.user, round_id=round_get(project, number).id)
    with refusals_as_messages(request):
        service(round=found, actor=request.user)
        messages.success(request, words)
    return redirect("round", project.slug, number)
