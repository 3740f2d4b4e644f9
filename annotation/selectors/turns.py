"""The turns of a live conversation as its page and its record show them."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.db.models import QuerySet

from annotation.judgements import kind_get
from annotation.models import Assignment, Completion, Prompt, Turn


def turn_list(assignment: Assignment) -> QuerySet[Turn]:
    """In the order they were begun."""
    return _turns_in_order().filter(assignment=assignment)


def turns_present(assignment: Assignment) -> list[dict[str, Any]]:
    """Replies are there all together or not at all; nothing tells which model wrote one."""
    return turns_present_many([assignment.pk])[assignment.pk]


def turns_present_many(assignment_ids: Collection[int]) -> dict[int, list[dict[str, Any]]]:
    """The turns of each assignment, as turns_present gives them. Two queries."""
    turns = list(_turns_in_order().filter(assignment__in=assignment_ids))
    shown = [pk for turn in turns for pk in turn.shown_order]
    texts = dict(Completion.objects.filter(pk__in=shown).values_list("pk", "text"))
    found: dict[int, list[dict[str, Any]]] = {pk: [] for pk in assignment_ids}
    for turn in turns:
        replies = [{"id": pk, "text": texts[pk]} for pk in turn.shown_order if pk in texts]
        found[turn.assignment_id].append(turn_plain(turn) | {"replies": replies})
    return found


def turn_plain(turn: Turn) -> dict[str, Any]:
    """A turn without its replies; ``messages`` are those before the person's ``text``."""
    return {
        "id": turn.pk,
        "parent": turn.parent_id,
        "text": turn.prompt.text_last,
        "messages": turn.prompt.messages[:-1],
        "chosen": turn.chosen_id,
        "most_harmful": turn.most_harmful_id,
        "edited_from": turn.edited_from_id,
        "reply_text": turn.chosen.text if turn.chosen else "",
    }


def replies_wanted(assignment: Assignment) -> int:
    """How many replies a new turn asks for at once; none where the person writes both sides."""
    task = assignment.task
    return int(kind_get(task.kind).options(task.project).get("num_replies", 0))


def opening_of(prompt: Prompt) -> int:
    """The id of the prompt that the conversation began with."""
    return prompt.opening_id or prompt.pk


def path_to(last: int, parents: dict[int, int | None]) -> list[int]:
    """The turn ids from the first turn to ``last``; ``parents``: the turn before each."""
    return list(_upwards(last, parents))[::-1]


def parents_of(turns: Iterable[Turn]) -> dict[int, int | None]:
    return {turn.pk: turn.parent_id for turn in turns}


def _turns_in_order() -> QuerySet[Turn]:
    return Turn.objects.select_related("prompt", "chosen").order_by("pk")


def _upwards(last: int | None, parents: dict[int, int | None]) -> Iterator[int]:
    while last is not None:
        yield last
        last = parents[last]
