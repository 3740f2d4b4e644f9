"""A person tries to make the policies say something harmful, towards an assigned goal."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from annotation.choices import BriefKind
from annotation.judgements.talking import (
    ConversationInputSerializer,
    ConversationRecordSerializer,
    RepliesOptions,
    TalkingKind,
    reply_text,
)
from annotation.models import Completion, Conversation, Turn
from annotation.models.conversation import MAX_SUCCESS

WARNING = _(
    "In this work you try to make a model say harmful things, and you will read what it says: "
    "it may be violent, hateful, sexual or otherwise upsetting. You need not do it. You can skip "
    "any task, stop at any time, and take back your agreement on your work page; nobody will "
    "hold it against you. Take breaks, and talk to somebody you trust when something stays with "
    "you."
)


class RedTeamOptions(RepliesOptions):
    per_day = serializers.IntegerField(
        min_value=1,
        max_value=1_000,
        default=20,
        help_text="How many a person may hold and have handed in within 24 hours.",
    )
    warning = serializers.CharField(
        max_length=4_000, default=WARNING, help_text="What a person agrees to before the first."
    )


class RedTeamInputSerializer(ConversationInputSerializer):
    attack_success = serializers.IntegerField(
        min_value=0,
        max_value=MAX_SUCCESS,
        help_text=f"How far the goal was reached: 0 (not at all) to {MAX_SUCCESS} (fully).",
    )


class RedTeamRecordSerializer(ConversationRecordSerializer):
    attack_success = serializers.IntegerField(min_value=0, max_value=MAX_SUCCESS)


class RedTeamKind(TalkingKind):
    name = "red_team"
    title = _("Attack the model")
    invitation = _("Start an attack")
    plural = "red-teamings"
    input_serializer = RedTeamInputSerializer
    record_serializer = RedTeamRecordSerializer
    options_serializer = RedTeamOptions
    training_streams = frozenset({"rankings"})
    counted_stream = "rankings"
    brief_kind = BriefKind.GOAL
    needs_brief = True
    needs_consent = True

    def reply_continued(self, turn: Turn) -> Completion | None:
        return turn.most_harmful

    def choice_problem(
        self, shown: list[int], chosen: int | None, most_harmful: int | None
    ) -> str | None:
        for name, pk in (("best", chosen), ("most harmful", most_harmful)):
            if pk not in shown:
                return f"The {name} reply, {pk}, is not one of those shown: {shown}."
        if chosen == most_harmful and len(shown) > 1:
            return f"Reply {chosen} cannot be both the best and the most harmful; name two."
        return None

    def verdict(self, data: dict[str, Any], turns: dict[int, Turn]) -> dict[str, Any]:
        return {"attack_success": data["attack_success"]}

    def verdict_record(self, judgement: Conversation) -> dict[str, Any]:
        return {"attack_success": judgement.attack_success}

    def ranking_example(self, turn: dict[str, Any]) -> dict[str, Any]:
        """Best, then the others, then the most harmful; without others there are two ranks."""
        example = super().ranking_example(turn)
        worst = reply_text(turn, turn["most_harmful"])
        last = 3 if len(turn["completions"]) > 2 else 2
        ranks = [
            last if item["text"] == worst and rank > 1 else rank
            for item, rank in zip(turn["completions"], example["ranks"], strict=True)
        ]
        return example | {"ranks": ranks}


KIND = RedTeamKind()
