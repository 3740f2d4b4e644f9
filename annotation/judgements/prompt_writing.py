"""A person writes a prompt: plain, few-shot, or for a use case (arXiv 2203.02155, section 3.2)."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from annotation.choices import BriefKind, PromptForm, UseCase
from annotation.errors import InvalidInput
from annotation.judgements.base import JudgementKind, Supply
from annotation.judgements.records import RecordSerializer
from annotation.models import Assignment, Project, WrittenPrompt
from annotation.services.prompts import MAX_CONTENT_CHARACTERS, prompt_unwrite, prompt_write
from annotation.services.saving import save_new
from annotation.validation import serializer_validate

MAX_PAIRS = 8


class PromptFormRefused(InvalidInput):
    code = "prompt_form_refused"


class PromptIncomplete(InvalidInput):
    code = "prompt_incomplete"


class PromptTooLong(InvalidInput):
    code = "prompt_too_long"


def forms_default() -> list[str]:
    return list(PromptForm.values)


class PromptWritingOptionsSerializer(serializers.Serializer):
    forms = serializers.ListField(
        child=serializers.ChoiceField(choices=PromptForm.choices),
        allow_empty=False,
        default=forms_default,
        help_text="What labelers may write; use_case only where the task names a use case.",
    )
    num_pairs = serializers.IntegerField(
        min_value=1,
        max_value=MAX_PAIRS,
        default=3,
        help_text="How many query and response pairs a few-shot prompt has.",
    )


class PairSerializer(serializers.Serializer):
    query = serializers.CharField(allow_blank=True)
    response = serializers.CharField(allow_blank=True)


class PromptWritingInputSerializer(serializers.Serializer):
    form = serializers.ChoiceField(choices=PromptForm.choices)
    use_case = serializers.ChoiceField(choices=UseCase.choices)
    text = serializers.CharField(
        allow_blank=True, default="", help_text="Of the forms plain and use_case."
    )
    instruction = serializers.CharField(
        allow_blank=True, default="", help_text="Of the form few_shot."
    )
    pairs = PairSerializer(
        many=True, default=list, help_text="Of the form few_shot: as many as the project asks for."
    )


class WrittenPromptRecordSerializer(RecordSerializer):
    form = serializers.ChoiceField(choices=PromptForm.choices)
    use_case = serializers.ChoiceField(choices=UseCase.choices)
    instruction = serializers.CharField(allow_blank=True, help_text="Of few-shot prompts.")
    pairs = PairSerializer(many=True, help_text="Of few-shot prompts.")
    brief = serializers.CharField(
        allow_null=True, help_text="The use case that the task named, if it named one."
    )


class PromptWritingKind(JudgementKind):
    name = "prompt_writing"
    title = _("Write a prompt")
    invitation = _("Write the next prompt")
    plural = "written-prompts"
    model = WrittenPrompt
    input_serializer = PromptWritingInputSerializer
    record_serializer = WrittenPromptRecordSerializer
    options_serializer = PromptWritingOptionsSerializer
    training_streams = frozenset({"demonstrations"})
    supply = Supply.TARGET
    brief_kind = BriefKind.USE_CASE
    changes_prompts = True
    # For the page, in the order shown.
    use_cases = UseCase.choices

    def num_completions(self, project: Project) -> int:
        return 0

    def present(self, assignment: Assignment) -> dict[str, Any]:
        return {"forms": forms_offered(assignment, self.options(assignment.task.project))}

    def submit(
        self, assignment: Assignment, payload: dict[str, Any], annotator: User
    ) -> WrittenPrompt:
        data = serializer_validate(self.input_serializer, payload)
        project = assignment.task.project
        _form_check(assignment, data, self.options(project))
        is_few_shot = data["form"] == PromptForm.FEW_SHOT
        text = few_shot_text(data["instruction"], data["pairs"]) if is_few_shot else data["text"]
        _length_check(text)
        prompt = prompt_write(
            project=project,
            author=annotator,
            messages=_messages(text),
            use_case=data["use_case"],
        )
        return save_new(
            WrittenPrompt(
                assignment=assignment,
                annotator=annotator,
                prompt=prompt,
                form=data["form"],
                instruction=data["instruction"] if is_few_shot else "",
                pairs=[dict(pair) for pair in data["pairs"]] if is_few_shot else [],
            )
        )

    def undo(self, judgement: WrittenPrompt) -> None:
        prompt = judgement.prompt
        judgement.delete()
        prompt_unwrite(prompt=prompt)

    def rows(self, project: Project) -> QuerySet[WrittenPrompt]:
        return WrittenPrompt.objects.filter(prompt__project=project).select_related(
            "prompt", "assignment__task__brief"
        )

    def content(self, judgement: WrittenPrompt) -> dict[str, Any]:
        brief = judgement.assignment.task.brief
        return {
            "prompt_id": judgement.prompt_id,
            "prompt": judgement.prompt.messages,
            "form": judgement.form,
            "use_case": judgement.prompt.use_case,
            "instruction": judgement.instruction,
            "pairs": judgement.pairs,
            "brief": brief.name if brief else None,
        }

    def training_records(self, record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each pair of a few-shot prompt once, with the others as its examples."""
        pairs = record["pairs"]
        for index, pair in enumerate(pairs):
            others = [*pairs[:index], *pairs[index + 1 :], pair]
            text = few_shot_text(record["instruction"], others)
            yield "demonstrations", {"prompt": _messages(text), "completion": pair["response"]}


