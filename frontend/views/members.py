from functools import partial

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from annotation.choices import Role
from annotation.models import Project
from annotation.selectors.exclusions import exclusion_list
from annotation.selectors.statistics import skip_reasons
from annotation.services.projects import membership_remove, membership_set
from frontend.forms import MemberForm
from frontend.views.project_page import (
    form_save,
    project_page,
    refusals_as_messages,
    render_project,
)
from frontend.views.requests import UserRequest


@project_page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def members_page(request: UserRequest, project: Project) -> HttpResponse:
    form = MemberForm(request.POST or None)
    save = partial(membership_set, actor=request.user, project=project)
    if request.method == "POST" and (member := form_save(request, form, save)):
        words = {"name": member.user.username, "role": _(Role(member.role).label).lower()}
        messages.success(request, _("%(name)s is %(role)s now.") % words)
        return redirect("members", project.slug)
    members = project.memberships.select_related("user").order_by("user__username")
    exclusions = list(exclusion_list(project))
    here = {member.user_id for member in members}
    context = {
        "form": form,
        "members": members,
        "roles": Role.choices,
        "excluded": {exclusion.user_id for exclusion in exclusions},
        "skips": skip_reasons(project),
        "gone": [exclusion for exclusion in exclusions if exclusion.user_id not in here],
    }
    return render_project(request, project, "frontend/pages/members.html", context, "members")


@project_page(Role.ADMIN)
@require_POST
def member_end(request: UserRequest, project: Project, user_id: int) -> HttpResponse:
    user = get_object_or_404(User, pk=user_id)
    with refusals_as_messages(request):
        membership_remove(actor=request.user, project=project, user=user)
        words = _("%(name)s is no member any more. Their work stays.")
        messages.success(request, words % {"name": user.username})
    return redirect("members", project.slug)
