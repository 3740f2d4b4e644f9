"""A person checks an answer against the sources it cites: each statement, then the whole."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from annotation.errors import InvalidInput
from annotation.evidence import MAX_STATEMENTS, statements_present
from annotation.judgements.base import JudgementKind, Supply
from annotation.judgements.records import (
    RecordSerializer,
    ShownCompletionSerializer,
    SourceSerializer,
)
from annotation.models import Assignment, Completion, EvidenceMark, Project, Prompt
from annotation.services.saving import save_new
from annotation.validation import serializer_validate


class StatementsMismatch(InvalidInput):
    code = "statements_mismatch"


class StatementVerdictSerializer(serializers.Serializer):
    index = serializers.IntegerField(min_value=0, max_value=MAX_STATEMENTS)
    is_supported = serializers.BooleanField(required=True)


class EvidenceInputSerializer(serializers.Serializer):
    is_supported = serializers.BooleanField(
        required=True, help_text="Whether the sources bear out the answer as a whole."
    )
    statements = StatementVerdictSerializer(
        many=True,
        default=list,
        help_text="One for each statement of `details.statements` that cites something.",
    )


class EvidenceStatementSerializer(serializers.Serializer):
    start = serializers.IntegerField(help_text="In characters (Unicode code points).")
    end = serializers.IntegerField()
    sources = serializers.ListField(
        child=serializers.IntegerField(), help_text="What it cites; 1 is the first source."
    )
    is_supported = serializers.BooleanField()


class EvidenceRecordSerializer(RecordSerializer):
    sources = SourceSerializer(many=True)
    completion = ShownCompletionSerializer()
    is_supported = serializers.BooleanField()
    statements = EvidenceStatementSerializer(many=True)


class EvidenceKind(JudgementKind):
    name = "evidence"
    title = _("Check the evidence")
    invitation = _("Check the next answer")
    plural = "evidence-marks"
    model = EvidenceMark
    input_serializer = EvidenceInputSerializer
    record_serializer = EvidenceRecordSerializer
    training_streams = frozenset({"ratings"})
    counted_stream = "ratings"
    supply = Supply.ANSWER

    def num_completions(self, project: Project) -> int:
        return 1

    def takes_prompt(self, prompt: Prompt) -> bool:
        return bool(prompt.sources)

    def present(self, assignment: Assignment) -> dict[str, Any]:
        [completion_id] = assignment.shown_order
        text = Completion.objects.values_list("text", flat=True).get(pk=completion_id)
        return {"statements": statements_present(text)}

    def submit(
        self, assignment: Assignment, payload: dict[str, Any], annotator: User
    ) -> EvidenceMark:
        data = serializer_validate(self.input_serializer, payload)
        citing = [part for part in self.present(assignment)["statements"] if part["sources"]]
        _statements_check(data["statements"], citing)
        verdicts = {said["index"]: said["is_supported"] for said in data["statements"]}
        [completion_id] = assignment.shown_order
        return save_new(
            EvidenceMark(
                assignment=assignment,
                task=assignment.task,
                prompt=assignment.task.the_prompt,
                annotator=annotator,
                completion_id=completion_id,
                is_supported=data["is_supported"],
                statements=[
                    {name: part[name] for name in ("start", "end", "sources")}
                    | {"is_supported": verdicts[part["index"]]}
                    for part in citing
                ],
            )
        )

    def rows(self, project: Project) -> QuerySet[EvidenceMark]:
        return EvidenceMark.objects.filter(task__project=project).select_related(
            "prompt", "completion"
        )

    def content(self, judgement: EvidenceMark) -> dict[str, Any]:
        return {
            "prompt_id": judgement.prompt_id,
            "prompt": judgement.prompt.messages,
            "sources": judgement.prompt.sources,
            "completion": {"id": judgement.completion_id, "text": judgement.completion.text},
            "is_supported": judgement.is_supported,
            "statements": judgement.statements,
        }

    def training_records(self, record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        shown = {name: record[name] for name in ("prompt", "completion")}
        yield "ratings", shown | {"is_up": record["is_supported"]}


def _statements_check(said: list[dict[str, Any]], citing: list[dict[str, Any]]) -> None:
    """There is one verdict for each citing statement, and no other."""
    times = Counter(verdict["index"] for verdict in said)
    wanted = {part["index"] for part in citing}
    problems = {
        "missing": sorted(wanted - set(times)),
        "unknown": sorted(set(times) - wanted),
        "repeated": sorted(index for index, count in times.items() if count > 1),
    }
    found = {name: indices[:20] for name, indices in problems.items() if indices}
    if found:
        listed = "; ".join(f"{name}: {indices}" for name, indices in found.items())
        raise StatementsMismatch(
            f"The verdicts do not fit the answer's statements ({listed}). Give one for each "
            "statement that cites a source, and none for others.",
            **found,
        )


KIND = EvidenceKind()
