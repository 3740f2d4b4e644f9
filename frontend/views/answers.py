from django.http import HttpResponse
from django.views.decorators.http import require_safe

from annotation.choices import Role
from annotation.models import Project
from frontend.views.project_page import project_page, render_project
from frontend.views.requests import UserRequest
from training.selectors.answers import answers_checkpoints, answers_side_by_side
from training.selectors.checkpoints import checkpoint_list
from training.selectors.loop import deployed_checkpoint_get

NUM_PROMPTS = 30


@project_page(Role.REVIEWER)
@require_safe
def answers_page(request: UserRequest, project: Project) -> HttpResponse:
    """Not for labelers: who reads here knows which policy wrote what."""
    checkpoints = answers_checkpoints(project)
    context = {
        "checkpoints": checkpoints,
        "rows": answers_side_by_side(project, NUM_PROMPTS, checkpoints),
    }
    return render_project(request, project, "frontend/pages/answers.html", context, "answers")


@project_page(Role.REVIEWER)
@require_safe
def checkpoints_page(request: UserRequest, project: Project) -> HttpResponse:
    context = {
        "checkpoints": checkpoint_list(project),
        "deployed": deployed_checkpoint_get(project),
    }
    template = "frontend/pages/checkpoints.html"
    return render_project(request, project, template, context, "checkpoints")
