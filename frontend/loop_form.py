"""The loop's settings as a form in groups, gates as numbers, and what a preset would change."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from annotation.models import Project
from training.algorithms.configs import option_help
from training.gates import TITLES, Gates
from training.models import LoopSettings
from training.services.configs import policy_method_list
from training.services.paper_presets import PRESETS, Preset
from training.strategies import strategy_list

GROUPS: tuple[tuple[str | Promise, tuple[str, ...]], ...] = (
    (
        _("When rounds start"),
        (
            "auto_start",
            "rankings_per_round",
            "interval_hours",
            "min_demonstrations",
            "held_out_percent",
        ),
    ),
    (_("Reward model"), ("reward_model", "test_reward_model")),
    (_("Policy"), ("policy_method", "policy_start", "base_model", "seed", "overrides")),
    (
        _("What to ask next"),
        (
            "strategy",
            "random_share",
            "candidates_per_prompt",
            "prompts_per_round",
            "queue_low_water",
            "sampling",
        ),
    ),
    (
        _("Deployment"),
        ("approval", "trial_votes", "weight_previous", "weight_reference", "retired_tasks"),
    ),
)
LABELS = {
    "base_model": _("Base model"),
    "seed": _("Seed"),
    "policy_method": _("How it is trained"),
    "strategy": _("Which prompts and answers"),
    "auto_start": _("Start rounds automatically"),
    "rankings_per_round": _("New rankings per round"),
    "interval_hours": _("Or after so many hours"),
    "min_demonstrations": _("Demonstrations before the first round"),
    "held_out_percent": _("Held-out prompts, percent"),
    "reward_model": _("Trained"),
    "test_reward_model": _("Train a test reward model, too"),
    "policy_start": _("It starts as"),
    "overrides": _("Hyperparameters"),
    "random_share": _("Share chosen at random, 0 to 1"),
    "candidates_per_prompt": _("Answers drawn per prompt"),
    "prompts_per_round": _("Prompts answered after a round"),
    "queue_low_water": _("Refill below so many open tasks"),
    "sampling": _("Sampling"),
    "approval": _("Who approves a policy"),
    "trial_votes": _("Blind votes in a trial, at most"),
    "weight_previous": _("Weight of the policy before"),
    "weight_reference": _("Weight of SFT"),
    "retired_tasks": _("Unclaimed tasks of retired policies"),
}


@dataclass(frozen=True, slots=True)
class GateField:
    """The number and the switch of one gate."""

    number: BoundField
    off: BoundField


@dataclass(frozen=True, slots=True)
class FieldGroup:
    title: str | Promise
    fields: list[BoundField]


@dataclass(frozen=True, slots=True)
class Change:
    label: str | Promise
    before: Any
    after: Any


class LoopSettingsForm(forms.ModelForm):
    policy_method = forms.ChoiceField(label=LABELS["policy_method"])
    strategy = forms.ChoiceField(label=LABELS["strategy"])

    class Meta:
        model = LoopSettings
        fields = [name for _, names in GROUPS for name in names]
        labels = LABELS
        widgets = {
            "sampling": forms.Textarea(attrs={"rows": 3, "class": "code"}),
            "overrides": forms.Textarea(attrs={"rows": 6, "class": "code"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        methods = [(method.name, method.title) for method in policy_method_list()]
        strategies = [(strategy.name, strategy.title) for strategy in strategy_list()]
        for name, choices in (("policy_method", methods), ("strategy", strategies)):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = choices
        self._labels_translate()
        self._gates_add(self.instance.gates)

    def _labels_translate(self) -> None:
        for field in self.fields.values():
            if isinstance(field, forms.ChoiceField):
                choices: Any = field.choices
                field.choices = [(value, gettext(str(label))) for value, label in choices]

    def _gates_add(self, limits: Mapping[str, float | None]) -> None:
        helps = option_help(Gates)
        for gate in dataclasses.fields(Gates):
            title = gettext(TITLES[gate.name])
            words = (
                gettext("%(title)s, at least")
                if gate.name.startswith("min_")
                else gettext("%(title)s, at most")
            )
            self.fields[_number(gate.name)] = forms.FloatField(
                required=False,
                label=words % {"title": title},
                help_text=gettext(helps[gate.name]),
                initial=limits.get(gate.name),
                widget=forms.NumberInput(attrs={"placeholder": f"{gate.default:g}", "step": "any"}),
            )
            self.fields[_off(gate.name)] = forms.BooleanField(
                required=False,
                label=gettext("Off"),
                initial=gate.name in limits and limits[gate.name] is None,
                widget=forms.CheckboxInput(
                    attrs={"aria-label": gettext("Switch off: %(title)s") % {"title": title}}
                ),
            )

    @property
    def groups(self) -> Iterator[FieldGroup]:
        for title, names in GROUPS:
            yield FieldGroup(title, [self[name] for name in names])

    @property
    def gates(self) -> Iterator[GateField]:
        for gate in dataclasses.fields(Gates):
            yield GateField(self[_number(gate.name)], self[_off(gate.name)])

    def clean_overrides(self) -> Any:
        # An emptied JSON field arrives as None; the stored default is an empty object.
        return self.cleaned_data["overrides"] or {}

    def clean_sampling(self) -> Any:
        return self.cleaned_data["sampling"] or {}

    @property
    def values(self) -> dict[str, Any]:
        """Fields of LoopSettings; an empty gate has its default, one that is off is null."""
        data = dict(self.cleaned_data)
        gates: dict[str, float | None] = {}
        for gate in dataclasses.fields(Gates):
            limit, is_off = data.pop(_number(gate.name)), data.pop(_off(gate.name))
            if is_off or limit is not None:
                gates[gate.name] = None if is_off else limit
        return data | {"gates": gates}


def preset_choices(settings: LoopSettings, project: Project) -> list[tuple[Preset, list[Change]]]:
    return [(preset, list(_changes(preset, settings, project))) for preset in PRESETS.values()]


def _changes(preset: Preset, settings: LoopSettings, project: Project) -> Iterator[Change]:
    if project.completions_per_task != preset.completions_per_task:
        yield Change(
            _("Answers per ranking"), project.completions_per_task, preset.completions_per_task
        )
    for name, value in preset.fields.items():
        before = getattr(settings, name)
        if before != value:
            label = LABELS.get(name, name.replace("_", " ").capitalize())
            yield Change(label, _words(before), _words(value))
    for method, values in preset.overrides.items():
        own = settings.overrides.get(method, {})
        for name, value in values.items():
            if name not in own or own[name] != value:
                yield Change(f"{method}: {name}", own.get(name, gettext("default")), _words(value))


def _words(value: Any) -> str:
    if value is None:
        return gettext("none")
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(gate: str) -> str:
    return f"gate_{gate}"


def _off(gate: str) -> str:
    return f"gate_{gate}_off"
