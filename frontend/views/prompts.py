from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from annotation.choices import Role
from annotation.errors import PermissionDenied
from annotation.models import Project, Prompt
from annotation.selectors.access import role_of
from annotation.services.prompts import PromptLinesInvalid, prompt_text_lines, prompts_import
from frontend.forms import PromptImportForm
from frontend.views.project_page import project_page, render_project
from frontend.views.requests import UserRequest

PAGE_SIZE = 50


@project_page(Role.REVIEWER)
@require_http_methods(["GET", "HEAD", "POST"])
def prompts_page(request: UserRequest, project: Project) -> HttpResponse:
    form = PromptImportForm(request.POST or None, request.FILES or None)
    refusal = None
    if request.method == "POST":
        _require_admin(request, project)
        if form.is_valid():
            try:
                return _import(request, project, form.cleaned_data["lines"])
            except PromptLinesInvalid as error:
                refusal = error
    pages = Paginator(Prompt.objects.filter(project=project).order_by("-pk"), PAGE_SIZE)
    context = {
        "form": form,
        "refusal": refusal,
        "page": pages.get_page(request.GET.get("page")),
    }
    return render_project(request, project, "frontend/pages/prompts.html", context, "prompts")


def _import(request: UserRequest, project: Project, text: str) -> HttpResponse:
    lines = prompt_text_lines(text)
    result = prompts_import(actor=request.user, project=project, lines=lines)
    words = ngettext("%(num)s prompt imported.", "%(num)s prompts imported.", result.created)
    words %= {"num": result.created}
    if result.duplicates:
        words += " " + _("%(num)s were already here.") % {"num": result.duplicates}
    messages.success(request, words)
    return redirect("prompts", project.slug)


def _require_admin(request: UserRequest, project: Project) -> None:
    if role_of(request.user, project) != Role.ADMIN:
        raise PermissionDenied(_("Only an admin of the project may import prompts."))
