"""AI labelers over the API: who they are, how far they agree with people, what they are asked."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView
from annotation.api.schema import responses
from annotation.choices import AILabelerKind, Role
from training.api.serializers import RunSerializer
from training.choices import FeedbackPurpose
from training.selectors.ai_feedback import (
    ai_labeler_get,
    ai_labeler_status,
    ai_labeler_statuses,
)
from training.services.ai_feedback import NUM_DEFAULT, NUM_MAX, feedback_start
from training.services.ai_labelers import ai_labeler_create, ai_labeler_update


class AgreementSerializer(serializers.Serializer):
    share = serializers.FloatField(allow_null=True, help_text="Of decided pairs.")
    low = serializers.FloatField(allow_null=True, help_text="95 % bound, clustered by prompt.")
    high = serializers.FloatField(allow_null=True, help_text="95 % bound, clustered by prompt.")
    num_decisions = serializers.IntegerField()
    num_prompts = serializers.IntegerField()


class AILabelerSerializer(serializers.Serializer):
    id = serializers.IntegerField(source="labeler.pk")
    name = serializers.CharField(source="labeler.name")
    kind = serializers.ChoiceField(source="labeler.kind", choices=AILabelerKind.choices)
    config = serializers.DictField(source="labeler.config")
    is_active = serializers.BooleanField(source="labeler.is_active")
    counts = serializers.BooleanField(source="labeler.counts", help_text="Switched on.")
    counts_now = serializers.BooleanField(
        source="counts", help_text="Switched on, active, and agreeing enough."
    )
    refusal = serializers.CharField(allow_null=True, help_text="Why it may not count.")
    min_agreement = serializers.FloatField(source="labeler.min_agreement")
    weight = serializers.FloatField(source="labeler.weight")
    agreement = AgreementSerializer(help_text="With people, in its present setting.")
    num_judgements = serializers.IntegerField(help_text="In its present setting.")
    num_hard = serializers.IntegerField(help_text="Of them, without probabilities.")
    order_gap = serializers.FloatField(
        allow_null=True, help_text="What being shown first is worth, on average."
    )


class AILabelerListSerializer(serializers.Serializer):
    people = AgreementSerializer(help_text="Of people with each other, for comparison.")
    ai_labelers = AILabelerSerializer(many=True)


class AILabelerFieldsSerializer(serializers.Serializer):
    is_active = serializers.BooleanField(required=False)
    min_agreement = serializers.FloatField(min_value=0.5, max_value=1, required=False)
    weight = serializers.FloatField(min_value=0.001, max_value=1, required=False)


class AILabelerCreateSerializer(AILabelerFieldsSerializer):
    name = serializers.CharField(max_length=100)
    kind = serializers.ChoiceField(choices=AILabelerKind.choices)
    config = serializers.DictField(
        help_text="An endpoint's server_url and server_model, or a checkpoint_id; and any other "
        "hyperparameters of ai_feedback."
    )


class AILabelerUpdateSerializer(AILabelerFieldsSerializer):
    name = serializers.CharField(max_length=100, required=False)
    config = serializers.DictField(required=False)
    counts = serializers.BooleanField(required=False)


class FeedbackStartSerializer(serializers.Serializer):
    purpose = serializers.ChoiceField(choices=FeedbackPurpose.choices)
    num = serializers.IntegerField(
        min_value=1,
        max_value=NUM_MAX,
        default=NUM_DEFAULT,
        help_text="Pairs at most, or prompts to revise answers to.",
    )


class AILabelerListApi(ApiView):
    @extend_schema(
        operation_id="projects_ai_labelers_list",
        responses=responses({200: AILabelerListSerializer}, 404),
    )
    def get(self, request: Request, slug: str) -> Response:
        """The AI labelers with their agreement with people (admins)."""
        statuses, people = ai_labeler_statuses(self.project(slug, Role.ADMIN))
        record = {"people": people, "ai_labelers": statuses}
        return Response(AILabelerListSerializer(record).data)

    @extend_schema(
        request=AILabelerCreateSerializer,
        responses=responses({201: AILabelerSerializer}, 400, 404, 409, 413),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Add an AI labeler; nothing it says counts yet (admins)."""
        project = self.project(slug, Role.ADMIN)
        fields = self.input(AILabelerCreateSerializer)
        labeler = ai_labeler_create(project=project, actor=self.user, **fields)
        return Response(AILabelerSerializer(ai_labeler_status(labeler)).data, status=201)


class AILabelerDetailApi(ApiView):
    @extend_schema(responses=responses({200: AILabelerSerializer}, 404))
    def get(self, request: Request, slug: str, labeler_id: int) -> Response:
        """One AI labeler with its agreement with people (admins)."""
        labeler = ai_labeler_get(self.project(slug, Role.ADMIN), labeler_id)
        return Response(AILabelerSerializer(ai_labeler_status(labeler)).data)

    @extend_schema(
        request=AILabelerUpdateSerializer,
        responses=responses({200: AILabelerSerializer}, 400, 404, 409, 413),
    )
    def patch(self, request: Request, slug: str, labeler_id: int) -> Response:
        """Change the fields given; `counts` needs a measured agreement (admins)."""
        labeler = ai_labeler_get(self.project(slug, Role.ADMIN), labeler_id)
        fields = self.input(AILabelerUpdateSerializer)
        labeler = ai_labeler_update(labeler=labeler, actor=self.user, **fields)
        return Response(AILabelerSerializer(ai_labeler_status(labeler)).data)


class FeedbackStartApi(ApiView):
    @extend_schema(
        request=FeedbackStartSerializer,
        responses=responses({201: RunSerializer}, 400, 404, 409, 413),
    )
    def post(self, request: Request, slug: str, labeler_id: int) -> Response:
        """Queue a run that measures, labels or revises (admins)."""
        labeler = ai_labeler_get(self.project(slug, Role.ADMIN), labeler_id)
        run = feedback_start(
            labeler=labeler, actor=self.user, **self.input(FeedbackStartSerializer)
        )
        return Response(RunSerializer(run).data, status=201)
