"""Before and instead of work that may upset: the warning, a day's limit, and the way out."""

from datetime import datetime

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation.choices import Role
from annotation.judgements.base import JudgementKind
from annotation.models import Project
from annotation.services.consents import (
    ConsentNeeded,
    ExposureCapReached,
    consent_give,
    consent_withdraw,
)
from frontend.views.project_page import project_page, refusals_as_messages
from frontend.views.requests import UserRequest


def limit_page(
    request: UserRequest,
    project: Project,
    kind: JudgementKind,
    error: ConsentNeeded | ExposureCapReached,
) -> HttpResponse:
    """In place of the work: what to agree to first, or when to come back."""
    context: dict[str, object] = {**error.extra, "project": project, "kind": kind}
    if isinstance(error, ExposureCapReached):
        context["until"] = datetime.fromisoformat(error.extra["retry_at"])
    return render(request, "frontend/pages/consent.html", context)


@project_page(Role.LABELER)
@require_POST
def consent_accept(request: UserRequest, project: Project, kind: str) -> HttpResponse:
    with refusals_as_messages(request):
        consent_give(project=project, user=request.user, kind=kind)
        return redirect("judge", project.slug, kind)
    return redirect("work")


@project_page(Role.LABELER)
@require_POST
def consent_end(request: UserRequest, project: Project, kind: str) -> HttpResponse:
    with refusals_as_messages(request):
        consent_withdraw(project=project, user=request.user, kind=kind)
        messages.success(request, _("You stopped doing this work. Thank you for what you did."))
    return redirect("work")
