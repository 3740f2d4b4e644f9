from typing import Any

from django.contrib.auth.models import User
from rest_framework import serializers

from annotation.choices import AssignmentStatus, BriefKind, RevisionStatus, Role
from annotation.judgements.records import (
    MessageSerializer,
    ShownCompletionSerializer,
    SourceSerializer,
)
from annotation.models import AIRevision, ApiToken, Membership, Principle, Project, Prompt
from annotation.models.ai import MAX_PRINCIPLE_CHARACTERS
from annotation.models.project import MAX_COMPLETIONS, MIN_COMPLETIONS
from annotation.validation import MAX_INTEGER

USERNAME_CHARACTERS = 150


class ProjectSerializer(serializers.ModelSerializer):
    kinds = serializers.ListField(child=serializers.CharField())
    targets = serializers.DictField(child=serializers.IntegerField())
    options = serializers.DictField(child=serializers.DictField())

    class Meta:
        model = Project
        fields = (
            "slug",
            "name",
            "description",
            "guidelines",
            "lease_minutes",
            "judgements_per_task",
            "completions_per_task",
            "kinds",
            "demonstrations_target",
            "targets",
            "options",
            "undo_minutes",
            "is_active",
            "created_at",
        )
        read_only_fields = fields


class ProjectUpdateSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=200, required=False)
    description = serializers.CharField(max_length=10_000, allow_blank=True, required=False)
    guidelines = serializers.CharField(
        max_length=100_000, allow_blank=True, trim_whitespace=False, required=False
    )
    lease_minutes = serializers.IntegerField(min_value=1, max_value=7 * 24 * 60, required=False)
    judgements_per_task = serializers.IntegerField(min_value=1, max_value=100, required=False)
    completions_per_task = serializers.IntegerField(
        min_value=MIN_COMPLETIONS, max_value=MAX_COMPLETIONS, required=False
    )
    kinds = serializers.ListField(
        child=serializers.CharField(max_length=40), min_length=1, required=False
    )
    demonstrations_target = serializers.IntegerField(
        min_value=0, max_value=1_000_000, required=False
    )
    targets = serializers.DictField(
        child=serializers.IntegerField(min_value=0, max_value=1_000_000),
        required=False,
        help_text="Of each kind that starts from nothing or a brief: how many tasks are wanted.",
    )
    options = serializers.DictField(
        child=serializers.DictField(),
        required=False,
        help_text="Of each kind: what differs from its defaults. docs/judgements.md lists them.",
    )
    undo_minutes = serializers.IntegerField(min_value=0, max_value=24 * 60, required=False)
    is_active = serializers.BooleanField(required=False)


class ProjectCreateSerializer(ProjectUpdateSerializer):
    slug = serializers.SlugField(max_length=60)
    name = serializers.CharField(max_length=200)


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ("id", "username")
        read_only_fields = fields


class MembershipSerializer(serializers.ModelSerializer):
    user = UserSerializer()

    class Meta:
        model = Membership
        fields = ("id", "user", "role", "created_at")
        read_only_fields = fields


class MembershipInputSerializer(serializers.Serializer):
    username = serializers.CharField(max_length=USERNAME_CHARACTERS)
    role = serializers.ChoiceField(choices=Role.choices)


class MyProjectSerializer(serializers.Serializer):
    slug = serializers.CharField()
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.choices)


class MeSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    username = serializers.CharField()
    is_staff = serializers.BooleanField()
    projects = MyProjectSerializer(many=True)


class PromptSerializer(serializers.ModelSerializer):
    messages = MessageSerializer(many=True)

    class Meta:
        model = Prompt
        fields = ("id", "messages", "external_id", "is_active", "created_at")
        read_only_fields = fields


class PromptImportSerializer(serializers.Serializer):
    """Either ``lines`` or ``text``."""

    lines = serializers.ListField(
        child=serializers.JSONField(),
        required=False,
        help_text='Objects such as {"prompt": "..."}, or the same as JSON text.',
    )
    text = serializers.CharField(
        required=False,
        allow_blank=True,
        trim_whitespace=False,
        help_text="The lines of a JSON Lines file.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Give either lines or text.")
        return attrs


class PromptImportResultSerializer(serializers.Serializer):
    created = serializers.IntegerField()
    duplicates = serializers.IntegerField()


