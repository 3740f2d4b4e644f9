from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, ListApi
from annotation.api.brief_serializers import (
    BriefCreateSerializer,
    BriefSerializer,
    BriefUpdateSerializer,
)
from annotation.api.schema import responses
from annotation.choices import BriefKind, Role
from annotation.models import Brief
from annotation.selectors.briefs import brief_get, brief_list
from annotation.services.briefs import brief_create, brief_set_active, brief_update

KIND = OpenApiParameter(
    "kind", OpenApiTypes.STR, enum=BriefKind.values, description="Only those of this kind."
)


class BriefListApi(ListApi):
    """The rules, goals, use cases and topics of tasks, with every version (reviewers)."""

    serializer_class = BriefSerializer
    empty = Brief.objects.none()

    def rows(self) -> QuerySet[Brief]:
        project = self.project(self.kwargs["slug"], Role.REVIEWER)
        return brief_list(project, self.request.query_params.get("kind"))

    @extend_schema(
        parameters=[KIND], responses=responses({200: BriefSerializer(many=True)}, 400, 404)
    )
    def get(self, request: Request, slug: str) -> Response:
        return self.list(request)

    @extend_schema(
        request=BriefCreateSerializer,
        responses=responses({201: BriefSerializer}, 400, 404, 409, 413),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Add one; tasks with it are made at once, up to the project's targets (admins)."""
        project = self.project(slug, Role.ADMIN)
        fields = self.input(BriefCreateSerializer)
        brief = brief_create(project=project, actor=self.user, **fields)
        return Response(BriefSerializer(brief).data, status=201)


class BriefDetailApi(ApiView):
    @extend_schema(
        request=BriefUpdateSerializer,
        responses=responses({200: BriefSerializer}, 400, 404, 413),
    )
    def patch(self, request: Request, slug: str, brief_id: int) -> Response:
        """Reword it, which makes the next version, or switch it on or off (admins).

        The answer is the version that the change led to.
        """
        brief = brief_get(self.project(slug, Role.ADMIN), brief_id)
        fields = self.input(BriefUpdateSerializer)
        if "text" in fields:
            brief = brief_update(brief=brief, actor=self.user, text=fields["text"])
        if "is_active" in fields:
            brief = brief_set_active(brief=brief, actor=self.user, is_active=fields["is_active"])
        return Response(BriefSerializer(brief).data)
