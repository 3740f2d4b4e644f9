from rest_framework import serializers

from annotation.choices import ReportKind
from annotation.models import GuidelinesVersion, Report
from annotation.validation import MAX_REASON


class ReportCreateSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=ReportKind.choices)
    text = serializers.CharField(max_length=MAX_REASON)


class ReportSerializer(serializers.ModelSerializer):
    task = serializers.IntegerField(source="assignment.task_id")
    task_kind = serializers.CharField(source="assignment.task.kind")
    reporter = serializers.CharField(source="reporter.username")
    resolved_by = serializers.CharField(
        source="resolved_by.username", default=None, allow_null=True
    )

    class Meta:
        model = Report
        fields = (
            "id",
            "kind",
            "text",
            "assignment",
            "task",
            "task_kind",
            "reporter",
            "created_at",
            "resolved_at",
            "resolved_by",
        )
        read_only_fields = fields


class GuidelinesVersionSerializer(serializers.ModelSerializer):
    version = serializers.IntegerField(source="number")

    class Meta:
        model = GuidelinesVersion
        fields = ("version", "text", "created_at")
        read_only_fields = fields
