from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView
from annotation.api.schema import responses
from annotation.selectors.statistics import my_statistics


class KindStatisticsSerializer(serializers.Serializer):
    kind = serializers.CharField()
    today = serializers.IntegerField()
    week = serializers.IntegerField(help_text="Today and the six days before.")
    total = serializers.IntegerField()
    median_seconds = serializers.FloatField(
        allow_null=True, help_text="Of attention for one judgement; null when unknown."
    )


class DayCountSerializer(serializers.Serializer):
    date = serializers.DateField()
    count = serializers.IntegerField()


class MyStatisticsSerializer(serializers.Serializer):
    kinds = KindStatisticsSerializer(many=True)
    days = DayCountSerializer(many=True, help_text="The last two weeks, oldest first.")
    days_in_a_row = serializers.IntegerField(help_text="With judgements, up to today or yesterday.")
    total = serializers.IntegerField()


class MyStatisticsApi(ApiView):
    @extend_schema(responses=responses({200: MyStatisticsSerializer}, 404))
    def get(self, request: Request, slug: str) -> Response:
        """Your own numbers in the project: how much, how fast, how steadily."""
        statistics = my_statistics(self.user, self.project(slug))
        return Response(MyStatisticsSerializer(statistics).data)
