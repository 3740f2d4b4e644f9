from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView
from annotation.api.schema import responses
from annotation.api.serializers import (
    AssignmentSerializer,
    ClaimSerializer,
    JudgementSerializer,
    LeaseSerializer,
    SkipSerializer,
)
from annotation.judgements import kind_list
from annotation.models import Assignment
from annotation.selectors.assignments import assignment_get, assignment_present
from annotation.services.assignments import (
    assignment_claim,
    assignment_renew,
    assignment_save_draft,
    assignment_skip,
    assignment_submit,
)
from annotation.services.undo import assignment_undo

JUDGEMENT_PAYLOAD = PolymorphicProxySerializer(
    component_name="JudgementPayload",
    serializers=[kind.input_serializer for kind in kind_list()],
    resource_type_field_name=None,
)


class AssignmentClaimApi(ApiView):
    @extend_schema(
        request=ClaimSerializer,
        responses=responses({200: AssignmentSerializer, 204: None}, 400, 404, 413),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Reserve the next task for yourself; 204 when there is nothing to do now."""
        project = self.project(slug)
        assignment = assignment_claim(
            project=project, annotator=self.user, **self.input(ClaimSerializer)
        )
        return Response(status=204) if assignment is None else _presented(assignment)


class AssignmentDetailApi(ApiView):
    @extend_schema(responses=responses({200: AssignmentSerializer}, 404))
    def get(self, request: Request, assignment_id: int) -> Response:
        """One of your own assignments."""
        return _presented(assignment_get(user=request.user, assignment_id=assignment_id))


class AssignmentSubmitApi(ApiView):
    @extend_schema(
        request=JUDGEMENT_PAYLOAD,
        responses=responses({201: JudgementSerializer}, 400, 404, 409, 413),
    )
    def post(self, request: Request, assignment_id: int) -> Response:
        """Hand in the judgement. On a lapsed lease it is kept as a draft: claim again."""
        judgement = assignment_submit(
            assignment_id=assignment_id, annotator=self.user, payload=request.data
        )
        kind = judgement.assignment.task.kind
        return Response(JudgementSerializer({"kind": kind, "id": judgement.pk}).data, status=201)


class AssignmentSkipApi(ApiView):
    @extend_schema(request=SkipSerializer, responses=responses({204: None}, 400, 404, 409, 413))
    def post(self, request: Request, assignment_id: int) -> Response:
        """Give the task back with a reason; you will not be offered it again."""
        reason = self.input(SkipSerializer)["reason"]
        assignment_skip(assignment_id=assignment_id, annotator=self.user, reason=reason)
        return Response(status=204)


class AssignmentUndoApi(ApiView):
    @extend_schema(request=None, responses=responses({200: AssignmentSerializer}, 404, 409))
    def post(self, request: Request, assignment_id: int) -> Response:
        """Take your submit back, within the project's window; what you sent is the draft."""
        return _presented(assignment_undo(assignment_id=assignment_id, annotator=self.user))


class AssignmentRenewApi(ApiView):
    @extend_schema(request=None, responses=responses({200: LeaseSerializer}, 404, 409))
    def post(self, request: Request, assignment_id: int) -> Response:
        """Start the lease anew: a sign of life."""
        assignment = assignment_renew(assignment_id=assignment_id, annotator=self.user)
        return Response(LeaseSerializer(assignment).data)


class AssignmentDraftApi(ApiView):
    @extend_schema(
        request=OpenApiTypes.OBJECT,
        responses=responses({200: LeaseSerializer}, 400, 404, 409, 413),
    )
    def put(self, request: Request, assignment_id: int) -> Response:
        """Keep unfinished work (the body has the form of a judgement) and renew the lease."""
        assignment = assignment_save_draft(
            assignment_id=assignment_id, annotator=self.user, draft=request.data
        )
        return Response(LeaseSerializer(assignment).data)


def _presented(assignment: Assignment) -> Response:
    return Response(AssignmentSerializer(assignment_present(assignment)).data)
