"""What the pages of one project share: who may see them, the tabs, and how refusals are shown."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied as PageForbidden
from django.forms import BaseForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from annotation.choices import Role
from annotation.errors import DomainError, NotFound, PermissionDenied
from annotation.models import Project
from annotation.selectors.access import project_get, role_of

SavedT = TypeVar("SavedT")

TABS = (
    ("project", _("Dashboard"), Role.REVIEWER),
    ("answers", _("Answers"), Role.REVIEWER),
    ("checkpoints", _("Checkpoints"), Role.REVIEWER),
    ("prompts", _("Prompts"), Role.REVIEWER),
    ("briefs", _("Briefs"), Role.ADMIN),
    ("guidelines", _("Guidelines"), Role.ADMIN),
    ("flags", _("Flags"), Role.ADMIN),
    ("reports", _("Reports"), Role.REVIEWER),
    ("ai-feedback", _("AI feedback"), Role.ADMIN),
    ("members", _("Members"), Role.ADMIN),
    ("project-settings", _("Settings"), Role.ADMIN),
)


def project_page(
    role: Role,
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Hands the view the project that `slug` names, to those who hold at least `role` in it.

    A stranger gets the same 404 as for a project that does not exist.
    """

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @login_required
        @never_cache
        @wraps(view)
        def guarded(request: HttpRequest, slug: str, **kwargs: Any) -> HttpResponse:
            with refusals_as_pages():
                project = project_get(user=request.user, slug=slug, role=role)
                return view(request, project, **kwargs)

        return guarded

    return decorate


@contextmanager
def refusals_as_pages() -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise Http404(error.message) from error
    except PermissionDenied as error:
        raise PageForbidden(error.message) from error


@contextmanager
def refusals_as_messages(request: HttpRequest) -> Iterator[None]:
    """For forms: an expected refusal becomes a message on the page the person returns to."""
    try:
        yield
    except (NotFound, PermissionDenied):
        raise
    except DomainError as error:
        messages.error(request, f"{error.message} ({error.code})")


def form_target(
    page: str,
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """For a view that takes a form of another page and shows it again at its own address.

    Whoever comes to that address without the form, by another language or a new login, is led to
    the page.
    """

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @require_http_methods(["GET", "HEAD", "POST"])
        @wraps(view)
        def taking(request: HttpRequest, project: Project, **kwargs: Any) -> HttpResponse:
            if request.method != "POST":
                return redirect(page, project.slug)
            return view(request, project, **kwargs)

        return taking

    return decorate


def form_save(request: HttpRequest, form: BaseForm, save: Callable[..., SavedT]) -> SavedT | None:
    """What ``save`` makes of the form's data, or None when it was refused.

    A refusal becomes an error of the form, for the page to show it again with what was typed.
    """
    if form.is_valid():
        try:
            return save(**form.cleaned_data)
        except (NotFound, PermissionDenied):
            raise
        except DomainError as error:
            form.add_error(None, f"{error.message} ({error.code})")
    messages.error(request, gettext("Nothing was saved."))
    return None


def render_project(
    request: HttpRequest, project: Project, template: str, context: dict[str, Any], tab: str = ""
) -> HttpResponse:
    role = role_of(request.user, project)
    tabs = [
        {"url": reverse(name, args=[project.slug]), "title": title, "current": name == tab}
        for name, title, needed in TABS
        if role is not None and role.includes(needed)
    ]
    may_manage = role == Role.ADMIN
    shared = {"project": project, "tabs": tabs, "may_manage": may_manage}
    return render(request, template, shared | context)
