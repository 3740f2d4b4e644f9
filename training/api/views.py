from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, ListApi
from annotation.api.schema import responses
from annotation.choices import Role
from annotation.models import Project
from annotation.selectors.access import role_of
from training.api.round_serializers import PresetApplySerializer, PresetSerializer
from training.api.serializers import (
    CheckpointSerializer,
    CurvesSerializer,
    LoopSerializer,
    LoopSettingsUpdateSerializer,
    OriginSerializer,
    RunSerializer,
)
from training.models import Checkpoint, Run
from training.selectors.access import run_get_for
from training.selectors.checkpoints import checkpoint_list
from training.selectors.lineage import completion_get_origin
from training.selectors.loop import loop_settings_get, loop_status
from training.selectors.runs import run_curves, run_list
from training.services.paper_presets import PRESETS, preset_apply
from training.services.round_control import run_retry
from training.services.runs import run_cancel
from training.services.settings import loop_settings_update


class LoopApi(ApiView):
    @extend_schema(responses=responses({200: LoopSerializer}, 404))
    def get(self, request: Request, slug: str) -> Response:
        """Where the loop stands and how it is set (reviewers and admins)."""
        return _loop_response(self.project(slug, Role.REVIEWER))

    @extend_schema(
        request=LoopSettingsUpdateSerializer,
        responses=responses({200: LoopSerializer}, 400, 404, 413),
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change the settings given, from the next round on (admins)."""
        project = self.project(slug, Role.ADMIN)
        fields = self.input(LoopSettingsUpdateSerializer)
        loop_settings_update(actor=self.user, project=project, **fields)
        return _loop_response(project)


class LoopPresetApi(ApiView):
    @extend_schema(responses=responses({200: PresetSerializer(many=True)}, 404))
    def get(self, request: Request, slug: str) -> Response:
        """The papers' protocols that can be applied (reviewers and admins)."""
        self.project(slug, Role.REVIEWER)
        return Response(PresetSerializer(PRESETS.values(), many=True).data)

    @extend_schema(
        request=PresetApplySerializer,
        responses=responses({200: LoopSerializer}, 400, 404, 413),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Set the loop as a paper did, from the next round on (admins)."""
        project = self.project(slug, Role.ADMIN)
        name = self.input(PresetApplySerializer)["name"]
        preset_apply(actor=self.user, project=project, name=name)
        return _loop_response(project)


class RunListApi(ListApi):
    """The runs, newest first (reviewers and admins)."""

    serializer_class = RunSerializer
    empty = Run.objects.none()

    def rows(self) -> QuerySet[Run]:
        return run_list(self.project(self.kwargs["slug"], Role.REVIEWER))

    @extend_schema(responses=responses({200: RunSerializer(many=True)}, 404))
    def get(self, request: Request, slug: str) -> Response:
        return self.list(request)


class RunDetailApi(ApiView):
    @extend_schema(responses=responses({200: RunSerializer}, 404))
    def get(self, request: Request, run_id: int) -> Response:
        """One run (reviewers and admins)."""
        return Response(RunSerializer(run_get_for(user=self.user, run_id=run_id)).data)


class RunMetricsApi(ApiView):
    @extend_schema(responses=responses({200: CurvesSerializer}, 404))
    def get(self, request: Request, run_id: int) -> Response:
        """The run's curves so far (reviewers and admins)."""
        run = run_get_for(user=self.user, run_id=run_id)
        return Response(CurvesSerializer({"curves": run_curves(run)}).data)


class RunCancelApi(ApiView):
    @extend_schema(request=None, responses=responses({200: RunSerializer}, 404, 409))
    def post(self, request: Request, run_id: int) -> Response:
        """Stop a run, and with it its round (admins)."""
        run = run_get_for(user=self.user, run_id=run_id, role=Role.ADMIN)
        return Response(RunSerializer(run_cancel(run=run, actor=self.user)).data)


class RunRetryApi(ApiView):
    @extend_schema(request=None, responses=responses({200: RunSerializer}, 404, 409))
    def post(self, request: Request, run_id: int) -> Response:
        """Take a failed or cancelled run up again from its saved state (admins)."""
        run = run_get_for(user=self.user, run_id=run_id, role=Role.ADMIN)
        return Response(RunSerializer(run_retry(run=run, actor=self.user)).data)


class CheckpointListApi(ListApi):
    """The project's checkpoints, newest first (reviewers and admins)."""

    serializer_class = CheckpointSerializer
    empty = Checkpoint.objects.none()

    def rows(self) -> QuerySet[Checkpoint]:
        return checkpoint_list(self.project(self.kwargs["slug"], Role.REVIEWER))

    @extend_schema(responses=responses({200: CheckpointSerializer(many=True)}, 404))
    def get(self, request: Request, slug: str) -> Response:
        return self.list(request)


class CompletionOriginApi(ApiView):
    @extend_schema(responses=responses({200: OriginSerializer}, 404))
    def get(self, request: Request, slug: str, completion_id: int) -> Response:
        """Who wrote a completion, or which policy, trained on which judgements (reviewers)."""
        project = self.project(slug, Role.REVIEWER)
        show_names = role_of(self.user, project) == Role.ADMIN
        origin = completion_get_origin(project, completion_id, show_names=show_names)
        return Response(OriginSerializer(origin).data)


def _loop_response(project: Project) -> Response:
    record: dict[str, Any] = {
        "status": loop_status(project),
        "settings": loop_settings_get(project),
    }
    return Response(LoopSerializer(record).data)
