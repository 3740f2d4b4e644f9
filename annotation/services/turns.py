"""Live conversations, one turn at a time: stored as they happen, so that a crash loses nothing.

A turn counts once its assignment is submitted. Every service here may be called again with the
same values, by a page that never heard the answer, and then changes nothing.
"""

import random
from collections.abc import Collection
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from annotation.choices import Origin, PromptSource
from annotation.errors import Conflict, InvalidInput, NotFound
from annotation.judgements import kind_get
from annotation.judgements.talking import TalkingKind
from annotation.models import Assignment, Completion, Prompt, Task, Turn
from annotation.selectors.turns import opening_of, parents_of, path_to, turn_list
from annotation.services.claims import lease_renew
from annotation.services.leases import (
    assignment_lock,
    draft_keep,
    lease_expired,
    lease_holds,
    settled_refuse,
)
from annotation.services.locks import task_lock
from annotation.services.prompts import content_hash
from annotation.services.saving import save_changed, save_new
from annotation.validation import text_problem

MAX_CHARACTERS = 32_000
# With all branches and regenerated replies; a path is as long as the kind's max_turns.
MAX_TURNS_KEPT = 100


class NoConversation(Conflict):
    """The task is of a kind without turns."""

    code = "no_conversation"


class ConversationFull(Conflict):
    code = "conversation_full"


class TurnUnanswered(Conflict):
    code = "turn_unanswered"


class TurnSettled(Conflict):
    code = "turn_settled"


class TurnTextInvalid(InvalidInput):
    code = "turn_text_invalid"


class TurnChoiceInvalid(InvalidInput):
    code = "turn_choice_invalid"


def turn_start(
    *,
    assignment_id: int,
    annotator: User,
    text: str,
    parent_id: int | None = None,
    again: bool = False,
) -> Turn:
    """Adds what the person says after the reply they took in the parent turn.

    The same words after the same turn are the same turn until its reply is chosen. ``again`` asks
    for other replies: a sibling turn, unless one still waits for its replies. Renews the lease.
    Raises NotFound, NoConversation, TurnTextInvalid, TurnUnanswered (of the parent),
    ConversationFull, AssignmentAlreadySubmitted, AssignmentNotActive; on a lapsed lease
    AssignmentExpired, and keeps the text in the draft.
    """
    text = _text_check(text)
    with transaction.atomic():
        assignment = assignment_lock(assignment_id, annotator)
        kind = _kind_check(assignment)
        settled_refuse(assignment)
        if lease_holds(assignment):
            lease_renew(assignment)
            return _start(assignment, kind, text, parent_id, again)
        said = {} if again else {"text": text, "parent": parent_id}
        draft_keep(assignment, (assignment.draft or {}) | said)
    raise lease_expired(assignment)


@transaction.atomic
def turn_show(*, turn_id: int, completion_ids: Collection[int]) -> Turn:
    """Fixes the random order in which the turn's replies are shown; the first call stands.

    Raises NotFound, TurnChoiceInvalid for completions that do not answer the turn's prompt.
    """
    found = Turn.objects.filter(pk=turn_id).select_related("assignment").first()
    if found is None:
        raise NotFound(f"There is no turn {turn_id}.")
    task_lock(found.assignment.task_id)
    turn = Turn.objects.select_related("prompt", "assignment__task").get(pk=turn_id)
    if turn.shown_order:
        return turn
    ids = list(completion_ids)
    answering = Completion.objects.filter(pk__in=ids, prompt=turn.prompt_id).count()
    if not ids or answering != len(ids):
        raise TurnChoiceInvalid(
            f"Completions {ids[:20]} are not all replies to turn {turn_id}'s prompt."
        )
    random.SystemRandom().shuffle(ids)
    save_changed(turn, shown_order=ids)
    return turn


def turn_choose(
    *,
    turn_id: int,
    annotator: User,
    chosen: int | None = None,
    most_harmful: int | None = None,
    text: str | None = None,
    edited_from: int | None = None,
) -> Turn:
    """Stores which reply the person takes, or (of a dialogue) the one they wrote.

    It may be changed until a later turn hangs on it. Renews the lease. Raises NotFound,
    TurnUnanswered while there are no replies, TurnChoiceInvalid, TurnTextInvalid, TurnSettled,
    AssignmentAlreadySubmitted, AssignmentNotActive; on a lapsed lease AssignmentExpired, and keeps
    the text in the draft.
    """
    found = Turn.objects.filter(pk=turn_id, assignment__annotator=annotator).first()
    if found is None:
        raise _turn_unknown(turn_id)
    with transaction.atomic():
        assignment = assignment_lock(found.assignment_id, annotator)
        kind = _kind_check(assignment)
        settled_refuse(assignment)
        if lease_holds(assignment):
            turn = turn_list(assignment).get(pk=turn_id)
            choice = {"chosen": chosen, "most_harmful": most_harmful, "edited_from": edited_from}
            if kind.writes_replies:
                _write(turn, annotator, text, choice)
            else:
                _choose(turn, kind, text, choice)
            lease_renew(assignment)
            return turn
        said = {} if text is None else {"answer": text, "answers": turn_id}
        draft_keep(assignment, (assignment.draft or {}) | said)
    raise lease_expired(assignment)


