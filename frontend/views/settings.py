from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from annotation.choices import Role
from annotation.errors import DomainError
from annotation.models import Project
from annotation.services.projects import project_update
from frontend.forms import ProjectForm
from frontend.kinds_form import KindsForm
from frontend.loop_form import LoopSettingsForm, preset_choices
from frontend.views.project_page import project_page, refusals_as_messages, render_project
from frontend.views.requests import UserRequest
from training.selectors.loop import loop_settings_get
from training.services.paper_presets import PRESETS, preset_apply
from training.services.settings import loop_settings_update


@project_page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def settings_page(request: UserRequest, project: Project) -> HttpResponse:
    """Three forms, one button: the project, what people are asked to do, how its loop turns."""
    posted = request.POST or None
    # Copies for the forms: a model form writes into its instance even when it is refused.
    about = ProjectForm(posted, instance=Project.objects.get(pk=project.pk))
    kinds = KindsForm(posted, project=project)
    loop = LoopSettingsForm(posted, instance=loop_settings_get(project))
    refusal = None
    # Every form says what is wrong with it, not the first alone.
    are_valid = [form.is_valid() for form in (about, kinds, loop)]
    if request.method == "POST" and all(are_valid):
        try:
            _save(request, project, about.cleaned_data | kinds.values, loop.values)
        except DomainError as error:
            refusal = error
        else:
            messages.success(request, _("Saved. The loop follows from its next round on."))
            return redirect("project-settings", project.slug)
    settings = loop_settings_get(project)
    context = {
        "about": about,
        "kinds": kinds,
        "loop": loop,
        "refusal": refusal,
        "presets": preset_choices(settings, project),
        "applied": PRESETS.get(settings.preset),
    }
    template = "frontend/pages/settings.html"
    return render_project(request, project, template, context, "project-settings")


@project_page(Role.ADMIN)
@require_POST
def preset_choose(request: UserRequest, project: Project) -> HttpResponse:
    with refusals_as_messages(request):
        settings = preset_apply(
            actor=request.user, project=project, name=request.POST.get("preset", "")
        )
        title = PRESETS[settings.preset].title
        words = _("The protocol of %(title)s holds from the next round on.")
        messages.success(request, words % {"title": title})
    return redirect("project-settings", project.slug)


@transaction.atomic
def _save(
    request: UserRequest, project: Project, about: dict[str, Any], loop: dict[str, Any]
) -> None:
    project_update(actor=request.user, project=project, **about)
    loop_settings_update(actor=request.user, project=project, **loop)
