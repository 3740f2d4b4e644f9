"""Parts that several kinds' records share."""

from collections.abc import Iterator
from typing import Any

from rest_framework import serializers

MAX_SECONDS = 30 * 24 * 3600


class MessageSerializer(serializers.Serializer):
    role = serializers.RegexField(r"^(system|user|assistant)$")
    content = serializers.CharField()


class RecordSerializer(serializers.Serializer):
    """What the record of every judgement says, of whatever kind."""

    id = serializers.IntegerField()
    prompt_id = serializers.IntegerField()
    prompt = MessageSerializer(many=True)
    annotator = serializers.IntegerField(help_text="User id.")
    created_at = serializers.DateTimeField()
    guidelines_version = serializers.IntegerField(
        allow_null=True,
        help_text="The number of the guidelines that the person was shown; null: there were none.",
    )
    seconds_spent = serializers.FloatField(
        allow_null=True,
        help_text="Seconds of attention it took, without idle time; null: not told.",
    )


class ShownCompletionSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    text = serializers.CharField(allow_blank=True)


class SourceSerializer(serializers.Serializer):
    title = serializers.CharField()
    text = serializers.CharField()
    url = serializers.CharField(allow_blank=True, required=False)


def edit_examples(
    prompt: list[dict[str, str]], edited: dict[str, Any], original: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """An edit beats the original; handed in as it came, neither is better than the other.

    Both are ``{"id", "text"}``, and the edit has no outer white space.
    """
    if original["text"].strip() != edited["text"]:
        yield "rankings", {"prompt": prompt, "completions": [edited, original], "ranks": [1, 2]}


class EffortSerializer(serializers.Serializer):
    """What every kind's payload may say besides the judgement itself."""

    seconds_spent = serializers.FloatField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=MAX_SECONDS,
        help_text="Seconds of attention the judgement took, without idle time.",
    )