class ClaimSerializer(serializers.Serializer):
    kind = serializers.CharField(
        max_length=40,
        required=False,
        allow_null=True,
        help_text="A kind of judgement; left out, any that the project collects.",
    )
    ahead_of = serializers.IntegerField(
        min_value=1,
        max_value=MAX_INTEGER,
        required=False,
        allow_null=True,
        help_text="An assignment you hold: reserve the one to come after it.",
    )


class SkipSerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=2_000)


class LeaseSerializer(serializers.Serializer):
    lease_expires_at = serializers.DateTimeField()


class JudgementSerializer(serializers.Serializer):
    kind = serializers.CharField()
    id = serializers.IntegerField()


class AssignmentProjectSerializer(serializers.Serializer):
    slug = serializers.CharField()
    name = serializers.CharField()


class AssignmentPromptSerializer(serializers.Serializer):
    messages = MessageSerializer(many=True)
    sources = SourceSerializer(many=True, help_text="Cited as [1], [2] and so on.")


class AssignmentBriefSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=BriefKind.choices)
    name = serializers.CharField()
    text = serializers.CharField()


class GuidelinesSerializer(serializers.Serializer):
    version = serializers.IntegerField(help_text="0: the project never had any.")
    text = serializers.CharField(allow_blank=True)
    latest = serializers.IntegerField(help_text="The newest version; higher: published since.")


class AssignmentSerializer(serializers.Serializer):
    """What the annotator sees; nothing here tells which model made a completion."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    status = serializers.ChoiceField(choices=AssignmentStatus.choices)
    project = AssignmentProjectSerializer()
    prompt = AssignmentPromptSerializer(allow_null=True, help_text="Null: the person begins.")
    brief = AssignmentBriefSerializer(allow_null=True)
    completions = ShownCompletionSerializer(many=True, help_text="In the order to be shown.")
    guidelines = GuidelinesSerializer(help_text="As they were when the task was taken.")
    options = serializers.DictField(help_text="The project's choices for this kind.")
    details = serializers.DictField(help_text="What only this kind's page needs.")
    undo_seconds = serializers.IntegerField(help_text="How long a submit can be taken back.")
    draft = serializers.DictField(allow_null=True)
    lease_expires_at = serializers.DateTimeField()


class TokenSerializer(serializers.ModelSerializer):
    class Meta:
        model = ApiToken
        fields = (
            "id",
            "name",
            "prefix",
            "created_at",
            "expires_at",
            "revoked_at",
            "last_used_at",
        )
        read_only_fields = fields


class TokenCreatedSerializer(TokenSerializer):
    token = serializers.CharField(help_text="The clear text: shown now and never again.")

    class Meta:
        model = ApiToken
        fields = (*TokenSerializer.Meta.fields, "token")
        read_only_fields = fields


class TokenInputSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=100)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class PrincipleSerializer(serializers.ModelSerializer):
    text = serializers.CharField(help_text="The newest version's.")
    version = serializers.IntegerField(source="version.number")

    class Meta:
        model = Principle
        fields = ("id", "name", "text", "version", "position", "is_active", "created_at")
        read_only_fields = fields


class PrincipleUpdateSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=100, required=False)
    text = serializers.CharField(max_length=MAX_PRINCIPLE_CHARACTERS, required=False)
    position = serializers.IntegerField(min_value=0, max_value=1_000_000, required=False)
    is_active = serializers.BooleanField(required=False)


class PrincipleCreateSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=100)
    text = serializers.CharField(max_length=MAX_PRINCIPLE_CHARACTERS)
    position = serializers.IntegerField(
        min_value=0, max_value=1_000_000, required=False, help_text="At the end without one."
    )


class RevisionSerializer(serializers.ModelSerializer):
    """An answer an AI labeler rewrote by a principle."""

    prompt = MessageSerializer(many=True, source="prompt.messages")
    ai_labeler = serializers.CharField(source="ai_labeler.name")
    principle = serializers.CharField(source="principle.text", help_text="As it was then.")
    status = serializers.ChoiceField(choices=RevisionStatus.choices)
    decided_by = serializers.CharField(source="decided_by.username", default=None, allow_null=True)

    class Meta:
        model = AIRevision
        fields = (
            "id",
            "prompt_id",
            "prompt",
            "ai_labeler",
            "principle",
            "step",
            "initial",
            "critique",
            "revision",
            "run_id",
            "status",
            "decided_by",
            "decided_at",
            "created_at",
        )
        read_only_fields = fields
