from typing import Any

from django import template
from django.conf import settings
from django.urls import reverse
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from annotation.judgements import kind_get, kind_list
from frontend.labels import plural_of
from frontend.remedies import remedy_for
from frontend.views.languages import catalog_version

register = template.Library()

NOTHING = "\N{EN DASH}"

STATE_WORDS = {
    "queued": _("Queued"),
    "running": _("Running"),
    "interrupted": _("Interrupted, will go on"),
    "succeeded": _("Done"),
    "done": _("Done"),
    "failed": _("Failed"),
    "cancelled": _("Cancelled"),
    "waiting": _("Not yet"),
    "waiting_for_people": _("Waits for people"),
    "paused": _("Paused"),
    "left_out": _("Left out"),
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

SPEAKERS = {"system": _("Instruction"), "user": _("Person"), "assistant": _("Assistant")}

register.filter("remedy", remedy_for)


@register.inclusion_tag("frontend/partials/tag.html")
def state_tag(state: str) -> dict[str, str]:
    return {"words": str(STATE_WORDS.get(state, state)), "class": STATE_CLASSES.get(state, "")}


@register.simple_tag
def catalog_url() -> str:
    """Where the words of this page's scripts are; empty in the language they are written in."""
    language = get_language() or settings.LANGUAGE_CODE
    if language == settings.LANGUAGE_CODE:
        return ""
    return reverse("catalog", args=[language, catalog_version(language)])


@register.filter
def judgement_words(counts: dict[str, int]) -> str:
    """{kind: number} in words, in the order of the kinds; those without any are left out."""
    kinds = [(kind.plural, counts.get(kind.name)) for kind in kind_list()]
    return ", ".join(f"{plural_of(plural)}: {num}" for plural, num in kinds if num)


@register.filter
def translated(text: str) -> str:
    """A label of the data, such as a step's, in the reader's language."""
    return gettext(text)


@register.filter
def letter(place: int) -> str:
    """What the page of a task calls the answer in this place, counted from 0."""
    return chr(ord("A") + place)


@register.filter
def speaker(role: str) -> str:
    """Who wrote a message, as the page of a task calls them."""
    return str(SPEAKERS.get(role, role))


@register.filter
def warns(kind: str) -> bool:
    """Whether people agree to a content warning before work of this kind."""
    return kind_get(kind).needs_consent


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
