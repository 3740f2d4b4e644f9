"""Parts that several kinds' records share."""

from rest_framework import serializers


class MessageSerializer(serializers.Serializer):
    role = serializers.RegexField(r"^(system|user|assistant)$")
    content = serializers.CharField()


class ShownCompletionSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    text = serializers.CharField(allow_blank=True)
