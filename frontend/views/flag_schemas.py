"""The yes-or-no questions that ratings ask about each answer."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotation.choices import Role
from annotation.errors import DomainError
from annotation.models import FlagSchema, Project
from annotation.selectors.flag_schemas import flag_schema_list
from annotation.services.flag_schemas import flag_schema_get, flag_schema_publish
from frontend.forms import FlagFormSet
from frontend.versions import versions_shown
from frontend.views.project_page import project_page, render_project
from frontend.views.requests import UserRequest

NUM_SHOWN = 20


@project_page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def flags_page(request: UserRequest, project: Project) -> HttpResponse:
    """Every flag in a row of its own; an emptied row takes its flag out of the next version."""
    schema = flag_schema_get(project)
    rows = FlagFormSet(request.POST or None, initial=schema.flags)
    refusal = None
    if request.method == "POST" and rows.is_valid():
        try:
            schema = flag_schema_publish(
                project=project, actor=request.user, flags=_flags(rows.cleaned_data)
            )
        except DomainError as error:
            refusal = error
        else:
            words = _("Version %(version)s is in force. Ratings given before keep theirs.")
            messages.success(request, words % {"version": schema.version})
            return redirect("flags", project.slug)
    older = list(flag_schema_list(project).select_related("author")[: NUM_SHOWN + 1])
    shown = versions_shown(older, number=lambda schema: schema.version, text=_text)
    context = {
        "rows": rows,
        "schema": schema,
        "refusal": refusal,
        "versions": list(shown)[:NUM_SHOWN],
    }
    return render_project(request, project, "frontend/pages/flags.html", context, "flags")


def _flags(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"name": row["name"], "question": row["question"]}
        for row in rows
        if row.get("name") or row.get("question")
    ]


def _text(schema: FlagSchema) -> str:
    return "\n".join(f"{flag['name']}: {flag['question']}" for flag in schema.flags)
