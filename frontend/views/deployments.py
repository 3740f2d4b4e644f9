from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from annotation.choices import Role
from annotation.models import Project
from frontend.views.project_page import project_page, refusals_as_messages
from frontend.views.requests import UserRequest
from training.selectors.loop import deployed_checkpoint_get
from training.services.deployments import deployment_rollback

MAX_REASON = 2_000


@project_page(Role.ADMIN)
@require_POST
def rollback(request: UserRequest, project: Project) -> HttpResponse:
    """Takes back the policy that the person saw in use, not one deployed since."""
    reason = request.POST.get("reason", "").strip()[:MAX_REASON]
    current = deployed_checkpoint_get(project)
    if not reason:
        messages.error(request, "Nothing was rolled back: say why, for those who come after you.")
    elif current is None or str(current.pk) != request.POST.get("checkpoint"):
        messages.error(request, "Nothing was rolled back: another policy is in use by now.")
    else:
        with refusals_as_messages(request):
            deployed = deployment_rollback(
                project=project, actor=request.user, reason=reason, checkpoint_id=current.pk
            )
            messages.success(request, f"{deployed.checkpoint.name} is in use again.")
    return redirect("project", project.slug)
