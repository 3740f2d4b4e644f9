from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation.choices import Role
from annotation.models import Project
from frontend.views.project_page import project_page, refusals_as_messages
from frontend.views.requests import UserRequest
from training.services.deployments import deployment_rollback

MAX_REASON = 2_000


@project_page(Role.ADMIN)
@require_POST
def rollback(request: UserRequest, project: Project) -> HttpResponse:
    """Takes back the policy that the person saw in use, not one deployed since."""
    reason = request.POST.get("reason", "").strip()[:MAX_REASON]
    seen = request.POST.get("checkpoint", "")
    if not reason or not seen.isdecimal():
        words = _("Nothing was rolled back: say why, for those who come after you.")
        messages.error(request, words)
        return redirect("project", project.slug)
    with refusals_as_messages(request):
        deployed = deployment_rollback(
            project=project, actor=request.user, reason=reason, checkpoint_id=int(seen)
        )
        words = _("%(name)s is in use again.")
        messages.success(request, words % {"name": deployed.checkpoint.name})
    return redirect("project", project.slug)
