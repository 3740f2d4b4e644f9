from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from annotation.api.base import ListApi
from annotation.api.schema import responses
from annotation.choices import Role
from annotation.judgements.base import JudgementKind


def judgement_list_api(kind: JudgementKind) -> type[APIView]:
    """The view that lists one kind's records; its schema names the kind's record."""

    @extend_schema(responses=responses({200: kind.record_serializer(many=True)}, 404))
    class JudgementListApi(ListApi):
        serializer_class: type[Serializer] = kind.record_serializer
        empty = kind.model._default_manager.none()

        def rows(self) -> QuerySet[Any]:
            return kind.queryset(self.project(self.kwargs["slug"], Role.REVIEWER))

        def paginate_queryset(self, queryset: Any) -> list[Any]:
            page = super().paginate_queryset(queryset)
            return [kind.record(judgement) for judgement in page or []]

        def get(self, request: Request, slug: str) -> Response:
            return self.list(request)

    JudgementListApi.__doc__ = f"The project's {kind.plural} as records (reviewers and admins)."
    return JudgementListApi
