from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.choices import Role
from annotation.models import Completion, Project
from annotation.selectors.access import role_of
from annotation.selectors.exclusions import labeler_get
from annotation.services.exclusions import labeler_readmit
from frontend.descent import descent
from frontend.forms import ForgetForm
from frontend.views.project_page import project_page, refusals_as_messages, render_project
from frontend.views.requests import UserRequest
from training.selectors.lineage import completion_get_origin, labeler_lineage
from training.services.forgetting import Forgetting, labeler_forget


@project_page(Role.ADMIN)
@require_safe
def member_lineage_page(request: UserRequest, project: Project, user_id: int) -> HttpResponse:
    """What became of one person's work."""
    context = {"lineage": labeler_lineage(project, labeler_get(project, user_id))}
    template = "frontend/pages/member_lineage.html"
    return render_project(request, project, template, context, "members")


@project_page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def member_forget_page(request: UserRequest, project: Project, user_id: int) -> HttpResponse:
    """Says what will happen, then does it."""
    user = labeler_get(project, user_id)
    form = ForgetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_as_messages(request):
            done = labeler_forget(
                project=project, user=user, actor=request.user, **form.cleaned_data
            )
            _tell(request, user.get_username(), done)
        return redirect("member-lineage", project.slug, user_id)
    context = {"form": form, "lineage": labeler_lineage(project, user)}
    template = "frontend/pages/member_forget.html"
    return render_project(request, project, template, context, "members")


@project_page(Role.ADMIN)
@require_POST
def member_readmit(request: UserRequest, project: Project, user_id: int) -> HttpResponse:
    user = labeler_get(project, user_id)
    with refusals_as_messages(request):
        labeler_readmit(project=project, user=user, actor=request.user)
        words = _("%(name)s's work counts again, from the next round on.")
        messages.success(request, words % {"name": user.get_username()})
    return redirect("member-lineage", project.slug, user_id)


@project_page(Role.REVIEWER)
@require_safe
def completion_lineage_page(
    request: UserRequest, project: Project, completion_id: int
) -> HttpResponse:
    """Not for labelers: it tells which policy wrote the answer, and who taught it."""
    is_admin = role_of(request.user, project) == Role.ADMIN
    origin = completion_get_origin(project, completion_id, show_names=is_admin)
    context: dict[str, Any] = {
        "completion": Completion.objects.select_related("prompt").get(pk=completion_id),
        "origin": origin,
        "branch": descent(origin["ancestry"]),
    }
    template = "frontend/pages/completion_lineage.html"
    return render_project(request, project, template, context, "answers")


def _tell(request: UserRequest, name: str, done: Forgetting) -> None:
    words = _("%(name)s's work no longer counts. Nothing was deleted.")
    messages.success(request, words % {"name": name})
    if done.round is not None:
        words = _("Round %(number)s trains again without it.")
        messages.success(request, words % {"number": done.round.number})
    if done.refusal is not None:
        words = _("No round has started: %(message)s (%(code)s)")
        refusal = {"message": done.refusal.message, "code": done.refusal.code}
        messages.warning(request, words % refusal)
