"""The API's own documentation, drawn on this server: no script, no other machine."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from frontend.api_reference import api_reference


@require_safe
def api_docs_page(request: HttpRequest) -> HttpResponse:
    """For everybody, as the schema itself is."""
    return render(request, "frontend/pages/api_docs.html", {"reference": api_reference()})
