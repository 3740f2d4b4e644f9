"""A person orders K completions of one prompt, ties allowed."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from annotation.errors import InvalidInput
from annotation.judgements.base import JudgementKind
from annotation.judgements.records import RecordSerializer, ShownCompletionSerializer
from annotation.models import Assignment, Project, Ranking, RankingItem
from annotation.models.project import MAX_COMPLETIONS, MIN_COMPLETIONS
from annotation.services.saving import save_new
from annotation.validation import MAX_INTEGER, serializer_validate


class RankingIncomplete(InvalidInput):
    code = "ranking_incomplete"


class RankingRepeatsCompletion(InvalidInput):
    code = "ranking_repeats_completion"


class RankingUnknownCompletion(InvalidInput):
    code = "ranking_unknown_completion"


class AllBadNotOffered(InvalidInput):
    code = "all_bad_not_offered"


class RankingOptions(serializers.Serializer):
    all_bad = serializers.BooleanField(
        default=True, help_text="People may say that no answer is acceptable, the best included."
    )


class RankingInputSerializer(serializers.Serializer):
    order = serializers.ListField(
        child=serializers.ListField(
            child=serializers.IntegerField(min_value=1, max_value=MAX_INTEGER), min_length=1
        ),
        help_text="Groups of completion ids, best first; ids in one group are tied.",
    )
    all_bad = serializers.BooleanField(
        default=False, help_text="No answer is acceptable, the first one included."
    )


class PreferenceRecordSerializer(RecordSerializer):
    completions = ShownCompletionSerializer(many=True)
    ranks = serializers.ListField(
        child=serializers.IntegerField(min_value=1),
        help_text="One for each of `completions`: 1 is best, equal is tied.",
    )


class RankingRecordSerializer(PreferenceRecordSerializer):
    all_bad = serializers.BooleanField(help_text="No answer is acceptable.")


class PreferenceKind(JudgementKind):
    """Orders the answers to one prompt: what ranking, comparison and rating share."""

    model = Ranking
    training_streams = frozenset({"rankings"})
    counted_stream = "rankings"

    def num_completions(self, project: Project) -> int:
        return project.completions_per_task

    def completions_problem(self, project: Project, completions: int) -> str | None:
        if MIN_COMPLETIONS <= completions <= MAX_COMPLETIONS:
            return None
        return f"it takes {MIN_COMPLETIONS} to {MAX_COMPLETIONS}"

    def rows(self, project: Project) -> QuerySet[Ranking]:
        return (
            Ranking.objects.filter(task__project=project, task__kind=self.name)
            .select_related("prompt")
            .prefetch_related("items", "task__task_completions__completion")
        )

    def content(self, judgement: Ranking) -> dict[str, Any]:
        ranks = {item.completion_id: item.rank for item in judgement.items.all()}
        parts = sorted(judgement.task.task_completions.all(), key=lambda part: part.index)
        return {
            "prompt_id": judgement.prompt_id,
            "prompt": judgement.prompt.messages,
            "completions": [
                {"id": part.completion_id, "text": part.completion.text} for part in parts
            ],
            "ranks": [ranks[part.completion_id] for part in parts],
        }

    def training_records(self, record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "rankings", {name: record[name] for name in ("prompt", "completions", "ranks")}


class RankingKind(PreferenceKind):
    name = "ranking"
    title = _("Rank answers")
    invitation = _("Rank the next one")
    plural = "rankings"
    input_serializer = RankingInputSerializer
    record_serializer = RankingRecordSerializer
    options_serializer = RankingOptions

    def submit(self, assignment: Assignment, payload: dict[str, Any], annotator: User) -> Ranking:
        data = serializer_validate(self.input_serializer, payload)
        if data["all_bad"] and not self.options(assignment.task.project)["all_bad"]:
            raise AllBadNotOffered(
                "The ranking says that all answers are bad, which this project does not ask. "
                "Leave it out.",
            )
        return ranking_store(assignment, annotator, order=data["order"], all_bad=data["all_bad"])

    def content(self, judgement: Ranking) -> dict[str, Any]:
        return super().content(judgement) | {"all_bad": judgement.all_bad}


def ranking_store(
    assignment: Assignment, annotator: User, *, order: list[list[int]], **fields: Any
) -> Ranking:
    """Stores the order (groups of completion ids, best first) with the ranking's other fields.

    Raises what order_check does.
    """
    order_check(order, shown=assignment.shown_order)
    ranking = save_new(
        Ranking(
            assignment=assignment,
            task=assignment.task,
            prompt=assignment.task.the_prompt,
            annotator=annotator,
            **fields,
        )
    )
    position = {pk: place for place, pk in enumerate(assignment.shown_order)}
    RankingItem.objects.bulk_create(
        RankingItem(ranking=ranking, completion_id=pk, rank=rank, shown_position=position[pk])
        for rank, group in enumerate(order, start=1)
        for pk in group
    )
    return ranking


def order_check(order: list[list[int]], *, shown: list[int]) -> None:
    """The order names every shown completion exactly once and no other."""
    each_once_check([pk for group in order for pk in group], shown=shown, of="ranking")


def each_once_check(ids: Iterable[int], *, shown: list[int], of: str) -> None:
    """Raises RankingRepeatsCompletion, RankingUnknownCompletion or RankingIncomplete."""
    times = Counter(ids)
    remedy = "Name each answer shown exactly once."
    if repeated := sorted(pk for pk, count in times.items() if count > 1):
        raise RankingRepeatsCompletion(
            f"The {of} names {_ids(repeated)} more than once. {remedy}",
            completions=repeated[:20],
        )
    if unknown := sorted(set(times) - set(shown)):
        raise RankingUnknownCompletion(
            f"The {of} names {_ids(unknown)}, which this task does not show. {remedy}",
            completions=unknown[:20],
        )
    if missing := sorted(set(shown) - set(times)):
        raise RankingIncomplete(
            f"The {of} leaves out {_ids(missing)}. {remedy}", completions=missing[:20]
        )


def _ids(ids: list[int]) -> str:
    listed = ", ".join(str(pk) for pk in ids[:20])
    return f"completion {listed}" if len(ids) == 1 else f"completions {listed}"


KIND = RankingKind()
