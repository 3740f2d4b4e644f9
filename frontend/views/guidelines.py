from functools import partial

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotation.choices import Role
from annotation.models import GuidelinesVersion, Project
from annotation.selectors.guidelines import guidelines_list
from annotation.services.projects import project_update
from frontend.forms import GuidelinesForm
from frontend.versions import versions_shown
from frontend.views.project_page import form_save, project_page, render_project
from frontend.views.requests import UserRequest

NUM_SHOWN = 20


@project_page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def guidelines_page(request: UserRequest, project: Project) -> HttpResponse:
    form = GuidelinesForm(request.POST or None, initial={"guidelines": project.guidelines})
    save = partial(project_update, actor=request.user, project=project)
    if request.method == "POST" and form_save(request, form, save) is not None:
        messages.success(request, _("Saved. Work handed out from now on shows this version."))
        return redirect("guidelines", project.slug)
    rows = list(guidelines_list(project).select_related("author")[: NUM_SHOWN + 1])
    shown = list(versions_shown(rows, number=_number, text=lambda row: row.text))[:NUM_SHOWN]
    context = {"form": form, "versions": shown}
    template = "frontend/pages/guidelines.html"
    return render_project(request, project, template, context, "guidelines")


def _number(version: GuidelinesVersion) -> int:
    return version.number
