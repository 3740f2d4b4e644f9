from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.contrib.messages.views import SuccessMessageMixin
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from annotation.errors import NotFound
from annotation.models import ApiToken
from annotation.services.tokens import token_create, token_revoke
from frontend.forms import TokenForm
from frontend.views.requests import UserRequest


class SignIn(LoginView):
    template_name = "frontend/pages/login.html"
    redirect_authenticated_user = True


class PasswordChange(SuccessMessageMixin, PasswordChangeView):
    template_name = "frontend/pages/password.html"
    success_url = reverse_lazy("account")
    success_message = gettext_lazy("Your password is changed.")


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def account_page(request: UserRequest) -> HttpResponse:
    """A new token's clear text is in the answer to the POST and nowhere else."""
    form = TokenForm(request.POST or None)
    context: dict[str, Any] = {"form": form, "created": None}
    if request.method == "POST" and form.is_valid():
        token, text = token_create(user=request.user, **form.cleaned_data)
        context |= {"form": TokenForm(), "created": token, "text": text}
    tokens = ApiToken.objects.filter(user=request.user, revoked_at=None)
    context |= {"tokens": tokens, "now": timezone.now()}
    return render(request, "frontend/pages/account.html", context)


@login_required
@require_POST
def token_end(request: UserRequest, token_id: int) -> HttpResponse:
    try:
        token = token_revoke(user=request.user, token_id=token_id)
    except NotFound as error:
        raise Http404(error.message) from error
    messages.success(request, _("The token %(name)s no longer works.") % {"name": token.name})
    return redirect("account")
