"""Live turns over the API: a person's messages, the live policies' replies, and the choice.

Nothing here waits: asking returns at once, and the list tells how far the replies are. They appear
all together, and nothing tells which policy wrote which.
"""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView
from annotation.api.schema import responses
from annotation.judgements.records import MessageSerializer, ShownCompletionSerializer
from annotation.models import Assignment
from annotation.selectors.assignments import assignment_get
from annotation.validation import MAX_INTEGER
from training.selectors.replies import REPLY_STATES, draft_state, turns_with_replies
from training.services.turn_replies import (
    draft_ask,
    turn_again,
    turn_begin,
    turn_choice,
    turn_suggest,
)


class ReplyStateSerializer(serializers.Serializer):
    status = serializers.ChoiceField(choices=REPLY_STATES)
    progress = serializers.FloatField(help_text="Of all replies together, 0 to 1.")
    code = serializers.CharField(allow_blank=True, help_text="Why it failed: docs/errors.md.")
    error = serializers.CharField(allow_blank=True, help_text="The same, in a sentence.")


class TurnSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    parent = serializers.IntegerField(allow_null=True)  # type: ignore[assignment]
    text = serializers.CharField(help_text="What the person said.")
    messages = MessageSerializer(many=True, help_text="All before it.")
    replies = ShownCompletionSerializer(many=True, help_text="In the order shown; all or none.")
    chosen = serializers.IntegerField(allow_null=True)
    most_harmful = serializers.IntegerField(allow_null=True)
    edited_from = serializers.IntegerField(allow_null=True)
    reply_text = serializers.CharField(allow_blank=True, help_text="The text of the chosen one.")
    reply_state = ReplyStateSerializer()
    suggestion = ShownCompletionSerializer(allow_null=True, help_text="Of a dialogue.")


class TurnListSerializer(serializers.Serializer):
    turns = TurnSerializer(many=True)


class TurnBeginSerializer(serializers.Serializer):
    text = serializers.CharField(trim_whitespace=False)
    parent = serializers.IntegerField(  # type: ignore[assignment]
        min_value=1,
        max_value=MAX_INTEGER,
        allow_null=True,
        default=None,
        help_text="The turn that this one goes on from; null: it opens the conversation.",
    )


class TurnChoiceSerializer(serializers.Serializer):
    chosen = serializers.IntegerField(
        min_value=1, max_value=MAX_INTEGER, allow_null=True, default=None
    )
    most_harmful = serializers.IntegerField(
        min_value=1, max_value=MAX_INTEGER, allow_null=True, default=None
    )
    text = serializers.CharField(
        allow_null=True, default=None, trim_whitespace=False, help_text="Of a dialogue."
    )
    edited_from = serializers.IntegerField(
        min_value=1, max_value=MAX_INTEGER, allow_null=True, default=None
    )


class DraftReplySerializer(ReplyStateSerializer):
    draft = ShownCompletionSerializer(allow_null=True)


class LiveApi(ApiView):
    def assignment(self, assignment_id: int) -> Assignment:
        """Raises NotFound for an assignment that is not the user's own."""
        return assignment_get(user=self.user, assignment_id=assignment_id)

    def turns(self, assignment_id: int, status: int = 200) -> Response:
        record: dict[str, Any] = {"turns": turns_with_replies(self.assignment(assignment_id))}
        return Response(TurnListSerializer(record).data, status=status)

    def draft(self, assignment_id: int, status: int = 200) -> Response:
        state = draft_state(self.assignment(assignment_id))
        return Response(DraftReplySerializer(state).data, status=status)


class TurnListApi(LiveApi):
    @extend_schema(
        operation_id="assignments_turns_list",
        responses=responses({200: TurnListSerializer}, 404),
    )
    def get(self, request: Request, assignment_id: int) -> Response:
        """Your conversation so far, and how far the replies are."""
        return self.turns(assignment_id)

    @extend_schema(
        request=TurnBeginSerializer,
        responses=responses({201: TurnListSerializer}, 400, 404, 409, 413),
    )
    def post(self, request: Request, assignment_id: int) -> Response:
        """Say something, and ask for the replies. Safe to repeat."""
        said = self.input(TurnBeginSerializer)
        turn_begin(
            assignment_id=assignment_id,
            annotator=self.user,
            text=said["text"],
            parent_id=said["parent"],
        )
        return self.turns(assignment_id, status=201)


class TurnAgainApi(LiveApi):
    @extend_schema(request=None, responses=responses({200: TurnListSerializer}, 404, 409))
    def post(self, request: Request, assignment_id: int, turn_id: int) -> Response:
        """Ask for other replies, in a sibling turn; or again, where none came."""
        turn_again(assignment_id=assignment_id, annotator=self.user, turn_id=turn_id)
        return self.turns(assignment_id)


class TurnSuggestApi(LiveApi):
    @extend_schema(request=None, responses=responses({200: TurnListSerializer}, 404, 409))
    def post(self, request: Request, assignment_id: int, turn_id: int) -> Response:
        """Ask for a suggestion of the reply that you write. Safe to repeat."""
        turn_suggest(assignment_id=assignment_id, annotator=self.user, turn_id=turn_id)
        return self.turns(assignment_id)


class TurnChoiceApi(LiveApi):
    @extend_schema(
        request=TurnChoiceSerializer,
        responses=responses({200: TurnListSerializer}, 400, 404, 409, 413),
    )
    def put(self, request: Request, assignment_id: int, turn_id: int) -> Response:
        """Take a reply (and name the most harmful one), or write it yourself."""
        choice = self.input(TurnChoiceSerializer)
        turn_choice(assignment_id=assignment_id, annotator=self.user, turn_id=turn_id, **choice)
        return self.turns(assignment_id)


class DraftReplyApi(LiveApi):
    @extend_schema(responses=responses({200: DraftReplySerializer}, 404))
    def get(self, request: Request, assignment_id: int) -> Response:
        """The model's draft that you asked for."""
        return self.draft(assignment_id)

    @extend_schema(request=None, responses=responses({200: DraftReplySerializer}, 404, 409))
    def post(self, request: Request, assignment_id: int) -> Response:
        """Ask for a model's draft of the answer that you write. Safe to repeat."""
        draft_ask(assignment_id=assignment_id, annotator=self.user)
        return self.draft(assignment_id)
