"""Principles, AI labelers beside people, and revisions that wait for a person."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotation.choices import RevisionStatus, Role
from annotation.models import AIRevision, Project
from annotation.selectors.principles import (
    principle_get,
    principle_list,
    revision_get,
    revision_list,
)
from annotation.services.principles import principle_create, principle_update
from annotation.services.revisions import revision_approve, revision_refuse
from frontend.ai_feedback_forms import (
    AILabelerChangeForm,
    AILabelerForm,
    FeedbackForm,
    PrincipleChangeForm,
    PrincipleForm,
)
from frontend.views.project_page import (
    form_refused,
    project_page,
    refusals_as_messages,
    render_project,
)
from frontend.views.requests import UserRequest
from training.choices import FEEDBACK, FeedbackPurpose
from training.selectors.ai_feedback import ai_labeler_get, ai_labeler_statuses
from training.selectors.runs import run_list
from training.services.ai_feedback import NUM_DEFAULT, NUM_MAX, feedback_start
from training.services.ai_labelers import ai_labeler_create, ai_labeler_update

TEMPLATE = "frontend/pages/ai_feedback.html"
PAGE_SIZE = 10
NUM_RUNS = 5
ACTIONS = {"approve": revision_approve, "refuse": revision_refuse}


@project_page(Role.ADMIN)
@require_safe
def ai_feedback_page(request: UserRequest, project: Project) -> HttpResponse:
    statuses, people = ai_labeler_statuses(project)
    waiting = Paginator(revision_list(project, RevisionStatus.WAITING), PAGE_SIZE)
    context = {
        "principles": principle_list(project),
        "principle_form": PrincipleForm(),
        "statuses": statuses,
        "people": people,
        "labeler_form": AILabelerForm(project=project),
        "purposes": FeedbackPurpose.choices,
        "num_default": NUM_DEFAULT,
        "num_max": NUM_MAX,
        "runs": run_list(project).filter(step=FEEDBACK)[:NUM_RUNS],
        "page": waiting.get_page(request.GET.get("page")),
    }
    return render_project(request, project, TEMPLATE, context, "ai-feedback")


@project_page(Role.ADMIN)
@require_POST
def principle_add(request: UserRequest, project: Project) -> HttpResponse:
    form = PrincipleForm(request.POST)
    if not form_refused(request, form):
        with refusals_as_messages(request):
            principle_create(project=project, actor=request.user, **form.cleaned_data)
            messages.success(request, _("Added. Agreement is measured anew with it."))
    return redirect("ai-feedback", project.slug)


@project_page(Role.ADMIN)
@require_POST
def principle_change(request: UserRequest, project: Project, principle_id: int) -> HttpResponse:
    principle = principle_get(project, principle_id)
    form = PrincipleChangeForm(request.POST)
    if not form_refused(request, form):
        with refusals_as_messages(request):
            principle_update(principle=principle, actor=request.user, **form.cleaned_data)
            messages.success(request, _("Saved. Judgements made before keep the text they had."))
    return redirect("ai-feedback", project.slug)


@project_page(Role.ADMIN)
@require_POST
def ai_labeler_add(request: UserRequest, project: Project) -> HttpResponse:
    form = AILabelerForm(request.POST, project=project)
    if not form_refused(request, form):
        with refusals_as_messages(request):
            ai_labeler_create(project=project, actor=request.user, **form.cleaned_data)
            messages.success(request, _("Added. Measure how far it agrees with people first."))
    return redirect("ai-feedback", project.slug)


@project_page(Role.ADMIN)
@require_POST
def ai_labeler_change(request: UserRequest, project: Project, labeler_id: int) -> HttpResponse:
    form = AILabelerChangeForm(request.POST, instance=ai_labeler_get(project, labeler_id))
    if not form_refused(request, form):
        # The form has written into its instance; the service compares with the stored row.
        labeler = ai_labeler_get(project, labeler_id)
        with refusals_as_messages(request):
            ai_labeler_update(labeler=labeler, actor=request.user, **form.cleaned_data)
            messages.success(request, _("Saved. It holds from the next round on."))
    return redirect("ai-feedback", project.slug)


@project_page(Role.ADMIN)
@require_POST
def ai_labeler_ask(request: UserRequest, project: Project, labeler_id: int) -> HttpResponse:
    labeler = ai_labeler_get(project, labeler_id)
    form = FeedbackForm(request.POST)
    if not form_refused(request, form):
        with refusals_as_messages(request):
            run = feedback_start(labeler=labeler, actor=request.user, **form.cleaned_data)
            messages.success(request, _("Run %(id)s is queued.") % {"id": run.pk})
    return redirect("ai-feedback", project.slug)


@project_page(Role.ADMIN)
@require_POST
def revision_decide(
    request: UserRequest, project: Project, revision_id: int, action: str
) -> HttpResponse:
    if action not in ACTIONS:
        raise Http404(f"A revision can be approved or refused, not {action!r}.")
    revision: AIRevision = revision_get(project, revision_id)
    with refusals_as_messages(request):
        ACTIONS[action](revision=revision, actor=request.user)
        words = _("Revision %(id)s: %(status)s.")
        status = revision.get_status_display()
        messages.success(request, words % {"id": revision.pk, "status": status})
    return redirect("ai-feedback", project.slug)
