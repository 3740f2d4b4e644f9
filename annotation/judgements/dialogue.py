"""A person writes both sides of a conversation; a model may suggest the replies."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from annotation.choices import BriefKind
from annotation.judgements.records import edit_examples
from annotation.judgements.talking import (
    TalkingKind,
    TurnsOptions,
    turn_prompt,
    turns_on_path,
)


class DialogueOptions(TurnsOptions):
    suggestions = serializers.BooleanField(
        default=True, help_text="The page can ask a model for a reply to accept or edit."
    )


class DialogueKind(TalkingKind):
    name = "dialogue"
    title = _("Write a dialogue")
    invitation = _("Start a dialogue")
    plural = "dialogues"
    options_serializer = DialogueOptions
    training_streams = frozenset({"demonstrations", "rankings"})
    counted_stream = "demonstrations"
    brief_kind = BriefKind.TOPIC
    writes_replies = True

    def training_records(self, record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every reply handed in is a demonstration, and beats the suggestion it was edited from."""
        for turn in turns_on_path(record):
            example = {"prompt": turn_prompt(turn), "completion": turn["reply_text"]}
            yield "demonstrations", example
        for turn in record["turns"]:
            yield from _edits(turn)


def _edits(turn: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    edited = {"id": turn["chosen"], "text": turn["reply_text"]}
    for original in turn["completions"]:
        if original["id"] == turn["edited_from"]:
            yield from edit_examples(turn_prompt(turn), edited, original)


KIND = DialogueKind()
