"""Every refusal of the API has one form: ``{"code", "message", "extra"}``."""

import math
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as rest_exception_handler
from rest_framework.views import set_rollback

from annotation.errors import DomainError
from annotation.validation import invalid_input


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook. Returns None for defects, which stay loud."""
    if isinstance(exc, exceptions.ValidationError | DjangoValidationError):
        exc = invalid_input(exc)
    if isinstance(exc, DomainError):
        set_rollback()
        return Response(error_body(exc.code, exc.message, exc.extra), status=exc.status)
    # DRF's own handler knows the headers (WWW-Authenticate, Retry-After) and Django's Http404.
    response = rest_exception_handler(exc, context)
    if response is None:
        return None
    detail = response.data.get("detail", "") if isinstance(response.data, dict) else ""
    response.data = error_body(_code(exc, detail), str(detail), _extra(exc))
    return response


def error_body(code: str, message: str, extra: dict[str, Any]) -> dict[str, Any]:
    return {"code": code, "message": _sendable(message), "extra": _sendable(extra)}


def _sendable(value: Any) -> Any:
    """A refusal may repeat half a surrogate pair from the request; UTF-8 has no such thing."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_sendable(key): _sendable(part) for key, part in value.items()}
    return [_sendable(part) for part in value] if isinstance(value, list | tuple) else value


def _code(exc: Exception, detail: Any) -> str:
    if str(detail).startswith("CSRF Failed"):
        return "csrf_failed"
    return str(getattr(detail, "code", "") or getattr(exc, "default_code", "error"))


def _extra(exc: Exception) -> dict[str, Any]:
    wait = getattr(exc, "wait", None)
    return {} if wait is None else {"retry_after_seconds": math.ceil(wait)}
