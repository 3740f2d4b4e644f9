from django.contrib.auth.models import User
from django.http import HttpRequest


class UserRequest(HttpRequest):
    """For type checkers: what a view behind login_required receives."""

    user: User
