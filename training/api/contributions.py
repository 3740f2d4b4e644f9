"""What a labeler gets back: what their judgements changed, and how far others agree."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView
from annotation.api.schema import responses
from training.selectors.contributions import OUTCOMES, contributions_get


class VotesSerializer(serializers.Serializer):
    wins = serializers.FloatField()
    num = serializers.IntegerField()
    share = serializers.FloatField()
    low = serializers.FloatField(help_text="Of an interval at 95 % that holds at every look.")
    high = serializers.FloatField()


class ContributionSerializer(serializers.Serializer):
    round = serializers.IntegerField()
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    num_mine = serializers.IntegerField(help_text="Your judgements among those it froze.")
    num_total = serializers.IntegerField()
    win_rate = VotesSerializer(
        allow_null=True, help_text="Of a promoted policy against the one before, by blind votes."
    )
    test_gain = serializers.FloatField(
        allow_null=True, help_text="Of a promoted policy without votes: over the reference."
    )
    test_gain_error = serializers.FloatField(allow_null=True, help_text="Standard error.")
    sentence = serializers.CharField(help_text="All of this in words.")


class AgreementShareSerializer(serializers.Serializer):
    share = serializers.FloatField()
    low = serializers.FloatField(help_text="Wilson's interval at 95 %, clustered by prompt.")
    high = serializers.FloatField()
    num = serializers.IntegerField(source="num_decisions")


class AgreementSeenSerializer(serializers.Serializer):
    num_tasks = serializers.IntegerField(help_text="Judged by you and by others.")
    pairs = AgreementShareSerializer(
        allow_null=True, help_text="Of pairs that both put in order: those in the same one."
    )
    ties = AgreementShareSerializer(
        allow_null=True, help_text="Of pairs that one of you tied: those that both did."
    )
    marks = AgreementShareSerializer(
        allow_null=True, help_text="Thumbs and evidence marks that are equal."
    )


class ContributionsSerializer(serializers.Serializer):
    excluded = serializers.BooleanField(help_text="Your work does not count now.")
    rounds = ContributionSerializer(many=True, help_text="Newest first.")
    agreement = AgreementSeenSerializer(
        allow_null=True, help_text="With other people; null while few tasks are shared."
    )


class MyContributionsApi(ApiView):
    @extend_schema(responses=responses({200: ContributionsSerializer}, 404))
    def get(self, request: Request, slug: str) -> Response:
        """What your own judgements changed: the rounds that learned from them, and agreement."""
        contributions = contributions_get(self.user, self.project(slug))
        return Response(ContributionsSerializer(contributions).data)
