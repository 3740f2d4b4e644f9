"""A person says which of two answers is better, and by how much.

A scale of L levels has floor(L / 2) strengths on each side, 1 the weakest. An odd scale has a tie
in its middle; beside an even one a tie is a choice of its own.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from annotation.errors import Conflict, InvalidInput
from annotation.judgements.ranking import (
    PreferenceKind,
    PreferenceRecordSerializer,
    ranking_store,
)
from annotation.models import Assignment, ComparisonDimension, Project, Ranking
from annotation.services.saving import save_new
from annotation.validation import MAX_INTEGER, MAX_REASON, serializer_validate

MIN_LEVELS, MAX_LEVELS = 2, 9
MAX_DIMENSIONS = 5
REASONS = ("optional", "required", "off")


class ComparisonScaleChanged(Conflict):
    code = "comparison_scale_changed"


class ComparisonUnknownCompletion(InvalidInput):
    code = "comparison_unknown_completion"


class ComparisonStrengthOffScale(InvalidInput):
    code = "comparison_strength_off_scale"


class ComparisonDimensionMissing(InvalidInput):
    code = "comparison_dimension_missing"


class ComparisonDimensionUnknown(InvalidInput):
    code = "comparison_dimension_unknown"


class ComparisonReasonMissing(InvalidInput):
    code = "comparison_reason_missing"


class TieNotOffered(InvalidInput):
    code = "tie_not_offered"


class BothBadNotOffered(InvalidInput):
    code = "both_bad_not_offered"


class ComparisonOptions(serializers.Serializer):
    levels = serializers.IntegerField(
        min_value=MIN_LEVELS,
        max_value=MAX_LEVELS,
        default=8,
        help_text="Of the scale; an odd number has a tie in its middle.",
    )
    tie = serializers.BooleanField(
        default=True, help_text="Beside an even scale: people may say that neither is better."
    )
    both_bad = serializers.BooleanField(
        default=True, help_text="People may say that neither answer is acceptable."
    )
    dimensions = serializers.ListField(
        child=serializers.CharField(max_length=60),
        max_length=MAX_DIMENSIONS,
        default=list,
        help_text="Qualities that are compared one by one, such as helpful and harmless.",
    )
    reason = serializers.ChoiceField(
        choices=REASONS, default="optional", help_text="Whether people are asked why."
    )

    def validate_dimensions(self, names: list[str]) -> list[str]:
        if len({name.casefold() for name in names}) != len(names):
            raise serializers.ValidationError("Each dimension needs a name of its own.")
        return names


class PreferenceSerializer(serializers.Serializer):
    preferred = serializers.IntegerField(
        min_value=1,
        max_value=MAX_INTEGER,
        allow_null=True,
        help_text="The id of the better completion; null: a tie.",
    )
    strength = serializers.IntegerField(
        min_value=1,
        max_value=MAX_LEVELS,
        required=False,
        allow_null=True,
        help_text="Steps from the middle of the scale, 1 the weakest; none for a tie.",
    )


class ComparisonInputSerializer(PreferenceSerializer):
    levels = serializers.IntegerField(
        required=False,
        help_text="Of the scale the person saw; refused when the project has another by now.",
    )
    both_bad = serializers.BooleanField(
        default=False, help_text="Neither is acceptable, the better one included."
    )
    dimensions = serializers.DictField(
        child=PreferenceSerializer(), default=dict, help_text="One for each of the project's."
    )
    reason = serializers.CharField(
        max_length=MAX_REASON, allow_blank=True, default="", help_text="Why, in free words."
    )


class DimensionRecordSerializer(PreferenceSerializer):
    name = serializers.CharField()


class ComparisonRecordSerializer(PreferenceRecordSerializer):
    strength = serializers.IntegerField(
        allow_null=True, help_text="Steps from the middle of the scale; null: a tie."
    )
    levels = serializers.IntegerField(help_text="Of the scale it was judged on.")
    both_bad = serializers.BooleanField()
    dimensions = DimensionRecordSerializer(many=True)
    reason = serializers.CharField(allow_blank=True)


class ComparisonKind(PreferenceKind):
    name = "comparison"
    title = _("Compare two answers")
    invitation = _("Compare the next two")
    plural = "comparisons"
    input_serializer = ComparisonInputSerializer
    record_serializer = ComparisonRecordSerializer
    options_serializer = ComparisonOptions

    def num_completions(self, project: Project) -> int:
        return 2

    def completions_problem(self, project: Project, completions: int) -> str | None:
        return None if completions == 2 else "it takes 2"

    def submit(self, assignment: Assignment, payload: dict[str, Any], annotator: User) -> Ranking:
        data = serializer_validate(self.input_serializer, payload)
        options = self.options(assignment.task.project)
        _scale_check(data, options)
        _preference_check(data, options, assignment.shown_order)
        _dimensions_check(data["dimensions"], options, assignment.shown_order)
        ranking = ranking_store(
            assignment,
            annotator,
            order=_order(data["preferred"], assignment.shown_order),
            strength=_strength(data, options),
            levels=options["levels"],
            all_bad=data["both_bad"],
            reason=data["reason"],
        )
        for name in options["dimensions"]:
            _dimension_store(ranking, name, data["dimensions"][name], options)
        return ranking

    def rows(self, project: Project) -> QuerySet[Ranking]:
        return super().rows(project).prefetch_related("dimensions")

    def content(self, judgement: Ranking) -> dict[str, Any]:
        return super().content(judgement) | {
            "strength": judgement.strength,
            "levels": judgement.levels,
            "both_bad": judgement.all_bad,
            "dimensions": [
                {"name": part.name, "preferred": part.preferred_id, "strength": part.strength}
                for part in judgement.dimensions.all()
            ],
            "reason": judgement.reason,
        }

    def training_records(self, record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        for stream, example in super().training_records(record):
            yield stream, example | {"strength": record["strength"]}


def _scale_check(data: dict[str, Any], options: dict[str, Any]) -> None:
    """What the project asks of every comparison, whichever answer is better."""
    levels = options["levels"]
    if data.get("levels", levels) != levels:
        raise ComparisonScaleChanged(
            f"The comparison was made on a scale of {data['levels']} levels, and the project has "
            f"{levels} by now. Reload the page and say it on the new scale.",
            levels=levels,
        )
    if data["both_bad"] and not options["both_bad"]:
        raise BothBadNotOffered(
            "The comparison says that both answers are bad, which this project does not ask. "
            "Leave it out."
        )
    if options["reason"] == "required" and not data["reason"]:
        raise ComparisonReasonMissing(
            "The comparison has no reason; this project asks for one. Say in a few words why."
        )


def _dimensions_check(
    dimensions: dict[str, Any], options: dict[str, Any], shown: list[int]
) -> None:
    known = options["dimensions"]
    if unknown := sorted(set(dimensions) - set(known)):
        listed = ", ".join(unknown)[:200]
        raise ComparisonDimensionUnknown(
            f"The project does not compare by {listed}; it compares by "
            f"{', '.join(known) or 'no dimension'}.",
            dimensions=[name[:60] for name in unknown[:20]],
        )
    if missing := [name for name in known if name not in dimensions]:
        raise ComparisonDimensionMissing(
            f"The comparison says nothing about {', '.join(missing)}. Judge each dimension.",
            dimensions=missing,
        )
    for name in known:
        _preference_check(dimensions[name], options, shown, of=f"the comparison by {name}")


def _preference_check(
    said: dict[str, Any], options: dict[str, Any], shown: list[int], of: str = "the comparison"
) -> None:
    """Raises what one place on the scale can be refused for."""
    levels, preferred = options["levels"], said["preferred"]
    if preferred is None:
        if not (options["tie"] or levels % 2):
            raise TieNotOffered(
                f"In {of} neither answer is better, and this project asks to choose. "
                f"Prefer one of {shown}."
            )
    elif preferred not in shown:
        raise ComparisonUnknownCompletion(
            f"In {of} completion {preferred} is better, which this task does not show. "
            f"Prefer one of {shown}.",
            completions=[preferred],
        )
    highest = 0 if preferred is None else levels // 2
    strength = _strength(said, options) or 0
    if not min(1, highest) <= strength <= highest:
        raise ComparisonStrengthOffScale(
            f"In {of} the strength is {strength or 'missing'}; on a scale of {levels} levels "
            f"{f'1 to {highest}' if highest else 'none, as it is a tie,'} is expected.",
            strength=strength or None,
            maximum=highest,
        )


def _strength(said: dict[str, Any], options: dict[str, Any]) -> int | None:
    """What was said; a scale with one strength on each side needs no words."""
    strength: int | None = said.get("strength")
    only = strength is None and said["preferred"] is not None and options["levels"] // 2 == 1
    return 1 if only else strength


def _order(preferred: int | None, shown: list[int]) -> list[list[int]]:
    if preferred is None:
        return [list(shown)]
    return [[preferred], [pk for pk in shown if pk != preferred]]


def _dimension_store(
    ranking: Ranking, name: str, said: dict[str, Any], options: dict[str, Any]
) -> ComparisonDimension:
    return save_new(
        ComparisonDimension(
            ranking=ranking,
            name=name,
            preferred_id=said["preferred"],
            strength=_strength(said, options),
        )
    )


KIND = ComparisonKind()
