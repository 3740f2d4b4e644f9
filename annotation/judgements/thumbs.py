"""A person approves or disapproves of one completion: thumb up or thumb down."""

from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from annotation.judgements.base import JudgementKind, Supply
from annotation.judgements.records import RecordSerializer, ShownCompletionSerializer
from annotation.models import Assignment, Project, Thumb
from annotation.services.saving import save_new
from annotation.validation import serializer_validate


class ThumbInputSerializer(serializers.Serializer):
    is_up = serializers.BooleanField(
        required=True, help_text="True: a good answer; false: a bad one."
    )


class ThumbRecordSerializer(RecordSerializer):
    completion = ShownCompletionSerializer()
    is_up = serializers.BooleanField()


class ThumbsKind(JudgementKind):
    name = "thumbs"
    title = _("Thumb up or down")
    invitation = _("Rate the next answer")
    plural = "thumbs"
    model = Thumb
    input_serializer = ThumbInputSerializer
    record_serializer = ThumbRecordSerializer
    training_streams = frozenset({"ratings"})
    counted_stream = "ratings"
    supply = Supply.ANSWER

    def num_completions(self, project: Project) -> int:
        return 1

    def submit(self, assignment: Assignment, payload: dict[str, Any], annotator: User) -> Thumb:
        data = serializer_validate(self.input_serializer, payload)
        [completion_id] = assignment.shown_order
        return save_new(
            Thumb(
                assignment=assignment,
                task=assignment.task,
                prompt=assignment.task.the_prompt,
                annotator=annotator,
                completion_id=completion_id,
                is_up=data["is_up"],
            )
        )

    def rows(self, project: Project) -> QuerySet[Thumb]:
        return Thumb.objects.filter(task__project=project).select_related("prompt", "completion")

    def content(self, judgement: Thumb) -> dict[str, Any]:
        return {
            "prompt_id": judgement.prompt_id,
            "prompt": judgement.prompt.messages,
            "completion": {"id": judgement.completion_id, "text": judgement.completion.text},
            "is_up": judgement.is_up,
        }

    def training_records(self, record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "ratings", {name: record[name] for name in ("prompt", "completion", "is_up")}


KIND = ThumbsKind()
