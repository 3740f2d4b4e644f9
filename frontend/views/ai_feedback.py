"""Principles, AI labelers beside people, and revisions that wait for a person."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Model
from django.forms import BaseForm
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotation.choices import RevisionStatus, Role
from annotation.models import AILabeler, AIRevision, Principle, Project
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
    form_save,
    form_target,
    project_page,
    refusals_as_messages,
    render_project,
)
from frontend.views.requests import UserRequest
from training.choices import FEEDBACK
from training.selectors.ai_feedback import ai_labeler_get, ai_labeler_statuses
from training.selectors.runs import run_list
from training.services.ai_feedback import feedback_start
from training.services.ai_labelers import ai_labeler_create, ai_labeler_update

RowT = TypeVar("RowT", bound=Model)
FormT = TypeVar("FormT", bound=BaseForm)

PAGE = "ai-feedback"
TEMPLATE = "frontend/pages/ai_feedback.html"
PAGE_SIZE = 10
NUM_RUNS = 5
ACTIONS = {"approve": revision_approve, "refuse": revision_refuse}


@project_page(Role.ADMIN)
@require_safe
def ai_feedback_page(request: UserRequest, project: Project) -> HttpResponse:
    return _render(request, project)


@project_page(Role.ADMIN)
@form_target(PAGE)
def principle_add(request: UserRequest, project: Project) -> HttpResponse:
    form = PrincipleForm(request.POST)
    if not form_save(request, form, partial(principle_create, project=project, actor=request.user)):
        return _render(request, project, principle_form=form)
    messages.success(request, _("Added. Agreement is measured anew with it."))
    return redirect(PAGE, project.slug)


@project_page(Role.ADMIN)
@form_target(PAGE)
def principle_change(request: UserRequest, project: Project, principle_id: int) -> HttpResponse:
    principle = principle_get(project, principle_id)
    form = _principle_form(principle, request.POST)
    save = partial(principle_update, principle=principle, actor=request.user)
    if not form_save(request, form, save):
        return _render(request, project, refused=(principle, form))
    messages.success(request, _("Saved. Judgements made before keep the text they had."))
    return redirect(PAGE, project.slug)


@project_page(Role.ADMIN)
@form_target(PAGE)
def ai_labeler_add(request: UserRequest, project: Project) -> HttpResponse:
    form = AILabelerForm(request.POST, project=project)
    if not form_save(
        request, form, partial(ai_labeler_create, project=project, actor=request.user)
    ):
        return _render(request, project, labeler_form=form)
    messages.success(request, _("Added. Measure how far it agrees with people first."))
    return redirect(PAGE, project.slug)


@project_page(Role.ADMIN)
@form_target(PAGE)
def ai_labeler_change(request: UserRequest, project: Project, labeler_id: int) -> HttpResponse:
    # The form writes into its instance; the service compares with the stored row.
    form = _labeler_form(ai_labeler_get(project, labeler_id), request.POST)
    labeler = ai_labeler_get(project, labeler_id)
    save = partial(ai_labeler_update, labeler=labeler, actor=request.user)
    if not form_save(request, form, save):
        return _render(request, project, refused=(labeler, form))
    messages.success(request, _("Saved. It holds from the next round on."))
    return redirect(PAGE, project.slug)


@project_page(Role.ADMIN)
@form_target(PAGE)
def ai_labeler_ask(request: UserRequest, project: Project, labeler_id: int) -> HttpResponse:
    labeler = ai_labeler_get(project, labeler_id)
    form = _ask_form(labeler, request.POST)
    run = form_save(request, form, partial(feedback_start, labeler=labeler, actor=request.user))
    if run is None:
        return _render(request, project, refused=(labeler, form))
    messages.success(request, _("Run %(id)s is queued.") % {"id": run.pk})
    return redirect(PAGE, project.slug)


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
    return redirect(PAGE, project.slug)


def _render(
    request: UserRequest,
    project: Project,
    *,
    principle_form: PrincipleForm | None = None,
    labeler_form: AILabelerForm | None = None,
    refused: tuple[Model, BaseForm] | None = None,
) -> HttpResponse:
    """The forms are those that were refused; ``refused`` is a row's, with the row."""

    def form_of(row: RowT, form_make: Callable[[RowT], FormT]) -> FormT:
        form = form_make(row)
        if refused is not None and refused[0] == row and isinstance(refused[1], type(form)):
            return refused[1]
        return form

    statuses, people = ai_labeler_statuses(project)
    waiting = Paginator(revision_list(project, RevisionStatus.WAITING), PAGE_SIZE)
    context = {
        "principles": [(row, form_of(row, _principle_form)) for row in principle_list(project)],
        "principle_form": principle_form or PrincipleForm(),
        "statuses": [
            (status, form_of(status.labeler, _ask_form), form_of(status.labeler, _labeler_form))
            for status in statuses
        ],
        "people": people,
        "labeler_form": labeler_form or AILabelerForm(project=project),
        "runs": run_list(project).filter(step=FEEDBACK)[:NUM_RUNS],
        "page": waiting.get_page(request.GET.get("page")),
    }
    return render_project(request, project, TEMPLATE, context, PAGE)


def _principle_form(principle: Principle, posted: QueryDict | None = None) -> PrincipleChangeForm:
    stored = {"text": principle.text, "is_active": principle.is_active}
    return PrincipleChangeForm(posted, initial=stored, auto_id=f"principle-{principle.pk}-%s")


def _labeler_form(labeler: AILabeler, posted: QueryDict | None = None) -> AILabelerChangeForm:
    return AILabelerChangeForm(posted, instance=labeler, auto_id=f"labeler-{labeler.pk}-%s")


def _ask_form(labeler: AILabeler, posted: QueryDict | None = None) -> FeedbackForm:
    return FeedbackForm(posted, auto_id=f"ask-{labeler.pk}-%s")
