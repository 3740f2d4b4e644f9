"""How the replies to somebody at work come along. Nothing here tells which policy wrote what."""

from collections import defaultdict
from typing import Any

from django.db.models import QuerySet

from annotation.models import Assignment, Completion, Turn
from annotation.selectors.turns import replies_wanted, turns_present
from training.choices import ReplyFailure, ReplyStatus
from training.models import ReplyRequest

NONE = "none"
REPLY_STATES = [NONE, *ReplyStatus.values]


def turns_with_replies(assignment: Assignment) -> list[dict[str, Any]]:
    """The conversation so far, with the state of each turn's replies. No query per turn."""
    places = _places(assignment)
    requests = {
        (request.prompt_id, request.attempt): request
        for request in ReplyRequest.objects.filter(assignment=assignment)
    }
    suggests = replies_wanted(assignment) == 0
    turns = []
    for item in turns_present(assignment):
        replies = item["replies"]
        turns.append(
            item
            | {
                "reply_state": reply_state(requests.get(places[item["id"]])),
                "suggestion": replies[0] if suggests and replies else None,
            }
        )
    return turns


def draft_state(assignment: Assignment) -> dict[str, Any]:
    """The model's draft of a demonstration: its state, and the draft once it is there."""
    request = ReplyRequest.objects.filter(
        assignment=assignment, prompt=assignment.task.prompt_id
    ).first()
    state = reply_state(request)
    draft = None
    if request is not None and request.status == ReplyStatus.DONE:
        completion = Completion.objects.filter(sample__reply_request=request).first()
        draft = {"id": completion.pk, "text": completion.text} if completion else None
    return state | {"draft": draft}


def reply_state(request: ReplyRequest | None) -> dict[str, Any]:
    if request is None:
        return {"status": NONE, "progress": 0.0, "code": "", "error": ""}
    # What follows the sentence is for whoever looks after the installation.
    code, colon, sentence = request.error.partition("\n")[0].partition(": ")
    if code not in ReplyFailure:
        code, sentence = "", code + colon + sentence
    return {
        "status": request.status,
        "progress": request.progress,
        "code": code,
        "error": sentence,
    }


def request_turn(request: ReplyRequest) -> Turn | None:
    """The turn that the request answers; None for a demonstration's draft."""
    turns = _turns_of(request.assignment_id, request.prompt_id)
    return turns.order_by("pk")[request.attempt : request.attempt + 1].first()


def turn_siblings(turn: Turn) -> QuerySet[Turn]:
    """The turns of its assignment in which the same prompt is answered, itself among them."""
    return _turns_of(turn.assignment_id, turn.prompt_id)


def turn_attempt(turn: Turn) -> int:
    """How often the same prompt was answered before in this assignment."""
    return turn_siblings(turn).filter(pk__lt=turn.pk).count()


def turn_request(turn: Turn) -> ReplyRequest | None:
    return ReplyRequest.objects.filter(
        assignment=turn.assignment_id, prompt=turn.prompt_id, attempt=turn_attempt(turn)
    ).first()


def _turns_of(assignment_id: int, prompt_id: int) -> QuerySet[Turn]:
    return Turn.objects.filter(assignment=assignment_id, prompt=prompt_id)


def _places(assignment: Assignment) -> dict[int, tuple[int, int]]:
    """{turn: (prompt, attempt)}: what identifies the request of each."""
    num_seen: dict[int, int] = defaultdict(int)
    places = {}
    turns = Turn.objects.filter(assignment=assignment).order_by("pk")
    for turn_id, prompt_id in turns.values_list("pk", "prompt_id"):
        places[turn_id] = (prompt_id, num_seen[prompt_id])
        num_seen[prompt_id] += 1
    return places
