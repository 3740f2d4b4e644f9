from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ListApi
from annotation.api.flag_schema_serializers import (
    FlagSchemaPublishSerializer,
    FlagSchemaSerializer,
)
from annotation.api.schema import responses
from annotation.choices import Role
from annotation.models import FlagSchema
from annotation.selectors.flag_schemas import flag_schema_list
from annotation.services.flag_schemas import flag_schema_get, flag_schema_publish


class FlagSchemaListApi(ListApi):
    """The questions that ratings ask about each answer: every version, the newest first."""

    serializer_class = FlagSchemaSerializer
    empty = FlagSchema.objects.none()

    def rows(self) -> QuerySet[FlagSchema]:
        project = self.project(self.kwargs["slug"])
        flag_schema_get(project)
        return flag_schema_list(project)

    @extend_schema(responses=responses({200: FlagSchemaSerializer(many=True)}, 404))
    def get(self, request: Request, slug: str) -> Response:
        return self.list(request)

    @extend_schema(
        request=FlagSchemaPublishSerializer,
        responses=responses({201: FlagSchemaSerializer}, 400, 404, 413),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Publish the next version (admins); ratings under way may still end on the old one."""
        project = self.project(slug, Role.ADMIN)
        flags = self.input(FlagSchemaPublishSerializer)["flags"]
        schema = flag_schema_publish(project=project, actor=self.user, flags=flags)
        return Response(FlagSchemaSerializer(schema).data, status=201)
