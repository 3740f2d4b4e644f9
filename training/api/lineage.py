"""Which models learned from whom, and taking a person's work out or back in."""

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView
from annotation.api.schema import responses
from annotation.choices import Role
from annotation.models import Exclusion, Project
from annotation.selectors.access import role_of
from annotation.selectors.exclusions import labeler_get
from annotation.services.exclusions import labeler_readmit
from training.api.serializers import AncestorSerializer, RoundSerializer
from training.choices import CheckpointKind
from training.selectors.lineage import checkpoint_ancestry, checkpoint_get, labeler_lineage
from training.selectors.rounds import round_summary
from training.services.forgetting import labeler_forget


class ExclusionSerializer(serializers.ModelSerializer):
    user_id = serializers.IntegerField()
    excluded_by = serializers.CharField(allow_null=True, help_text="Username.")
    lifted_by = serializers.CharField(allow_null=True, help_text="Username.")

    class Meta:
        model = Exclusion
        fields = ("id", "user_id", "reason", "excluded_by", "created_at", "lifted_by", "lifted_at")
        read_only_fields = fields


class ExcludeSerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=2_000)
    retrain = serializers.BooleanField(
        default=True, help_text="Start a round without their work, if a model learned from it."
    )


class WarningSerializer(serializers.Serializer):
    code = serializers.CharField()
    message = serializers.CharField()


class ForgettingSerializer(serializers.Serializer):
    exclusion = ExclusionSerializer()
    round = RoundSerializer(allow_null=True, help_text="The round that was started.")
    warning = WarningSerializer(
        allow_null=True, help_text="Why no round could start; the exclusion holds all the same."
    )


class SnapshotShareSerializer(serializers.Serializer):
    hash = serializers.CharField()
    rounds = serializers.ListField(child=serializers.IntegerField())
    judgements = serializers.DictField(child=serializers.IntegerField(), help_text="By kind.")
    total = serializers.IntegerField(help_text="Everybody's judgements in it.")


class MyCheckpointSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=CheckpointKind.choices)
    round = serializers.IntegerField(allow_null=True)
    is_deployed = serializers.BooleanField(help_text="People judge its answers now.")
    is_direct = serializers.BooleanField(
        help_text="Its own run read the judgements, not only a model it descends from."
    )


class TaughtCheckpointSerializer(MyCheckpointSerializer):
    share = serializers.FloatField(
        help_text="Theirs among the judgements read by one run of its ancestry, where most."
    )


class MyLineageSerializer(serializers.Serializer):
    excluded = serializers.SerializerMethodField(help_text="The work does not count now.")
    judgements = serializers.DictField(child=serializers.IntegerField(), help_text="By kind.")
    rounds = serializers.ListField(
        child=serializers.IntegerField(), help_text="Rounds whose data hold the work."
    )
    checkpoints = MyCheckpointSerializer(many=True)

    def get_excluded(self, lineage: object) -> bool:
        return getattr(lineage, "exclusion", None) is not None


class LabelerLineageSerializer(serializers.Serializer):
    user_id = serializers.IntegerField()
    username = serializers.CharField()
    exclusion = ExclusionSerializer(allow_null=True)
    judgements = serializers.DictField(child=serializers.IntegerField(), help_text="By kind.")
    snapshots = SnapshotShareSerializer(many=True)
    rounds = serializers.ListField(child=serializers.IntegerField())
    checkpoints = TaughtCheckpointSerializer(many=True)


class MemberApi(ApiView):
    def member(self, slug: str, user_id: int) -> tuple[Project, User]:
        """For admins. Raises NotFound for somebody who never belonged to the project."""
        project = self.project(slug, Role.ADMIN)
        return project, labeler_get(project, user_id)


class MemberExcludeApi(MemberApi):
    @extend_schema(
        request=ExcludeSerializer, responses=responses({200: ForgettingSerializer}, 400, 404, 413)
    )
    def post(self, request: Request, slug: str, user_id: int) -> Response:
        """Forget a labeler: their work stops counting, a round trains without it (admins)."""
        project, user = self.member(slug, user_id)
        fields = self.input(ExcludeSerializer)
        done = labeler_forget(project=project, user=user, actor=self.user, **fields)
        refusal = done.refusal
        record = {
            "exclusion": done.exclusion,
            "round": round_summary(done.round) if done.round else None,
            "warning": {"code": refusal.code, "message": refusal.message} if refusal else None,
        }
        return Response(ForgettingSerializer(record).data)


class MemberReadmitApi(MemberApi):
    @extend_schema(request=None, responses=responses({200: ExclusionSerializer}, 404, 409))
    def post(self, request: Request, slug: str, user_id: int) -> Response:
        """Let a labeler's work count again, from the next round on (admins)."""
        project, user = self.member(slug, user_id)
        exclusion = labeler_readmit(project=project, user=user, actor=self.user)
        return Response(ExclusionSerializer(exclusion).data)


class MemberLineageApi(MemberApi):
    @extend_schema(responses=responses({200: LabelerLineageSerializer}, 404))
    def get(self, request: Request, slug: str, user_id: int) -> Response:
        """Every model that learned from a person's judgements (admins)."""
        project, user = self.member(slug, user_id)
        return Response(LabelerLineageSerializer(labeler_lineage(project, user)).data)


class MyLineageApi(ApiView):
    @extend_schema(responses=responses({200: MyLineageSerializer}, 404))
    def get(self, request: Request, slug: str) -> Response:
        """Every model that learned from your own judgements."""
        lineage = labeler_lineage(self.project(slug), self.user)
        return Response(MyLineageSerializer(lineage).data)


class CheckpointAncestryApi(ApiView):
    @extend_schema(responses=responses({200: AncestorSerializer(many=True)}, 404))
    def get(self, request: Request, slug: str, checkpoint_id: int) -> Response:
        """A checkpoint and all it descends from, nearest first (reviewers; names for admins)."""
        project = self.project(slug, Role.REVIEWER)
        ancestry = checkpoint_ancestry(
            checkpoint_get(project, checkpoint_id),
            show_names=role_of(self.user, project) == Role.ADMIN,
        )
        return Response(AncestorSerializer(ancestry, many=True).data)
