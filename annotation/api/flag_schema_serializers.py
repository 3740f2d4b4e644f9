from rest_framework import serializers

from annotation.models import FlagSchema


class FlagSerializer(serializers.Serializer):
    name = serializers.CharField(help_text="For the data: small letters, digits and _.")
    question = serializers.CharField(help_text="For people: answered by yes or no.")


class FlagSchemaSerializer(serializers.ModelSerializer):
    flags = FlagSerializer(many=True)

    class Meta:
        model = FlagSchema
        fields = ("version", "flags", "created_at")
        read_only_fields = fields


class FlagSchemaPublishSerializer(serializers.Serializer):
    flags = FlagSerializer(many=True)
