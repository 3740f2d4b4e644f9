from rest_framework import serializers

from annotation.choices import BriefKind
from annotation.models import Brief, Consent


class BriefSerializer(serializers.ModelSerializer):
    kind = serializers.ChoiceField(choices=BriefKind.choices)

    class Meta:
        model = Brief
        fields = ("id", "kind", "name", "version", "text", "is_active", "created_at")
        read_only_fields = fields


class BriefCreateSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=BriefKind.choices)
    name = serializers.CharField(max_length=100)
    text = serializers.CharField(max_length=4_000)


class BriefUpdateSerializer(serializers.Serializer):
    """One or both; the text comes first."""

    text = serializers.CharField(
        max_length=4_000, required=False, help_text="Another wording is the next version."
    )
    is_active = serializers.BooleanField(
        required=False, help_text="Whether new tasks are made with it."
    )


class ConsentSerializer(serializers.ModelSerializer):
    class Meta:
        model = Consent
        fields = ("kind", "created_at")
        read_only_fields = fields
