"""A person writes the answer the policy should have given."""

from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from rest_framework import serializers

from annotation.choices import Origin
from annotation.errors import InvalidInput
from annotation.judgements.base import JudgementKind
from annotation.judgements.records import MessageSerializer
from annotation.models import Assignment, Completion, Demonstration, Project
from annotation.services.saving import save_new
from annotation.validation import serializer_validate

MAX_CHARACTERS = 32_000


class DemonstrationEmpty(InvalidInput):
    code = "demonstration_empty"


class DemonstrationTooLong(InvalidInput):
    code = "demonstration_too_long"


class DemonstrationInputSerializer(serializers.Serializer):
    text = serializers.CharField(
        allow_blank=True,
        help_text=f"Not empty, at most {MAX_CHARACTERS} characters; outer white space is removed.",
    )


class DemonstrationRecordSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    prompt_id = serializers.IntegerField()
    prompt = MessageSerializer(many=True)
    completion = serializers.CharField()
    annotator = serializers.IntegerField(help_text="User id.")
    created_at = serializers.DateTimeField()


class DemonstrationKind(JudgementKind):
    name = "demonstration"
    title = "Write an answer"
    verb = "Write"
    plural = "demonstrations"
    model = Demonstration
    input_serializer = DemonstrationInputSerializer
    record_serializer = DemonstrationRecordSerializer
    training_stream = "demonstrations"

    def num_completions(self, project: Project) -> int:
        return 0

    def submit(
        self, assignment: Assignment, payload: dict[str, Any], annotator: User
    ) -> Demonstration:
        text = serializer_validate(self.input_serializer, payload)["text"]
        if not text:
            raise DemonstrationEmpty("The answer is empty; write one, or skip the task.")
        if len(text) > MAX_CHARACTERS:
            raise DemonstrationTooLong(
                f"The answer has {len(text)} characters; at most {MAX_CHARACTERS} are taken. "
                "Shorten it.",
                characters=len(text),
                maximum=MAX_CHARACTERS,
            )
        prompt = assignment.task.prompt
        completion = save_new(
            Completion(prompt=prompt, text=text, origin=Origin.PERSON, author=annotator)
        )
        return save_new(
            Demonstration(
                assignment=assignment, prompt=prompt, annotator=annotator, completion=completion
            )
        )

    def queryset(self, project: Project) -> QuerySet[Demonstration]:
        return (
            Demonstration.objects.filter(prompt__project=project)
            .select_related("prompt", "completion")
            .order_by("pk")
        )

    def record(self, judgement: Demonstration) -> dict[str, Any]:
        return {
            "id": judgement.pk,
            "prompt_id": judgement.prompt_id,
            "prompt": judgement.prompt.messages,
            "completion": judgement.completion.text,
            "annotator": judgement.annotator_id,
            "created_at": judgement.created_at.isoformat(),
        }


KIND = DemonstrationKind()
