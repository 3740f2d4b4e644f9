from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, ListApi
from annotation.api.report_serializers import (
    GuidelinesVersionSerializer,
    ReportCreateSerializer,
    ReportSerializer,
)
from annotation.api.schema import responses
from annotation.choices import Role
from annotation.errors import InvalidInput
from annotation.models import GuidelinesVersion, Report
from annotation.selectors.guidelines import guidelines_list
from annotation.selectors.reports import report_get, report_list
from annotation.services.reports import report_create, report_resolve

STATES = {"open": True, "resolved": False}
STATE = OpenApiParameter(
    "state", OpenApiTypes.STR, enum=list(STATES), description="Only those in this state."
)


class ReportCreateApi(ApiView):
    @extend_schema(
        request=ReportCreateSerializer,
        responses=responses({201: ReportSerializer}, 400, 404, 413),
    )
    def post(self, request: Request, assignment_id: int) -> Response:
        """Flag content or report a problem with a task of yours; safe to repeat."""
        fields = self.input(ReportCreateSerializer)
        report = report_create(assignment_id=assignment_id, reporter=self.user, **fields)
        return Response(ReportSerializer(report).data, status=201)


class ReportListApi(ListApi):
    """What labelers flagged and reported, newest first (reviewers)."""

    serializer_class = ReportSerializer
    empty = Report.objects.none()

    def rows(self) -> QuerySet[Report]:
        project = self.project(self.kwargs["slug"], Role.REVIEWER)
        return report_list(project, is_open=self._is_open())

    def _is_open(self) -> bool | None:
        state = self.request.query_params.get("state")
        if state is None:
            return None
        if state not in STATES:
            raise InvalidInput(
                f"The state {state!r} is unknown; there are: {', '.join(STATES)}.",
                fields={"state": ["Unknown state."]},
            )
        return STATES[state]

    @extend_schema(
        parameters=[STATE], responses=responses({200: ReportSerializer(many=True)}, 400, 404)
    )
    def get(self, request: Request, slug: str) -> Response:
        return self.list(request)


class ReportResolveApi(ApiView):
    @extend_schema(request=None, responses=responses({200: ReportSerializer}, 404))
    def post(self, request: Request, slug: str, report_id: int) -> Response:
        """Mark a report as looked at (reviewers); safe to repeat."""
        report = report_get(self.project(slug, Role.REVIEWER), report_id)
        return Response(ReportSerializer(report_resolve(report=report, actor=self.user)).data)


class GuidelinesListApi(ListApi):
    """Every version of the project's guidelines, newest first (members)."""

    serializer_class = GuidelinesVersionSerializer
    empty = GuidelinesVersion.objects.none()

    def rows(self) -> QuerySet[GuidelinesVersion]:
        return guidelines_list(self.project(self.kwargs["slug"]))

    @extend_schema(responses=responses({200: GuidelinesVersionSerializer(many=True)}, 404))
    def get(self, request: Request, slug: str) -> Response:
        return self.list(request)