def forms_offered(assignment: Assignment, options: dict[str, Any]) -> list[str]:
    """The project's forms; writing for a use case takes a task that names one."""
    has_use_case = assignment.task.brief is not None
    return [
        form
        for form in PromptForm.values
        if form in options["forms"] and (has_use_case or form != PromptForm.USE_CASE)
    ] or [PromptForm.PLAIN.value]


def few_shot_text(instruction: str, pairs: Sequence[dict[str, str]]) -> str:
    """The instruction, all pairs but the last as examples, and the last query, unanswered."""
    *shots, asked = pairs
    examples = [f"{shot['query']}\n{shot['response']}" for shot in shots]
    return "\n\n".join([instruction, *examples, asked["query"]])


def _form_check(assignment: Assignment, data: dict[str, Any], options: dict[str, Any]) -> None:
    """Raises PromptFormRefused, PromptIncomplete."""
    offered = forms_offered(assignment, options)
    if data["form"] not in offered:
        raise PromptFormRefused(
            f"This task takes no prompt of the form {data['form']}; it takes {', '.join(offered)}.",
            form=data["form"],
            forms=offered,
        )
    if missing := _missing(data, options["num_pairs"]):
        raise PromptIncomplete(
            f"The prompt lacks: {', '.join(missing)}. Write it, or skip the task.",
            missing=missing,
        )


def _missing(data: dict[str, Any], num_pairs: int) -> list[str]:
    if data["form"] != PromptForm.FEW_SHOT:
        return [] if data["text"] else ["text"]
    missing = [] if data["instruction"] else ["instruction"]
    if len(data["pairs"]) != num_pairs:
        return [*missing, f"{num_pairs} pairs (there are {len(data['pairs'])})"]
    return missing + [
        f"{name} {number}"
        for number, pair in enumerate(data["pairs"], start=1)
        for name in ("query", "response")
        if not pair[name]
    ]


def _length_check(text: str) -> None:
    if len(text) > MAX_CONTENT_CHARACTERS:
        raise PromptTooLong(
            f"The prompt has {len(text)} characters; at most {MAX_CONTENT_CHARACTERS} are taken. "
            "Shorten it.",
            characters=len(text),
            maximum=MAX_CONTENT_CHARACTERS,
        )


def _messages(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


KIND = PromptWritingKind()
