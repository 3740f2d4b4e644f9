"""Rules, goals, use cases and topics: what tasks without a prompt of their own are about."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from annotation.choices import BriefKind, Role
from annotation.models import Brief, Project
from annotation.selectors.briefs import brief_get, brief_list
from annotation.services.briefs import brief_create, brief_set_active, brief_update
from frontend.forms import BriefForm, BriefTextForm
from frontend.versions import Version, versions_shown
from frontend.views.project_page import (
    form_save,
    form_target,
    project_page,
    refusals_as_messages,
    render_project,
)
from frontend.views.requests import UserRequest

SWITCHES = {"activate": True, "deactivate": False}
NOTES: dict[str, str | Promise] = {
    BriefKind.RULE: gettext_lazy("One rule to a session: people try to make the model break it."),
    BriefKind.GOAL: gettext_lazy("What a red team tries to make the model do."),
    BriefKind.USE_CASE: gettext_lazy("What people write prompts for."),
    BriefKind.TOPIC: gettext_lazy("What a conversation or a dialogue is about."),
}


@dataclass(frozen=True, slots=True)
class BriefEntry:
    """One name: the version in force, or the newest where none is, and its history."""

    brief: Brief
    versions: list[Version]
    form: BriefTextForm


@project_page(Role.ADMIN)
@require_safe
def briefs_page(request: UserRequest, project: Project) -> HttpResponse:
    return _render(request, project)


@project_page(Role.ADMIN)
@form_target("briefs")
def brief_add(request: UserRequest, project: Project) -> HttpResponse:
    form = BriefForm(request.POST)
    if form_save(request, form, partial(brief_create, project=project, actor=request.user)):
        messages.success(request, _("Added. New tasks take turns with it."))
        return redirect("briefs", project.slug)
    return _render(request, project, form=form)


@project_page(Role.ADMIN)
@form_target("briefs")
def brief_change(request: UserRequest, project: Project, brief_id: int) -> HttpResponse:
    brief = brief_get(project, brief_id)
    form = _text_form(brief, request.POST)
    latest = form_save(request, form, partial(brief_update, brief=brief, actor=request.user))
    if latest is None:
        return _render(request, project, changed=(brief, form))
    words = _("%(name)s is at version %(version)s. Work already taken keeps its own.")
    messages.success(request, words % {"name": latest.name, "version": latest.version})
    return redirect("briefs", project.slug)


@project_page(Role.ADMIN)
@require_POST
def brief_switch(
    request: UserRequest, project: Project, brief_id: int, action: str
) -> HttpResponse:
    if action not in SWITCHES:
        raise Http404(f"A brief can be activated or deactivated, not {action!r}.")
    with refusals_as_messages(request):
        brief = brief_get(project, brief_id)
        brief_set_active(brief=brief, actor=request.user, is_active=SWITCHES[action])
        words = (
            _("New tasks are made with %(name)s.")
            if SWITCHES[action]
            else _("No new tasks are made with %(name)s; those that nobody took are withdrawn.")
        )
        messages.success(request, words % {"name": brief.name})
    return redirect("briefs", project.slug)


def _render(
    request: UserRequest,
    project: Project,
    *,
    form: BriefForm | None = None,
    changed: tuple[Brief, BriefTextForm] | None = None,
) -> HttpResponse:
    """``form`` and ``changed``, a brief with its form: what was refused, with what was typed."""
    entries = list(_entries(project, changed))
    groups = [
        (kind, NOTES[kind], [entry for entry in entries if entry.brief.kind == kind])
        for kind in BriefKind
    ]
    context = {"groups": groups, "form": form or BriefForm()}
    return render_project(request, project, "frontend/pages/briefs.html", context, "briefs")


def _entries(project: Project, changed: tuple[Brief, BriefTextForm] | None) -> Iterator[BriefEntry]:
    rows = brief_list(project).select_related("author")
    for (kind, name), group in groupby(rows, key=lambda brief: (brief.kind, brief.name)):
        newest_first = list(group)[::-1]
        versions = versions_shown(
            newest_first, number=lambda brief: brief.version, text=lambda brief: brief.text
        )
        in_force = next((brief for brief in newest_first if brief.is_active), newest_first[0])
        is_changed = changed is not None and (changed[0].kind, changed[0].name) == (kind, name)
        form = changed[1] if changed is not None and is_changed else _text_form(in_force)
        yield BriefEntry(in_force, list(versions), form)


def _text_form(brief: Brief, posted: QueryDict | None = None) -> BriefTextForm:
    """Of many on one page."""
    return BriefTextForm(posted, initial={"text": brief.text}, auto_id=f"brief-{brief.pk}-%s")
