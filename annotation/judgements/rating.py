"""A person judges each answer alone, 1 to 7 and by flags, and then puts all of them in order.

Rating and ranking in one sitting is InstructGPT's protocol (arXiv 2203.02155, appendix B).
"""

from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from annotation.errors import InvalidInput
from annotation.judgements.ranking import (
    PreferenceKind,
    RankingInputSerializer,
    RankingRecordSerializer,
    each_once_check,
    ranking_store,
)
from annotation.models import Assignment, CompletionRating, FlagSchema, Project, Ranking
from annotation.models.rating import MAX_RATING
from annotation.selectors.flag_schemas import flag_schema_find
from annotation.services.flag_schemas import MAX_FLAGS, flag_schema_get
from annotation.validation import MAX_INTEGER, serializer_validate


class FlagSchemaUnknown(InvalidInput):
    code = "flag_schema_unknown"


class RatingUnknownFlag(InvalidInput):
    code = "rating_unknown_flag"


class CompletionRatingSerializer(serializers.Serializer):
    completion = serializers.IntegerField(min_value=1, max_value=MAX_INTEGER)
    overall = serializers.IntegerField(
        min_value=1, max_value=MAX_RATING, help_text=f"1 is worst, {MAX_RATING} best."
    )
    flags = serializers.ListField(
        child=serializers.CharField(max_length=60),
        max_length=MAX_FLAGS,
        default=list,
        help_text="Names of the flags that hold for it.",
    )


class RatingInputSerializer(RankingInputSerializer):
    ratings = CompletionRatingSerializer(many=True, help_text="One for each completion shown.")
    schema_version = serializers.IntegerField(
        min_value=1,
        max_value=MAX_INTEGER,
        help_text="Of the flags the person saw; an older one than the newest is taken too.",
    )


class RatingRecordSerializer(RankingRecordSerializer):
    ratings = CompletionRatingSerializer(many=True, help_text="One for each of `completions`.")
    schema_version = serializers.IntegerField(help_text="Of the flags that were asked about.")


class RatingKind(PreferenceKind):
    name = "rating"
    title = _("Rate and rank answers")
    invitation = _("Rate the next answers")
    plural = "ratings"
    input_serializer = RatingInputSerializer
    record_serializer = RatingRecordSerializer

    def present(self, assignment: Assignment) -> dict[str, Any]:
        """The questions of the first version are there in every language of the page."""
        schema = flag_schema_get(assignment.task.project)
        flags = [flag | {"question": gettext(flag["question"])} for flag in schema.flags]
        return {"schema_version": schema.version, "flags": flags}

    def submit(self, assignment: Assignment, payload: dict[str, Any], annotator: User) -> Ranking:
        data = serializer_validate(self.input_serializer, payload)
        schema = _schema(assignment.task.project, data["schema_version"])
        ratings = data["ratings"]
        rated = [rating["completion"] for rating in ratings]
        each_once_check(rated, shown=assignment.shown_order, of="rating")
        _flags_check({flag for rating in ratings for flag in rating["flags"]}, schema)
        ranking = ranking_store(assignment, annotator, order=data["order"], all_bad=data["all_bad"])
        CompletionRating.objects.bulk_create(
            CompletionRating(
                ranking=ranking,
                completion_id=rating["completion"],
                schema=schema,
                overall=rating["overall"],
                flags=[name for name in _names(schema) if name in rating["flags"]],
            )
            for rating in ratings
        )
        return ranking

    def rows(self, project: Project) -> QuerySet[Ranking]:
        return super().rows(project).prefetch_related("ratings__schema")

    def content(self, judgement: Ranking) -> dict[str, Any]:
        record = super().content(judgement)
        ratings = {rating.completion_id: rating for rating in judgement.ratings.all()}
        [version] = {rating.schema.version for rating in ratings.values()}
        return record | {
            "all_bad": judgement.all_bad,
            "ratings": [_rating_record(ratings[part["id"]]) for part in record["completions"]],
            "schema_version": version,
        }


def _rating_record(rating: CompletionRating) -> dict[str, Any]:
    return {
        "completion": rating.completion_id,
        "overall": rating.overall,
        "flags": rating.flags,
    }


def _schema(project: Project, version: int) -> FlagSchema:
    if schema := flag_schema_find(project, version):
        return schema
    newest = flag_schema_get(project).version
    raise FlagSchemaUnknown(
        f"The project has no flags of version {version}; the newest is {newest}. Reload the page "
        "and rate by that one.",
        version=version,
        newest=newest,
    )


def _names(schema: FlagSchema) -> list[str]:
    return [flag["name"] for flag in schema.flags]


def _flags_check(said: set[str], schema: FlagSchema) -> None:
    if unknown := sorted(said - set(_names(schema))):
        raise RatingUnknownFlag(
            f"Version {schema.version} of the flags has no {', '.join(unknown)[:200]}; it has "
            f"{', '.join(_names(schema))}.",
            flags=[name[:60] for name in unknown[:20]],
            version=schema.version,
        )


KIND = RatingKind()
