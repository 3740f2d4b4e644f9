"""What a person at work asks of the live policies: replies to a turn, a suggestion, a draft."""

from django.contrib.auth.models import User
from django.db import transaction

from annotation.errors import NotFound
from annotation.judgements import kind_get
from annotation.models import Assignment, Turn
from annotation.selectors.assignments import assignment_get
from annotation.selectors.turns import replies_wanted
from annotation.services.assignments import assignment_renew
from annotation.services.locks import task_lock
from annotation.services.turns import turn_choose, turn_start
from training.choices import ReplyStatus
from training.errors import RepliesNotOffered
from training.selectors.replies import turn_attempt, turn_request, turn_siblings
from training.services.reply_jobs import reply_policies
from training.services.replying import attempts_refuse, reply_ask
from training.services.settings import loop_settings_ensure


def turn_begin(*, assignment_id: int, annotator: User, text: str, parent_id: int | None) -> None:
    """Adds a turn and asks for its replies; the same again changes nothing.

    Where the asking is refused after the turn is stored, `turn_again` asks for it. Raises as
    turn_start and reply_ask do.
    """
    assignment = assignment_get(user=annotator, assignment_id=assignment_id)
    if replies_wanted(assignment):
        reply_policies(loop_settings_ensure(project=assignment.task.project))
    turn = turn_start(
        assignment_id=assignment_id, annotator=annotator, text=text, parent_id=parent_id
    )
    _replies_ask(turn)


def turn_again(*, assignment_id: int, annotator: User, turn_id: int) -> None:
    """Asks once more for a turn that has no replies; one that has gets a sibling with others.

    Raises as turn_begin does.
    """
    turn = _turn_get(assignment_id, annotator, turn_id)
    asked = turn_request(turn)
    if asked is not None and asked.status != ReplyStatus.DONE:
        assignment_renew(assignment_id=assignment_id, annotator=annotator)
        _replies_ask(turn, asked.num_replies)
        return
    attempts_refuse(turn_siblings(turn).count())
    turn = turn_start(
        assignment_id=assignment_id,
        annotator=annotator,
        text=turn.prompt.text_last,
        parent_id=turn.parent_id,
        again=True,
    )
    _replies_ask(turn)


def turn_suggest(*, assignment_id: int, annotator: User, turn_id: int) -> None:
    """Asks for one suggestion of what to answer in a turn; one is all a turn gets.

    Raises NotFound, RepliesNotOffered, and as assignment_renew and reply_ask do.
    """
    turn = _turn_get(assignment_id, annotator, turn_id)
    task = turn.assignment.task
    if not kind_get(task.kind).options(task.project).get("suggestions", False):
        raise RepliesNotOffered("This project offers no suggestions; write the reply yourself.")
    assignment_renew(assignment_id=assignment_id, annotator=annotator)
    _replies_ask(turn, 1)


def turn_choice(*, assignment_id: int, annotator: User, turn_id: int, **choice: object) -> None:
    """Raises as turn_choose does."""
    _turn_get(assignment_id, annotator, turn_id)
    turn_choose(turn_id=turn_id, annotator=annotator, **choice)  # type: ignore[arg-type]


def draft_ask(*, assignment_id: int, annotator: User) -> None:
    """Asks for a model's draft of the task's answer; one is all a task gets.

    Raises NotFound, RepliesNotOffered, and as assignment_renew and reply_ask do.
    """
    assignment = assignment_get(user=annotator, assignment_id=assignment_id)
    task = assignment.task
    if kind_get(task.kind).options(task.project).get("drafts") != "offered":
        raise RepliesNotOffered("This project offers no drafts; write the answer yourself.")
    with transaction.atomic():
        assignment = assignment_renew(assignment_id=assignment_id, annotator=annotator)
        reply_ask(assignment=assignment, prompt=task.the_prompt, attempt=0, num_replies=1)


@transaction.atomic
def _replies_ask(turn: Turn, num_replies: int | None = None) -> None:
    """`num_replies`: by default as many as the kind asks for by itself, which may be none."""
    assignment = turn.assignment
    num = replies_wanted(assignment) if num_replies is None else num_replies
    if num == 0:
        return
    task_lock(assignment.task_id)
    reply_ask(
        assignment=assignment, prompt=turn.prompt, attempt=turn_attempt(turn), num_replies=num
    )


def _turn_get(assignment_id: int, annotator: User, turn_id: int) -> Turn:
    assignment: Assignment = assignment_get(user=annotator, assignment_id=assignment_id)
    turns = Turn.objects.filter(assignment=assignment).select_related("prompt")
    turn = turns.filter(pk=turn_id).first()
    if turn is None:
        raise NotFound(f"Your conversation has no turn {turn_id}.")
    turn.assignment = assignment
    return turn
