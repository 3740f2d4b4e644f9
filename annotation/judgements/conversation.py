"""A person talks with the current policies and chooses a reply at each turn."""

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from annotation.choices import BriefKind
from annotation.judgements.talking import MAX_TURNS, RepliesOptions, TalkingKind


class ConversationOptions(RepliesOptions):
    max_turns = serializers.IntegerField(min_value=1, max_value=MAX_TURNS, default=20)


class ConversationKind(TalkingKind):
    name = "conversation"
    title = _("Talk and choose")
    invitation = _("Start a conversation")
    plural = "conversations"
    options_serializer = ConversationOptions
    training_streams = frozenset({"rankings"})
    counted_stream = "rankings"
    brief_kind = BriefKind.TOPIC


KIND = ConversationKind()
