"""Starting, steering and judging rounds, and taking a deployed policy back."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView
from annotation.api.schema import responses
from annotation.choices import Role
from annotation.errors import NotFound
from training.api.round_serializers import (
    DeploymentsSerializer,
    NoteSerializer,
    OveroptimizationSerializer,
    RetrySerializer,
    RollbackSerializer,
    RoundSerializer,
)
from training.choices import Trigger
from training.models import Round
from training.selectors.access import round_get_for
from training.selectors.deployments import deployments_get
from training.selectors.overoptimization import round_overoptimization
from training.selectors.rounds import round_list, round_summary
from training.services.decisions import round_approve, round_reject
from training.services.deployments import deployment_rollback
from training.services.round_control import round_cancel, round_pause, round_resume, round_retry
from training.services.round_starting import round_start


class RoundApi(ApiView):
    """What the views of one round share."""

    def round(self, round_id: int, role: Role = Role.ADMIN) -> Round:
        return round_get_for(user=self.user, round_id=round_id, role=role)

    def answer(self, round: Round, status: int = 200) -> Response:
        return Response(RoundSerializer(round_summary(round)).data, status=status)


class RoundListApi(RoundApi):
    @extend_schema(
        operation_id="projects_rounds_list",
        responses=responses({200: RoundSerializer(many=True)}, 404),
    )
    def get(self, request: Request, slug: str) -> Response:
        """The rounds, newest first (reviewers and admins)."""
        rounds = round_list(self.project(slug, Role.REVIEWER))
        return Response(RoundSerializer(rounds, many=True).data)

    @extend_schema(request=None, responses=responses({201: RoundSerializer}, 400, 404, 409))
    def post(self, request: Request, slug: str) -> Response:
        """Start the next round now (admins)."""
        project = self.project(slug, Role.ADMIN)
        round = round_start(project=project, actor=self.user, trigger=Trigger.MANUAL)
        return self.answer(round, status=201)


class RoundDetailApi(RoundApi):
    @extend_schema(responses=responses({200: RoundSerializer}, 404))
    def get(self, request: Request, round_id: int) -> Response:
        """One round with its steps, numbers and decision (reviewers and admins)."""
        return self.answer(self.round(round_id, Role.REVIEWER))


class RoundPauseApi(RoundApi):
    @extend_schema(request=None, responses=responses({200: RoundSerializer}, 404, 409))
    def post(self, request: Request, round_id: int) -> Response:
        """Stop a running round for a while; its run saves its state (admins)."""
        return self.answer(round_pause(round=self.round(round_id), actor=self.user))


class RoundResumeApi(RoundApi):
    @extend_schema(request=None, responses=responses({200: RoundSerializer}, 404, 409))
    def post(self, request: Request, round_id: int) -> Response:
        """Let a paused round go on where it stood (admins)."""
        return self.answer(round_resume(round=self.round(round_id), actor=self.user))


class RoundCancelApi(RoundApi):
    @extend_schema(request=None, responses=responses({200: RoundSerializer}, 404, 409))
    def post(self, request: Request, round_id: int) -> Response:
        """Stop a running or paused round and its run (admins)."""
        return self.answer(round_cancel(round=self.round(round_id), actor=self.user))


class RoundRetryApi(RoundApi):
    @extend_schema(
        request=RetrySerializer, responses=responses({200: RoundSerializer}, 400, 404, 409, 413)
    )
    def post(self, request: Request, round_id: int) -> Response:
        """Take the latest round up again where it stopped, or from a step on (admins)."""
        round = self.round(round_id)
        step = self.input(RetrySerializer)["step"]
        return self.answer(round_retry(round=round, actor=self.user, step=step))


class RoundApproveApi(RoundApi):
    @extend_schema(
        request=NoteSerializer, responses=responses({200: RoundSerializer}, 400, 404, 409, 413)
    )
    def post(self, request: Request, round_id: int) -> Response:
        """Promote a policy that waits for approval, or the latest one that was held (admins)."""
        round = self.round(round_id)
        note = self.input(NoteSerializer)["note"]
        return self.answer(round_approve(round=round, actor=self.user, note=note))


class RoundRejectApi(RoundApi):
    @extend_schema(
        request=NoteSerializer, responses=responses({200: RoundSerializer}, 400, 404, 409, 413)
    )
    def post(self, request: Request, round_id: int) -> Response:
        """Turn down a policy that waits for approval or for votes (admins)."""
        round = self.round(round_id)
        note = self.input(NoteSerializer)["note"]
        return self.answer(round_reject(round=round, actor=self.user, note=note))


class RoundOveroptimizationApi(RoundApi):
    @extend_schema(responses=responses({200: OveroptimizationSerializer}, 404))
    def get(self, request: Request, round_id: int) -> Response:
        """Reward gains of the policy's checkpoints against KL, best-of-n beside (reviewers)."""
        found = round_overoptimization(self.round(round_id, Role.REVIEWER))
        if found is None:
            raise NotFound(f"Round {round_id} did not measure its policy.")
        return Response(OveroptimizationSerializer(found).data)


class DeploymentsApi(ApiView):
    @extend_schema(responses=responses({200: DeploymentsSerializer}, 404))
    def get(self, request: Request, slug: str) -> Response:
        """The policies that answer now, those before them, and where a rollback leads."""
        found = deployments_get(self.project(slug, Role.REVIEWER))
        return Response(DeploymentsSerializer(found).data)


class RollbackApi(ApiView):
    @extend_schema(
        request=RollbackSerializer,
        responses=responses({200: DeploymentsSerializer}, 400, 404, 409, 413),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Put the policy before the one in use back in its place (admins)."""
        project = self.project(slug, Role.ADMIN)
        deployment_rollback(project=project, actor=self.user, **self.input(RollbackSerializer))
        return Response(DeploymentsSerializer(deployments_get(project)).data)
