from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from annotation.choices import Role
from annotation.errors import DomainError
from annotation.models import Project
from annotation.services.projects import project_update
from frontend.forms import LoopSettingsForm, ProjectForm
from frontend.views.project_page import project_page, render_project
from frontend.views.requests import UserRequest
from training.selectors.loop import loop_settings_get
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
    context = {"about": about, "loop": loop, "refusal": refusal}
    template = "frontend/pages/settings.html"
    return render_project(request, project, template, context, "project-settings")


@transaction.atomic
def _save(
    request: UserRequest, project: Project, about: ProjectForm, loop: LoopSettingsForm
) -> None:
    project_update(actor=request.user, project=project, **about.cleaned_data)
    loop_settings_update(actor=request.user, project=project, **loop.cleaned_data)
