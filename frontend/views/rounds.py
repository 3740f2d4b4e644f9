from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from annotation.choices import Role
from annotation.models import Project
from frontend.decisions import decision_tag, gate_rows, trial_picture
from frontend.overoptimization import overoptimization_view
from frontend.views.project_page import project_page, refusals_as_messages, render_project
from frontend.views.requests import UserRequest
from training.choices import ROUND_OPEN, Trigger
from training.models import Round
from training.selectors.access import round_get_for
from training.selectors.overoptimization import round_overoptimization
from training.selectors.rounds import RoundSummary, round_get
from training.services.decisions import round_approve, round_reject
from training.services.round_control import round_cancel, round_pause, round_resume, round_retry
from training.services.round_starting import round_start

Act = Callable[[Round, UserRequest], Any]

MAX_NOTE = 2_000


def _note(request: UserRequest) -> str:
    return request.POST.get("note", "").strip()[:MAX_NOTE]


ACTIONS: dict[str, tuple[Act, Promise]] = {
    "pause": (
        lambda round, request: round_pause(round=round, actor=request.user),
        gettext_lazy("The round pauses: its run saves its state and waits."),
    ),
    "resume": (
        lambda round, request: round_resume(round=round, actor=request.user),
        gettext_lazy("The round goes on where it stood."),
    ),
    "cancel": (
        lambda round, request: round_cancel(round=round, actor=request.user),
        gettext_lazy("The round stops. Labels are untouched."),
    ),
    "retry": (
        lambda round, request: round_retry(
            round=round, actor=request.user, step=request.POST.get("step", "")
        ),
        gettext_lazy("The round is taken up again."),
    ),
    "approve": (
        lambda round, request: round_approve(round=round, actor=request.user, note=_note(request)),
        gettext_lazy("Approved. The policy is deployed within seconds."),
    ),
    "reject": (
        lambda round, request: round_reject(round=round, actor=request.user, note=_note(request)),
        gettext_lazy("Rejected. The policies in use stay."),
    ),
}


@project_page(Role.REVIEWER)
@require_safe
def round_page(request: UserRequest, project: Project, number: int) -> HttpResponse:
    item = round_get(project, number)
    found = round_overoptimization(Round.objects.get(pk=item.id))
    context = _context(item) | {
        "gains": overoptimization_view(found),
        "retry_steps": [step for step in item.steps if step.name in item.actions.retry_steps],
    }
    return render_project(request, project, "frontend/pages/round.html", context, "project")


@project_page(Role.REVIEWER)
@require_safe
def round_live(request: UserRequest, project: Project, number: int) -> HttpResponse:
    """The moving parts of an open round's page; it asks for them every two seconds."""
    context = _context(round_get(project, number)) | {"project": project}
    return render(request, "frontend/partials/round_live.html", context)


@project_page(Role.ADMIN)
@require_POST
def round_begin(request: UserRequest, project: Project) -> HttpResponse:
    with refusals_as_messages(request):
        started = round_start(project=project, actor=request.user, trigger=Trigger.MANUAL)
        words = _("Round %(number)s has started.")
        messages.success(request, words % {"number": started.number})
    return redirect("project", project.slug)


@project_page(Role.ADMIN)
@require_POST
def round_act(request: UserRequest, project: Project, number: int, action: str) -> HttpResponse:
    if action not in ACTIONS:
        raise Http404
    act, words = ACTIONS[action]
    found = round_get_for(user=request.user, round_id=round_get(project, number).id)
    with refusals_as_messages(request):
        act(found, request)
        messages.success(request, str(words))
    return redirect("round", project.slug, number)


def _context(item: RoundSummary) -> dict[str, Any]:
    return {
        "round": item,
        "is_open": item.status in ROUND_OPEN,
        "tag": decision_tag(item),
        "gates": gate_rows(item.gates),
        "trial": trial_picture(item.trial),
        "step_names": [step.name for step in item.steps],
    }
