from itertools import groupby

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from annotation.choices import Role
from annotation.errors import NotFound
from annotation.judgements import UnknownKind, kind_get
from annotation.models import Project
from annotation.selectors.access import role_of
from annotation.selectors.assignments import assignment_present
from annotation.selectors.queue import WorkItem, work_list
from annotation.services.assignments import assignment_claim
from annotation.services.consents import ConsentNeeded, ExposureCapReached
from frontend.views.consent import limit_page
from frontend.views.project_page import project_page
from frontend.views.requests import UserRequest

# Stored word for word as the reason of the skip, whatever language the person reads.
SKIP_REASONS = (
    gettext_noop("The prompt makes no sense"),
    gettext_noop("I do not know enough to judge it"),
    gettext_noop("The answers are broken or cut off"),
    gettext_noop("It is harmful or upsetting"),
)


@login_required
@never_cache
@require_safe
def work_page(request: UserRequest) -> HttpResponse:
    items = work_list(user=request.user)
    groups = [
        _group(request, project, list(of_project))
        for project, of_project in groupby(items, key=lambda item: item.project)
    ]
    return render(request, "frontend/pages/work.html", {"groups": groups})


def _group(request: UserRequest, project: Project, items: list[WorkItem]) -> dict[str, object]:
    role = role_of(request.user, project)
    may_review = role is not None and role.includes(Role.REVIEWER)
    return {"project": project, "work": items, "may_review": may_review}


@project_page(Role.LABELER)
@require_safe
def judge_page(request: UserRequest, project: Project, kind: str) -> HttpResponse:
    """Claims on GET: a claim returns what the person already holds, so a reload changes nothing."""
    try:
        judgement = kind_get(kind)
        assignment = assignment_claim(project=project, annotator=request.user, kind=kind)
    except UnknownKind as error:
        raise NotFound(error.message) from error
    except (ConsentNeeded, ExposureCapReached) as error:
        return limit_page(request, project, judgement, error)
    context = {
        "project": project,
        "kind": judgement,
        "presentation": assignment_present(assignment) if assignment else None,
        "script_url": static(f"frontend/build/judgements/{kind}.js"),
        "skip_reasons": [{"stored": reason, "shown": gettext(reason)} for reason in SKIP_REASONS],
    }
    return render(request, f"frontend/judgements/{kind}.html", context)
