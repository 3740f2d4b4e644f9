from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from annotation.choices import Role
from annotation.errors import DomainError
from annotation.models import Project
from annotation.services.projects import project_update
from frontend.forms import ProjectForm
from frontend.loop_form import LoopSettingsForm, preset_choices
from frontend.views.project_page import project_page, refusals_as_messages, render_project
from frontend.views.requests import UserRequest
from training.selectors.loop import loop_settings_get
from training.services.paper_presets import PRESETS, preset_apply
from training.services.settings import loop_settings_update


@project_page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def settings_page(request: UserRequest, project: Project) -> HttpResponse:
    """Two forms, one button: what people see of the project, and how its loop turns."""
    posted = request.POST or None
    # Copies for the forms: a model form writes into its instance even when it is refused.
    about = ProjectForm(posted, instance=Project.objects.get(pk=project.pk))
    loop = LoopSettingsForm(posted, instance=loop_settings_get(project))
    refusal = None
    if request.method == "POST" and about.is_valid() and loop.is_valid():
        try:
            _save(request, project, about, loop)
        except DomainError as error:
            refusal = error
        else:
            messages.success(request, "Saved. The loop follows from its next round on.")
            return redirect("project-settings", project.slug)
    settings = loop_settings_get(project)
    context = {
        "about": about,
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
        messages.success(request, f"The protocol of {title} holds from the next round on.")
    return redirect("project-settings", project.slug)


@transaction.atomic
def _save(
    request: UserRequest, project: Project, about: ProjectForm, loop: LoopSettingsForm
) -> None:
    project_update(actor=request.user, project=project, **about.cleaned_data)
    loop_settings_update(actor=request.user, project=project, **loop.values)
