from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, ListApi
from annotation.api.schema import responses
from annotation.api.serializers import (
    PrincipleCreateSerializer,
    PrincipleSerializer,
    PrincipleUpdateSerializer,
    RevisionSerializer,
)
from annotation.choices import RevisionStatus, Role
from annotation.errors import InvalidInput
from annotation.models import AIRevision, Principle
from annotation.selectors.principles import (
    principle_get,
    principle_list,
    revision_get,
    revision_list,
)
from annotation.services.principles import principle_create, principle_update
from annotation.services.revisions import revision_approve, revision_refuse

STATUS = OpenApiParameter(
    "status",
    OpenApiTypes.STR,
    enum=RevisionStatus.values,
    description="Only those of this status.",
)


class PrincipleListApi(ListApi):
    """The principles AI labelers are asked about, in order (admins)."""

    serializer_class = PrincipleSerializer
    empty = Principle.objects.none()

    def rows(self) -> QuerySet[Principle]:
        return principle_list(self.project(self.kwargs["slug"], Role.ADMIN))

    @extend_schema(responses=responses({200: PrincipleSerializer(many=True)}, 404))
    def get(self, request: Request, slug: str) -> Response:
        return self.list(request)

    @extend_schema(
        request=PrincipleCreateSerializer,
        responses=responses({201: PrincipleSerializer}, 400, 404, 409, 413),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Add a principle (admins)."""
        project = self.project(slug, Role.ADMIN)
        fields = self.input(PrincipleCreateSerializer)
        principle = principle_create(project=project, actor=self.user, **fields)
        return Response(PrincipleSerializer(principle).data, status=201)


class PrincipleDetailApi(ApiView):
    @extend_schema(
        request=PrincipleUpdateSerializer,
        responses=responses({200: PrincipleSerializer}, 400, 404, 409, 413),
    )
    def patch(self, request: Request, slug: str, principle_id: int) -> Response:
        """Change the fields given; another text becomes a new version (admins)."""
        principle = principle_get(self.project(slug, Role.ADMIN), principle_id)
        fields = self.input(PrincipleUpdateSerializer)
        principle = principle_update(principle=principle, actor=self.user, **fields)
        return Response(PrincipleSerializer(principle).data)


class RevisionListApi(ListApi):
    """Answers that AI labelers rewrote (admins)."""

    serializer_class = RevisionSerializer
    empty = AIRevision.objects.none()

    def rows(self) -> QuerySet[AIRevision]:
        project = self.project(self.kwargs["slug"], Role.ADMIN)
        status = self.request.query_params.get("status")
        if status is not None and status not in RevisionStatus.values:
            raise InvalidInput(
                f"status is {status[:60]!r}; one of {', '.join(RevisionStatus.values)} is "
                "expected.",
                fields={"status": ["Unknown."]},
            )
        return revision_list(project, status)

    @extend_schema(
        parameters=[STATUS], responses=responses({200: RevisionSerializer(many=True)}, 400, 404)
    )
    def get(self, request: Request, slug: str) -> Response:
        return self.list(request)


class RevisionApproveApi(ApiView):
    @extend_schema(request=None, responses=responses({200: RevisionSerializer}, 404, 409))
    def post(self, request: Request, slug: str, revision_id: int) -> Response:
        """Take the revision as a demonstration (admins)."""
        revision = revision_get(self.project(slug, Role.ADMIN), revision_id)
        revision = revision_approve(revision=revision, actor=self.user)
        return Response(RevisionSerializer(revision).data)


class RevisionRefuseApi(ApiView):
    @extend_schema(request=None, responses=responses({200: RevisionSerializer}, 404, 409))
    def post(self, request: Request, slug: str, revision_id: int) -> Response:
        """Keep the revision out of training (admins)."""
        revision = revision_get(self.project(slug, Role.ADMIN), revision_id)
        revision = revision_refuse(revision=revision, actor=self.user)
        return Response(RevisionSerializer(revision).data)
