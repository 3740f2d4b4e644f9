"""The family of errors that callers of annotation and training are meant to handle.

Each has a stable ``code`` for programs, a message for people (the offending value, what was
expected, the remedy) and ``extra`` data. ``annotation.api.errors`` renders them as JSON;
docs/errors.md lists every code, and a test holds the list complete.
"""

from typing import Any, ClassVar


class DomainError(Exception):
    """An expected refusal. Anything else that escapes a service is a defect."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 400

    def __init__(self, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.extra = extra


class InvalidInput(DomainError):
    code = "invalid_input"
    status = 400


class PermissionDenied(DomainError):
    code = "permission_denied"
    status = 403


class NotFound(DomainError):
    code = "not_found"
    status = 404


class Conflict(DomainError):
    """The request is well formed, but not possible in the present state."""

    code = "conflict"
    status = 409