def _start(
    assignment: Assignment, kind: TalkingKind, text: str, parent_id: int | None, again: bool
) -> Turn:
    turns = {turn.pk: turn for turn in turn_list(assignment)}
    parent = None
    if parent_id is not None:
        if parent_id not in turns:
            raise _turn_unknown(parent_id)
        parent = turns[parent_id]
    messages = [*_messages_before(assignment.task, kind, parent), {"role": "user", "content": text}]
    siblings = [
        turn
        for turn in turns.values()
        if turn.parent_id == parent_id and turn.prompt.messages == messages
    ]
    for turn in reversed(siblings):
        if turn.chosen_id is None and not (again and turn.shown_order):
            return turn
    _room_check(assignment, kind, turns, parent_id)
    prompt = _prompt_get(assignment.task, messages, parent)
    return save_new(Turn(assignment=assignment, parent=parent, prompt=prompt))


def _messages_before(task: Task, kind: TalkingKind, parent: Turn | None) -> list[dict[str, str]]:
    if parent is None:
        return list(task.prompt.messages) if task.prompt else []
    reply = kind.reply_continued(parent)
    if reply is None:
        raise TurnUnanswered(
            f"Turn {parent.pk} has no reply that was chosen; choose one first.", turn=parent.pk
        )
    return [*parent.prompt.messages, {"role": "assistant", "content": reply.text}]


def _room_check(
    assignment: Assignment, kind: TalkingKind, turns: dict[int, Turn], parent_id: int | None
) -> None:
    maximum = kind.options(assignment.task.project)["max_turns"]
    depth = len(path_to(parent_id, parents_of(turns.values()))) if parent_id else 0
    if depth >= maximum:
        raise ConversationFull(
            f"The conversation has {depth} turns, the most this project takes; hand it in.",
            maximum=maximum,
        )
    if len(turns) >= MAX_TURNS_KEPT:
        raise ConversationFull(
            f"The conversation has {len(turns)} turns with all its branches, the most that are "
            "kept; hand it in.",
            maximum=MAX_TURNS_KEPT,
        )


def _prompt_get(task: Task, messages: list[dict[str, str]], parent: Turn | None) -> Prompt:
    """The same messages are one prompt, whoever said them."""
    earlier = parent.prompt if parent else task.prompt
    prompt, _ = Prompt.objects.get_or_create(
        project_id=task.project_id,
        content_hash=content_hash(messages),
        defaults={
            "messages": messages,
            "source": PromptSource.CONVERSATION,
            "is_active": False,
            "opening_id": opening_of(earlier) if earlier else None,
        },
    )
    return prompt


def _choose(turn: Turn, kind: TalkingKind, text: str | None, choice: dict[str, int | None]) -> None:
    if text is not None or choice["edited_from"] is not None:
        raise TurnChoiceInvalid("In this kind of conversation a reply is chosen, not written.")
    if not turn.shown_order:
        raise TurnUnanswered(f"Turn {turn.pk} has no replies yet; wait for them.", turn=turn.pk)
    if problem := kind.choice_problem(turn.shown_order, choice["chosen"], choice["most_harmful"]):
        raise TurnChoiceInvalid(problem, shown=turn.shown_order)
    _store(turn, chosen_id=choice["chosen"], most_harmful_id=choice["most_harmful"])


def _write(turn: Turn, annotator: User, text: str | None, choice: dict[str, int | None]) -> None:
    if choice["chosen"] is not None or choice["most_harmful"] is not None:
        raise TurnChoiceInvalid("In a dialogue you write the reply yourself: send its text.")
    text, edited_from = _text_check(text or ""), choice["edited_from"]
    if edited_from is not None and edited_from not in turn.shown_order:
        raise TurnChoiceInvalid(
            f"Completion {edited_from} was not suggested in turn {turn.pk}.",
            shown=turn.shown_order,
        )
    before = turn.chosen
    if before is not None and (before.text, turn.edited_from_id) == (text, edited_from):
        return
    _settled_check(turn)
    reply = save_new(
        Completion(prompt=turn.prompt, text=text, origin=Origin.PERSON, author=annotator)
    )
    _store(turn, chosen_id=reply.pk, edited_from_id=edited_from)
    if before is not None:
        before.delete()


def _store(turn: Turn, **values: Any) -> None:
    if all(getattr(turn, name) == value for name, value in values.items()):
        return
    _settled_check(turn)
    for name, value in values.items():
        setattr(turn, name, value)
    turn.chosen_at = timezone.now()
    turn.save(update_fields=[*values, "chosen_at"])


def _settled_check(turn: Turn) -> None:
    if Turn.objects.filter(parent=turn).exists():
        raise TurnSettled(
            f"The conversation went on from turn {turn.pk}, so its choice stands. To try another "
            "way, ask for other replies.",
            turn=turn.pk,
        )


def _text_check(text: str) -> str:
    text = text.strip()
    problem = text_problem(text)
    if problem is None and not 1 <= len(text) <= MAX_CHARACTERS:
        problem = f"has {len(text)} characters; 1 to {MAX_CHARACTERS} are taken"
    if problem is not None:
        raise TurnTextInvalid(f"The text {problem}.", characters=len(text), maximum=MAX_CHARACTERS)
    return text


def _kind_check(assignment: Assignment) -> TalkingKind:
    kind = kind_get(assignment.task.kind)
    if not isinstance(kind, TalkingKind):
        raise NoConversation(
            f"Assignment {assignment.pk} is a {kind.name} task, which has no turns.",
            kind=kind.name,
        )
    return kind


def _turn_unknown(turn_id: int) -> NotFound:
    return NotFound(f"Your conversation has no turn {turn_id}.")
