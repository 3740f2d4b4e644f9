"""Labels of the data in the reader's language: choices.py marks them and keeps them English."""

from collections.abc import Iterable

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_lazy as _


def translated(choices: Iterable[tuple[str, str]]) -> list[tuple[str, Promise]]:
    return [(value, gettext_lazy(label)) for value, label in choices]


# As the pages name many of each kind; the kinds' own plural is for addresses.
PLURALS = {
    "demonstrations": _("demonstrations"),
    "dialogues": _("dialogues"),
    "written-prompts": _("written prompts"),
    "comparisons": _("comparisons"),
    "rankings": _("rankings"),
    "ratings": _("ratings"),
    "conversations": _("conversations"),
    "red-teamings": _("attacks on the model"),
    "rule-probes": _("probed rules"),
    "thumbs": _("thumbs"),
    "evidence-marks": _("checks of evidence"),
}


def plural_of(plural: str) -> str:
    return str(PLURALS.get(plural, plural))
