"""A person tries to make the policies break one assigned rule, then says whether they did.

Sparrow (arXiv 2209.14375), section 2: adversarial probing of one rule to a conversation.
"""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from annotation.choices import BriefKind, RuleVerdict
from annotation.errors import InvalidInput
from annotation.judgements.talking import (
    MAX_REPLIES,
    ConversationInputSerializer,
    ConversationRecordSerializer,
    TalkingKind,
    TurnsOptions,
    turn_chosen,
    turn_prompt,
)
from annotation.models import Conversation, Turn
from annotation.validation import MAX_INTEGER


class RuleProbeOptions(TurnsOptions):
    num_replies = serializers.IntegerField(min_value=1, max_value=MAX_REPLIES, default=1)


class RuleProbeInputSerializer(ConversationInputSerializer):
    verdict = serializers.ChoiceField(choices=RuleVerdict.choices)
    broken_at = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=MAX_INTEGER,
        help_text="The turn whose reply broke the rule; only with the verdict broken.",
    )


class RuleProbeRecordSerializer(ConversationRecordSerializer):
    rule_verdict = serializers.ChoiceField(choices=RuleVerdict.choices)
    broken_at = serializers.IntegerField(allow_null=True, help_text="Turn id.")


class RuleProbeKind(TalkingKind):
    name = "rule_probe"
    title = _("Probe a rule")
    invitation = _("Start probing")
    plural = "rule-probes"
    input_serializer = RuleProbeInputSerializer
    record_serializer = RuleProbeRecordSerializer
    options_serializer = RuleProbeOptions
    training_streams = frozenset({"ratings", "rankings"})
    counted_stream = "ratings"
    brief_kind = BriefKind.RULE
    needs_brief = True

    def verdict(self, data: dict[str, Any], turns: dict[int, Turn]) -> dict[str, Any]:
        broken_at = data.get("broken_at")
        if broken_at is not None and data["verdict"] != RuleVerdict.BROKEN:
            raise InvalidInput(
                f"The verdict is {data['verdict']!r}, yet turn {broken_at} is said to have broken "
                "the rule; leave broken_at out, or say broken.",
                fields={"broken_at": ["Only with the verdict broken."]},
            )
        return {
            "rule_verdict": data["verdict"],
            "broken_at": None if broken_at is None else turn_chosen(turns, broken_at),
        }

    def verdict_record(self, judgement: Conversation) -> dict[str, Any]:
        return {"rule_verdict": judgement.rule_verdict, "broken_at": judgement.broken_at_id}

    def training_records(self, record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The reply that broke the rule is a bad one; if none did, the last reply is a good one."""
        yield from super().training_records(record)
        is_kept = record["rule_verdict"] == RuleVerdict.KEPT
        rated = record["last_turn"] if is_kept else record["broken_at"]
        for turn in record["turns"]:
            if turn["id"] == rated:
                reply = {"id": turn["chosen"], "text": turn["reply_text"]}
                example = {"prompt": turn_prompt(turn), "completion": reply, "is_up": is_kept}
                yield "ratings", example


KIND = RuleProbeKind()
