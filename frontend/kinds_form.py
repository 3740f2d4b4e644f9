"""Which kinds of judgement a project collects, with each kind's own options as form fields.

The fields are made from the options_serializer that every kind declares; a new kind or option
needs nothing here, but a friendlier label in WORDS.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from annotation.judgements import kind_list
from annotation.judgements.base import JudgementKind, Supply
from annotation.models import Conversation, Project
from annotation.services.projects import MAX_TARGET

Text = str | Promise

WRITING, JUDGING, TALKING = _("Writing"), _("Judging answers"), _("Talking with the model")
# Label and help of each option, whatever the kind.
WORDS: dict[str, tuple[Text, Text]] = {
    "drafts": (_("A model's draft"), _("Offered: people may ask for a draft and edit it.")),
    "forms": (_("Forms of a prompt"), _("For a use case: only where the task names one.")),
    "num_pairs": (_("Examples in a few-shot prompt"), ""),
    "levels": (_("Levels of the scale"), _("An odd number has a tie in its middle.")),
    "tie": (_("A tie is possible"), _("A button beside an even scale.")),
    "both_bad": (_("“Both are bad” is possible"), ""),
    "all_bad": (_("“All are bad” is possible"), ""),
    "dimensions": (
        _("Compared one by one"),
        _("One quality to a line, such as helpful, honest, harmless; five at most."),
    ),
    "reason": (_("Reason for the choice"), ""),
    "suggestions": (_("The model may suggest replies"), ""),
    "min_turns": (_("Turns, at least"), ""),
    "max_turns": (_("Turns, at most"), ""),
    "num_replies": (_("Replies in each turn"), ""),
    "per_day": (
        _("Per person and day, at most"),
        _("What is held and what was handed in within 24 hours, together."),
    ),
    "warning": (_("Content warning"), _("People agree to it before their first task.")),
}
CHOICES: dict[str, Text] = {
    "none": _("None"),
    "offered": _("Offered"),
    "optional": _("Optional"),
    "required": _("Required"),
    "off": _("Not asked"),
    "plain": _("Plain"),
    "few_shot": _("Few-shot"),
    "use_case": _("For a use case"),
}


class LinesField(forms.CharField):
    """A list of names, one to a line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": 3}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        return [line.strip() for line in super().clean(value).splitlines() if line.strip()]


@dataclass(frozen=True, slots=True)
class KindFields:
    """One kind as the page shows it."""

    kind: JudgementKind
    is_chosen: bool
    fields: list[BoundField]

    @property
    def has_errors(self) -> bool:
        return any(field.errors for field in self.fields)


class KindsForm(forms.Form):
    kinds = forms.MultipleChoiceField(
        label=_("What people are asked to do"), widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._project = project
        field = self.fields["kinds"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(kind.name, kind.title) for kind in kind_list()]
        field.initial = project.kinds
        for kind in kind_list():
            if kind.supply is Supply.TARGET:
                self.fields[target_name(kind)] = _target_field(project.targets.get(kind.name, 0))
            for name, option in options_of(kind).items():
                self.fields[option_name(kind, name)] = option_field(
                    name, option, kind.options(project)[name]
                )

    @property
    def groups(self) -> Iterator[tuple[Text, list[KindFields]]]:
        for title in (WRITING, JUDGING, TALKING):
            yield title, [self._shown(kind) for kind in kind_list() if _group(kind) is title]

    def clean(self) -> dict[str, Any]:
        """What each kind says about its options together, such as a range upside down."""
        data = super().clean() or {}
        for kind in kind_list():
            if not any(name in self.errors for name in self._names(kind)):
                serializer = kind.options_serializer(data=self._options(kind))
                if not serializer.is_valid():
                    self.add_error(None, f"{kind.title}: {_first_problem(serializer.errors)}")
        return data

    @property
    def values(self) -> dict[str, Any]:
        """Fields of a project; an option that is as the kind has it is not stored."""
        chosen = set(self.cleaned_data["kinds"])
        names = [*self._project.kinds, *(kind.name for kind in kind_list())]
        options = {kind.name: self._chosen_options(kind) for kind in kind_list()}
        targets = {
            kind.name: self.cleaned_data[target_name(kind)]
            for kind in kind_list()
            if kind.supply is Supply.TARGET
        }
        return {
            "kinds": [name for name in dict.fromkeys(names) if name in chosen],
            "options": {name: values for name, values in options.items() if values},
            "targets": {name: number for name, number in targets.items() if number},
        }

    def _shown(self, kind: JudgementKind) -> KindFields:
        chosen = self["kinds"].value() or []
        return KindFields(kind, kind.name in chosen, [self[name] for name in self._names(kind)])

    def _names(self, kind: JudgementKind) -> list[str]:
        target = [target_name(kind)] if kind.supply is Supply.TARGET else []
        return [*target, *(option_name(kind, name) for name in options_of(kind))]

    def _options(self, kind: JudgementKind) -> dict[str, Any]:
        return {name: self.cleaned_data[option_name(kind, name)] for name in options_of(kind)}

    def _chosen_options(self, kind: JudgementKind) -> dict[str, Any]:
        default = kind.options(Project(options={}))
        return {
            name: value for name, value in self._options(kind).items() if value != default[name]
        }


def options_of(kind: JudgementKind) -> dict[str, serializers.Field]:
    return dict(kind.options_serializer().fields.items())


def option_name(kind: JudgementKind, option: str) -> str:
    return f"{kind.name}__{option}"


def target_name(kind: JudgementKind) -> str:
    return f"target__{kind.name}"


def option_field(name: str, option: serializers.Field, value: Any) -> forms.Field:
    """The form field for one field of an options_serializer, filled in with its value."""
    label, help_text = WORDS.get(name, (option.label, option.help_text or ""))
    shared: dict[str, Any] = {"label": label, "help_text": help_text, "initial": value}
    if isinstance(option, serializers.BooleanField):
        return forms.BooleanField(required=False, **shared)
    if isinstance(option, serializers.IntegerField):
        return forms.IntegerField(min_value=option.min_value, max_value=option.max_value, **shared)
    if isinstance(option, serializers.ChoiceField):
        return forms.ChoiceField(choices=_choices(option), **shared)
    if isinstance(option, serializers.ListField):
        return _list_field(option, shared)
    return forms.CharField(widget=forms.Textarea(attrs={"rows": 4}), **shared)


def _list_field(option: serializers.ListField, shared: dict[str, Any]) -> forms.Field:
    is_required = option.allow_empty is False
    if isinstance(option.child, serializers.ChoiceField):
        return forms.MultipleChoiceField(
            required=is_required,
            choices=_choices(option.child),
            widget=forms.CheckboxSelectMultiple,
            **shared,
        )
    return LinesField(required=is_required, **shared)


def _choices(option: serializers.ChoiceField) -> list[tuple[str, Text]]:
    return [(value, CHOICES.get(value, label)) for value, label in option.choices.items()]


def _target_field(value: int) -> forms.Field:
    return forms.IntegerField(
        label=_("How many are wanted"),
        help_text=_("0: none. Each of them is a task for one person."),
        min_value=0,
        max_value=MAX_TARGET,
        initial=value,
    )


def _group(kind: JudgementKind) -> Text:
    if kind.supply in (Supply.ANSWERS, Supply.ANSWER):
        return JUDGING
    return TALKING if kind.model is Conversation else WRITING


def _first_problem(errors: Any) -> ErrorDetail | str:
    while isinstance(errors, dict | list):
        errors = next(iter(errors.values() if isinstance(errors, dict) else errors))
    return errors
