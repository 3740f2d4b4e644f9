from typing import Any

from django import template

from annotation.judgements import kind_list
from frontend.remedies import remedy_for

register = template.Library()

NOTHING = "\N{EN DASH}"

STATE_WORDS = {
    "queued": "Queued",
    "running": "Running",
    "interrupted": "Interrupted, will go on",
    "succeeded": "Done",
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "waiting": "Not yet",
    "waiting_for_people": "Waits for people",
    "paused": "Paused",
    "left_out": "Left out",
}
STATE_CLASSES = {
    "running": "alive",
    "queued": "",
    "interrupted": "alive",
    "succeeded": "good",
    "done": "good",
    "failed": "bad",
    "cancelled": "bad",
    "waiting_for_people": "alive",
    "paused": "alive still",
}

register.filter("remedy", remedy_for)


@register.inclusion_tag("frontend/partials/tag.html")
def state_tag(state: str) -> dict[str, str]:
    return {"words": STATE_WORDS.get(state, state), "class": STATE_CLASSES.get(state, "")}


@register.filter
def judgement_words(counts: dict[str, int]) -> str:
    """{kind: number} in words, in the order of the kinds; those without any are left out."""
    kinds = [(kind.plural, counts.get(kind.name)) for kind in kind_list()]
    return ", ".join(f"{plural}: {num}" for plural, num in kinds if num)


@register.filter
def words(name: str) -> str:
    """A name of the data as words: "held_out_percent" is "Held out percent", "ai" is "AI"."""
    return "AI" if name == "ai" else name.replace("_", " ").capitalize()


@register.filter
def decimal(value: Any, digits: int = 2) -> str:
    """A number with so many digits, or a dash where there is none."""
    return f"{value:.{digits}f}" if _is_number(value) else NOTHING


@register.filter
def percent(value: Any) -> str:
    """A share as a whole percentage."""
    return f"{value:.0%}" if _is_number(value) else NOTHING


@register.filter
def signed(value: Any, digits: int = 2) -> str:
    return f"{value:+.{digits}f}" if _is_number(value) else NOTHING


@register.filter
def compact(value: Any) -> str:
    """Four significant digits, whatever the size of the number."""
    return f"{value:.4g}" if _is_number(value) else NOTHING


def _is_number(value: Any) -> bool:
    # A template gives "" for an attribute of nothing.
    return isinstance(value, int | float)
