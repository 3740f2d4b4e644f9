"""A person writes the answer the policy should have given, or edits a model's draft of it."""

from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from annotation.choices import Origin
from annotation.errors import InvalidInput
from annotation.judgements.base import JudgementKind, Supply
from annotation.judgements.records import (
    RecordSerializer,
    ShownCompletionSerializer,
    edit_examples,
)
from annotation.models import Assignment, Completion, Demonstration, Project
from annotation.services.saving import save_new
from annotation.validation import MAX_INTEGER, serializer_validate

MAX_CHARACTERS = 32_000


class DemonstrationEmpty(InvalidInput):
    code = "demonstration_empty"


class DemonstrationTooLong(InvalidInput):
    code = "demonstration_too_long"


class DraftUnknown(InvalidInput):
    code = "draft_unknown"


class DemonstrationOptionsSerializer(serializers.Serializer):
    drafts = serializers.ChoiceField(
        choices=["none", "offered"],
        default="none",
        help_text='"offered": the labeler may ask for a model\'s draft and edit it.',
    )


class DemonstrationInputSerializer(serializers.Serializer):
    text = serializers.CharField(
        allow_blank=True,
        help_text=f"Not empty, at most {MAX_CHARACTERS} characters; outer white space is removed.",
    )
    edited_from = serializers.IntegerField(
        min_value=1,
        max_value=MAX_INTEGER,
        required=False,
        allow_null=True,
        help_text="The model's draft that the text started from.",
    )


class DemonstrationRecordSerializer(RecordSerializer):
    completion = serializers.CharField()
    completion_id = serializers.IntegerField()
    edited_from = ShownCompletionSerializer(
        allow_null=True, help_text="The model's draft: the completion is preferred over it."
    )


class DemonstrationKind(JudgementKind):
    name = "demonstration"
    title = _("Write an answer")
    invitation = _("Write the next answer")
    plural = "demonstrations"
    model = Demonstration
    input_serializer = DemonstrationInputSerializer
    record_serializer = DemonstrationRecordSerializer
    options_serializer = DemonstrationOptionsSerializer
    training_streams = frozenset({"demonstrations", "rankings"})
    counted_stream = "demonstrations"
    supply = Supply.PROMPTS

    def num_completions(self, project: Project) -> int:
        return 0

    def submit(
        self, assignment: Assignment, payload: dict[str, Any], annotator: User
    ) -> Demonstration:
        data = serializer_validate(self.input_serializer, payload)
        text = answer_check(data["text"])
        draft = _draft_get(assignment, data.get("edited_from"))
        prompt = assignment.task.the_prompt
        completion = save_new(
            Completion(prompt=prompt, text=text, origin=Origin.PERSON, author=annotator)
        )
        return save_new(
            Demonstration(
                assignment=assignment,
                prompt=prompt,
                annotator=annotator,
                completion=completion,
                edited_from=draft,
            )
        )

    def undo(self, judgement: Demonstration) -> None:
        completion = judgement.completion
        judgement.delete()
        completion.delete()

    def rows(self, project: Project) -> QuerySet[Demonstration]:
        return Demonstration.objects.filter(prompt__project=project).select_related(
            "prompt", "completion", "edited_from"
        )

    def content(self, judgement: Demonstration) -> dict[str, Any]:
        return {
            "prompt_id": judgement.prompt_id,
            "prompt": judgement.prompt.messages,
            "completion": judgement.completion.text,
            "completion_id": judgement.completion_id,
            "edited_from": _shown(judgement.edited_from),
        }

    def training_records(self, record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "demonstrations", {name: record[name] for name in ("prompt", "completion")}
        draft = record["edited_from"]
        if draft is not None:
            edited = {"id": record["completion_id"], "text": record["completion"]}
            yield from edit_examples(record["prompt"], edited, draft)


def draft_offered(assignment: Assignment, completion_id: int) -> bool:
    """Whether this person was shown that model's draft of an answer to this very task."""
    return (
        completion_id in assignment.shown_order
        and Completion.objects.filter(
            pk=completion_id, prompt=assignment.task.the_prompt, origin=Origin.MODEL
        ).exists()
    )


def answer_check(text: str) -> str:
    """Raises DemonstrationEmpty, DemonstrationTooLong."""
    if not text:
        raise DemonstrationEmpty("The answer is empty; write one, or skip the task.")
    if len(text) > MAX_CHARACTERS:
        raise DemonstrationTooLong(
            f"The answer has {len(text)} characters; at most {MAX_CHARACTERS} are taken. "
            "Shorten it.",
            characters=len(text),
            maximum=MAX_CHARACTERS,
        )
    return text


def _draft_get(assignment: Assignment, completion_id: int | None) -> Completion | None:
    if completion_id is None:
        return None
    if not draft_offered(assignment, completion_id):
        raise DraftUnknown(
            f"Completion {completion_id} is no draft that was offered for this task. Leave "
            "edited_from out, or name the draft that you asked for.",
            completion=completion_id,
        )
    return Completion.objects.get(pk=completion_id)


def _shown(completion: Completion | None) -> dict[str, Any] | None:
    return {"id": completion.pk, "text": completion.text} if completion else None


KIND = DemonstrationKind()
