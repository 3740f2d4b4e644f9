"""What the OpenAPI schema says about errors, so that no view forgets one."""

from typing import Any

from rest_framework import serializers

ALWAYS = (401, 403, 429)


class ErrorSerializer(serializers.Serializer):
    code = serializers.CharField(help_text="Stable, for programs. docs/errors.md lists all.")
    message = serializers.CharField(help_text="For people: what was wrong and what to do.")
    extra = serializers.DictField(help_text="Data that belongs to the code.")


def responses(success: dict[int, Any], *errors: int) -> dict[int, Any]:
    """The documented responses: the successes, the errors named, and those any request may meet."""
    return success | dict.fromkeys(sorted({*ALWAYS, *errors}), ErrorSerializer)
