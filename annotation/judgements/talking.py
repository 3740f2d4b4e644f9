"""What the kinds that talk with the live policies share: turns, a last one, a note."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.db.models import Prefetch, QuerySet
from rest_framework import serializers

from annotation.choices import BriefKind
from annotation.errors import Conflict, InvalidInput
from annotation.judgements.base import JudgementKind, Supply
from annotation.judgements.records import (
    MessageSerializer,
    RecordSerializer,
    ShownCompletionSerializer,
)
from annotation.models import Assignment, Completion, Conversation, Project, Turn
from annotation.selectors.turns import (
    parents_of,
    path_to,
    turn_list,
    turn_plain,
    turns_present,
)
from annotation.services.saving import save_new
from annotation.validation import MAX_INTEGER, serializer_validate

MAX_NOTE = 4_000
MAX_TURNS = 50
MAX_REPLIES = 4


class ConversationTooShort(Conflict):
    code = "conversation_too_short"


class ConversationTooLong(Conflict):
    code = "conversation_too_long"


class ConversationTurnInvalid(InvalidInput):
    """A turn that the conversation lacks, or one without a chosen reply. `extra`: turn."""

    code = "conversation_turn_invalid"


class TurnsOptions(serializers.Serializer):
    min_turns = serializers.IntegerField(min_value=1, max_value=MAX_TURNS, default=1)
    max_turns = serializers.IntegerField(min_value=1, max_value=MAX_TURNS, default=10)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["min_turns"] > attrs["max_turns"]:
            raise serializers.ValidationError(
                f"min_turns is {attrs['min_turns']}, more than max_turns, {attrs['max_turns']}."
            )
        return attrs


class RepliesOptions(TurnsOptions):
    num_replies = serializers.IntegerField(min_value=2, max_value=MAX_REPLIES, default=2)


class ConversationInputSerializer(serializers.Serializer):
    last_turn = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=MAX_INTEGER,
        help_text="Where the conversation that is handed in ends; the newest turn with a choice.",
    )
    note = serializers.CharField(required=False, allow_blank=True, max_length=MAX_NOTE, default="")


class TurnRecordSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    parent = serializers.IntegerField(allow_null=True)  # type: ignore[assignment]
    messages = MessageSerializer(many=True, help_text="Before the person's text.")
    text = serializers.CharField(help_text="What the person said.")
    completions = ShownCompletionSerializer(many=True, help_text="The replies, in the order shown.")
    chosen = serializers.IntegerField(allow_null=True, help_text="Completion id.")
    most_harmful = serializers.IntegerField(allow_null=True, help_text="Completion id.")
    edited_from = serializers.IntegerField(allow_null=True, help_text="Completion id.")
    reply_text = serializers.CharField(allow_blank=True, help_text="Of the chosen completion.")


class BriefRecordSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=BriefKind.choices)
    name = serializers.CharField()
    version = serializers.IntegerField()
    text = serializers.CharField()


class ConversationRecordSerializer(RecordSerializer):
    prompt_id = serializers.IntegerField(help_text="Of the prompt it began with.")
    prompt = MessageSerializer(many=True, help_text="What it began with.")
    brief = BriefRecordSerializer(allow_null=True)
    turns = TurnRecordSerializer(many=True, help_text="With the branches, in order of beginning.")
    last_turn = serializers.IntegerField(help_text="Where what was handed in ends.")
    note = serializers.CharField(allow_blank=True)


class TalkingKind(JudgementKind):
    """Its judgement is a Conversation; its turns are made by services.turns meanwhile."""

    model = Conversation
    input_serializer = ConversationInputSerializer
    record_serializer = ConversationRecordSerializer
    options_serializer = TurnsOptions
    supply = Supply.TARGET
    prefetches = False
    # A hundred turns may hang on each.
    export_chunk = 10
    # The person writes the replies too; models only suggest them.
    writes_replies: ClassVar[bool] = False

    def num_completions(self, project: Project) -> int:
        return 0

    def reply_continued(self, turn: Turn) -> Completion | None:
        """The reply after which the conversation goes on."""
        return turn.chosen

    def choice_problem(
        self, shown: list[int], chosen: int | None, most_harmful: int | None
    ) -> str | None:
        """Why this is no choice among the shown replies, or None."""
        if chosen not in shown:
            return f"The chosen reply, {chosen}, is not one of those shown: {shown}."
        return None if most_harmful is None else "Only red teaming asks for the most harmful reply."

    def present(self, assignment: Assignment) -> dict[str, Any]:
        return {"turns": turns_present(assignment)}

    def verdict(self, data: dict[str, Any], turns: dict[int, Turn]) -> dict[str, Any]:
        """The conversation's fields that only this kind fills, from the validated payload."""
        return {}

    def submit(
        self, assignment: Assignment, payload: dict[str, Any], annotator: User
    ) -> Conversation:
        data = serializer_validate(self.input_serializer, payload)
        turns = {turn.pk: turn for turn in turn_list(assignment)}
        last = _last_turn(turns, data.get("last_turn"))
        self._length_check(
            assignment.task.project, len(path_to(last.pk, parents_of(turns.values())))
        )
        return save_new(
            Conversation(
                assignment=assignment,
                annotator=annotator,
                last_turn=last,
                note=data["note"],
                **self.verdict(data, turns),
            )
        )

    def _length_check(self, project: Project, num_turns: int) -> None:
        options = self.options(project)
        minimum, maximum = options["min_turns"], options["max_turns"]
        if num_turns < minimum:
            raise ConversationTooShort(
                f"The conversation has {num_turns} turns; at least {minimum} are wanted. Go on "
                "with it, or skip the task.",
                turns=num_turns,
                minimum=minimum,
            )
        if num_turns > maximum:
            raise ConversationTooLong(
                f"The conversation has {num_turns} turns; at most {maximum} are wanted. Hand in "
                "an earlier turn as the last one.",
                turns=num_turns,
                maximum=maximum,
            )

    def rows(self, project: Project) -> QuerySet[Conversation]:
        turns = Turn.objects.select_related("prompt__opening", "chosen").order_by("pk")
        return (
            Conversation.objects.filter(
                assignment__task__project=project, assignment__task__kind=self.name
            )
            .select_related("assignment__task__brief")
            .prefetch_related(
                Prefetch("assignment__turns", turns), "assignment__turns__prompt__completions"
            )
        )

    def content(self, judgement: Conversation) -> dict[str, Any]:
        turns = {turn.pk: turn for turn in judgement.assignment.turns.all()}
        last = turns[judgement.last_turn_id].prompt
        opening = last.opening or last
        brief = judgement.assignment.task.brief
        return {
            "prompt_id": opening.pk,
            "prompt": opening.messages,
            "brief": brief
            and {
                "kind": brief.kind,
                "name": brief.name,
                "version": brief.version,
                "text": brief.text,
            },
            "turns": [_turn_record(turn) for turn in turns.values()],
            "last_turn": judgement.last_turn_id,
            **self.verdict_record(judgement),
            "note": judgement.note,
        }

    def verdict_record(self, judgement: Conversation) -> dict[str, Any]:
        return {}

    def training_records(self, record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every choice among replies counts, also on the branches that were not handed in."""
        for turn in record["turns"]:
            if len(turn["completions"]) > 1 and turn["chosen"] is not None:
                yield "rankings", self.ranking_example(turn)

    def ranking_example(self, turn: dict[str, Any]) -> dict[str, Any]:
        """The chosen reply before the others; one that reads the same is as good."""
        best = reply_text(turn, turn["chosen"])
        return {
            "prompt": turn_prompt(turn),
            "completions": turn["completions"],
            "ranks": [1 if item["text"] == best else 2 for item in turn["completions"]],
        }


def turns_on_path(record: dict[str, Any]) -> list[dict[str, Any]]:
    """What was handed in, from the first turn to the last."""
    turns = {turn["id"]: turn for turn in record["turns"]}
    path = path_to(record["last_turn"], {pk: turn["parent"] for pk, turn in turns.items()})
    return [turns[pk] for pk in path]


def turn_prompt(turn: dict[str, Any]) -> list[dict[str, str]]:
    return [*turn["messages"], {"role": "user", "content": turn["text"]}]


def reply_text(turn: dict[str, Any], completion_id: int) -> str:
    """Of a reply that the turn shows."""
    return next(str(item["text"]) for item in turn["completions"] if item["id"] == completion_id)


def turn_chosen(turns: dict[int, Turn], turn_id: int) -> Turn:
    """Raises ConversationTurnInvalid."""
    if turn_id not in turns:
        raise ConversationTurnInvalid(
            f"This conversation has no turn {turn_id}; name one of its turns.", turn=turn_id
        )
    if turns[turn_id].chosen_id is None:
        raise ConversationTurnInvalid(
            f"Turn {turn_id} has no chosen reply; choose one, or name another turn.", turn=turn_id
        )
    return turns[turn_id]


def _last_turn(turns: dict[int, Turn], wanted: int | None) -> Turn:
    if wanted is not None:
        return turn_chosen(turns, wanted)
    chosen = [pk for pk, turn in turns.items() if turn.chosen_id is not None]
    if not chosen:
        raise ConversationTooShort(
            "No reply was chosen yet. Say something, choose a reply, then hand it in; or skip the "
            "task.",
            turns=0,
            minimum=1,
        )
    return turns[max(chosen)]


def _turn_record(turn: Turn) -> dict[str, Any]:
    texts = {completion.pk: completion.text for completion in turn.prompt.completions.all()}
    return turn_plain(turn) | {
        "completions": [{"id": pk, "text": texts[pk]} for pk in turn.shown_order]
    }
