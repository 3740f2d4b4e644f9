"""A person orders K completions of one prompt, ties allowed."""

from collections import Counter
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from rest_framework import serializers

from annotation.errors import InvalidInput
from annotation.judgements.base import JudgementKind
from annotation.judgements.records import (
    MessageSerializer,
    SecondsSpentField,
    ShownCompletionSerializer,
)
from annotation.models import Assignment, Project, Ranking, RankingItem
from annotation.services.saving import save_new
from annotation.validation import MAX_INTEGER, serializer_validate


class RankingIncomplete(InvalidInput):
    code = "ranking_incomplete"


class RankingRepeatsCompletion(InvalidInput):
    code = "ranking_repeats_completion"


class RankingUnknownCompletion(InvalidInput):
    code = "ranking_unknown_completion"


class RankingInputSerializer(serializers.Serializer):
    order = serializers.ListField(
        child=serializers.ListField(
            child=serializers.IntegerField(min_value=1, max_value=MAX_INTEGER), min_length=1
        ),
        help_text="Groups of completion ids, best first; ids in one group are tied.",
    )
    seconds_spent = SecondsSpentField()


class RankingRecordSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    prompt_id = serializers.IntegerField()
    prompt = MessageSerializer(many=True)
    completions = ShownCompletionSerializer(many=True)
    ranks = serializers.ListField(
        child=serializers.IntegerField(min_value=1),
        help_text="One for each of `completions`: 1 is best, equal is tied.",
    )
    annotator = serializers.IntegerField(help_text="User id.")
    created_at = serializers.DateTimeField()


class RankingKind(JudgementKind):
    name = "ranking"
    title = "Rank answers"
    verb = "Rank"
    plural = "rankings"
    model = Ranking
    input_serializer = RankingInputSerializer
    record_serializer = RankingRecordSerializer
    training_stream = "rankings"

    def num_completions(self, project: Project) -> int:
        return project.completions_per_task

    def submit(self, assignment: Assignment, payload: dict[str, Any], annotator: User) -> Ranking:
        data = serializer_validate(self.input_serializer, payload)
        order_check(data["order"], shown=assignment.shown_order)
        ranking = save_new(
            Ranking(
                assignment=assignment,
                task=assignment.task,
                prompt=assignment.task.prompt,
                annotator=annotator,
                seconds_spent=data.get("seconds_spent"),
            )
        )
        position = {pk: place for place, pk in enumerate(assignment.shown_order)}
        RankingItem.objects.bulk_create(
            RankingItem(ranking=ranking, completion_id=pk, rank=rank, shown_position=position[pk])
            for rank, group in enumerate(data["order"], start=1)
            for pk in group
        )
        return ranking

    def queryset(self, project: Project) -> QuerySet[Ranking]:
        return (
            Ranking.objects.filter(task__project=project)
            .select_related("prompt")
            .prefetch_related("items", "task__task_completions__completion")
            .order_by("pk")
        )

    def record(self, judgement: Ranking) -> dict[str, Any]:
        ranks = {item.completion_id: item.rank for item in judgement.items.all()}
        parts = sorted(judgement.task.task_completions.all(), key=lambda part: part.index)
        return {
            "id": judgement.pk,
            "prompt_id": judgement.prompt_id,
            "prompt": judgement.prompt.messages,
            "completions": [
                {"id": part.completion_id, "text": part.completion.text} for part in parts
            ],
            "ranks": [ranks[part.completion_id] for part in parts],
            "annotator": judgement.annotator_id,
            "created_at": judgement.created_at.isoformat(),
        }


def order_check(order: list[list[int]], *, shown: list[int]) -> None:
    """The order names every shown completion exactly once and no other."""
    times = Counter(pk for group in order for pk in group)
    remedy = "Place each answer shown exactly once."
    if repeated := sorted(pk for pk, count in times.items() if count > 1):
        raise RankingRepeatsCompletion(
            f"The ranking names {_ids(repeated)} more than once. {remedy}",
            completions=repeated[:20],
        )
    if unknown := sorted(set(times) - set(shown)):
        raise RankingUnknownCompletion(
            f"The ranking names {_ids(unknown)}, which this task does not show. {remedy}",
            completions=unknown[:20],
        )
    if missing := sorted(set(shown) - set(times)):
        raise RankingIncomplete(
            f"The ranking leaves out {_ids(missing)}. {remedy}", completions=missing[:20]
        )


def _ids(ids: list[int]) -> str:
    listed = ", ".join(str(pk) for pk in ids[:20])
    return f"completion {listed}" if len(ids) == 1 else f"completions {listed}"


KIND = RankingKind()
