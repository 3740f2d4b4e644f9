"""Parts that several kinds' records share."""

from typing import Any

from rest_framework import serializers

MAX_SECONDS = 30 * 24 * 3600


class MessageSerializer(serializers.Serializer):
    role = serializers.RegexField(r"^(system|user|assistant)$")
    content = serializers.CharField()


class ShownCompletionSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    text = serializers.CharField(allow_blank=True)


class SecondsSpentField(serializers.FloatField):
    """Seconds of attention that a judgement took, or null; may be left out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            required=False, allow_null=True, min_value=0, max_value=MAX_SECONDS, **options
        )
