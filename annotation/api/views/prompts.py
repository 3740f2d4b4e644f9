import json
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, ListApi
from annotation.api.parsers import JsonLinesParser, StrictJsonParser
from annotation.api.schema import responses
from annotation.api.serializers import (
    PromptImportResultSerializer,
    PromptImportSerializer,
    PromptSerializer,
)
from annotation.choices import Role
from annotation.models import Prompt
from annotation.services.prompts import prompt_text_lines, prompts_import


class PromptListApi(ListApi):
    """The project's prompts (reviewers and admins)."""

    serializer_class = PromptSerializer
    empty = Prompt.objects.none()

    def rows(self) -> QuerySet[Prompt]:
        return Prompt.objects.filter(project=self.project(self.kwargs["slug"], Role.REVIEWER))

    @extend_schema(responses=responses({200: PromptSerializer(many=True)}, 404))
    def get(self, request: Request, slug: str) -> Response:
        return self.list(request)


class PromptImportApi(ApiView):
    parser_classes = [StrictJsonParser, JsonLinesParser]

    @extend_schema(
        request={
            "application/json": PromptImportSerializer,
            "application/x-ndjson": OpenApiTypes.STR,
        },
        responses=responses({200: PromptImportResultSerializer}, 400, 404, 413),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Import prompts: all of them, or none and the numbers of the bad lines (admins)."""
        project = self.project(slug, Role.ADMIN)
        lines = _lines(self.input(PromptImportSerializer))
        result = prompts_import(actor=self.user, project=project, lines=lines)
        return Response(PromptImportResultSerializer(result).data)


def _lines(fields: dict[str, Any]) -> list[str]:
    if "text" in fields:
        return prompt_text_lines(fields["text"])
    return [line if isinstance(line, str) else json.dumps(line) for line in fields["lines"]]
