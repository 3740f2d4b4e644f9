"""The papers' protocols as settings of a project's loop.

A preset sets what the papers disagree on: ties, gauge, query shape, refresh, KL and method. What
depends on the size of the model (learning rates, batch sizes, steps) and on the project (counts,
prompts) stays as it is. Facts: docs/loop.md names them with their sections.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from annotation.models import Project
from annotation.services.audit import audit_record
from annotation.services.projects import project_update
from training.choices import Approval, PolicyStart, RewardModelUse
from training.errors import PresetUnknown
from training.models import LoopSettings
from training.services.settings import loop_settings_ensure, loop_settings_update

HOURS_PER_WEEK = 168.0


@dataclass(frozen=True, slots=True)
class Preset:
    name: str
    title: str
    source: str
    summary: str
    completions_per_task: int
    fields: Mapping[str, Any]
    """Fields of LoopSettings."""
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Per method, on top of the project's own."""


def _fields(**changes: Any) -> dict[str, Any]:
    """What every preset sets, so that none inherits from the one applied before."""
    return {
        "reward_model": RewardModelUse.SCRATCH,
        "policy_start": PolicyStart.REFERENCE,
        "policy_method": "ppo",
        "strategy": "random",
        "auto_start": True,
        "interval_hours": None,
        "approval": Approval.AUTOMATIC,
        "weight_previous": 0.0,
        "weight_reference": 0.0,
        **changes,
    }


def _reward_model(ties: str, gauge: str) -> dict[str, Any]:
    return {"ties": ties, "gauge": gauge, "num_epochs": 1}


def _ppo(kl_coefficient: float, num_epochs: int) -> dict[str, Any]:
    return {"kl_coefficient": kl_coefficient, "kl_target": None, "num_epochs": num_epochs}


_ALL = (
    Preset(
        name="instructgpt",
        title="InstructGPT",
        source="Ouyang et al. 2022, arXiv 2203.02155",
        summary="Rankings of 4 (the paper: 4 to 9), ties dropped, demonstrations score 0, PPO with "
        "a fixed KL coefficient of 0.02 and one pass over each batch.",
        completions_per_task=4,
        fields=_fields(),
        overrides={
            "reward_model": _reward_model("drop", "demonstrations"),
            "ppo": _ppo(0.02, 1),
        },
    ),
    Preset(
        name="hh",
        title="Anthropic HH",
        source="Bai et al. 2022, arXiv 2204.05862",
        summary="Pairs, no ties, new models every week from scratch on all data, the previous "
        "policy stays live beside the new one, PPO with a KL coefficient of 0.001 and four passes. "
        "The paper sets scores to mean 0 over held-out answers; here it is the reference's.",
        completions_per_task=2,
        fields=_fields(interval_hours=HOURS_PER_WEEK, weight_previous=0.5, weight_reference=0.25),
        overrides={"reward_model": _reward_model("drop", "reference"), "ppo": _ppo(0.001, 4)},
    ),
    Preset(
        name="summarize",
        title="Learning to summarize",
        source="Stiennon et al. 2020, arXiv 2009.01325",
        summary="Pairs, ties dropped, references score 0, large batches: a person starts each "
        "round and approves its policy. PPO with a KL coefficient of 0.05 and four passes.",
        completions_per_task=2,
        fields=_fields(auto_start=False, approval=Approval.PERSON),
        overrides={
            "reward_model": _reward_model("drop", "demonstrations"),
            "ppo": _ppo(0.05, 4),
        },
    ),
    Preset(
        name="webgpt",
        title="WebGPT",
        source="Nakano et al. 2021, arXiv 2112.09332",
        summary="Pairs, a tie counts half for each side, no training against the reward model: "
        "people see the best of 16 answers (the paper: 4, 16 or 64 by size of the model).",
        completions_per_task=2,
        fields=_fields(policy_method="best_of_n"),
        overrides={
            "reward_model": _reward_model("half", "reference"),
            "best_of_n": {"num_samples": 16},
        },
    ),
    Preset(
        name="rlhf_workflow",
        title="RLHF Workflow",
        source="Dong et al. 2024, arXiv 2405.07863",
        summary="Pairs, iterated DPO (beta 0.1) that begins from SFT in every round, no reward "
        "model in its way; the test reward model judges. The paper shows the best and the worst "
        "of 16 answers by a fixed reward model; here pairs are drawn at random.",
        completions_per_task=2,
        fields=_fields(policy_method="dpo", reward_model=RewardModelUse.NONE),
        overrides={"dpo": {"beta": 0.1}},
    ),
)
PRESETS = {preset.name: preset for preset in _ALL}


@transaction.atomic
def preset_apply(*, actor: User | None, project: Project, name: str) -> LoopSettings:
    """Fills the project's settings in with a paper's protocol, from the next round on.

    Raises PresetUnknown, and then changes nothing.
    """
    preset = PRESETS.get(name)
    if preset is None:
        known = ", ".join(PRESETS)
        raise PresetUnknown(f"Unknown preset {name!r}; known: {known}.", value=name)
    settings = loop_settings_ensure(project=project)
    overrides = {method: dict(values) for method, values in settings.overrides.items()}
    for method, values in preset.overrides.items():
        overrides[method] = {**overrides.get(method, {}), **values}
    project_update(actor=actor, project=project, completions_per_task=preset.completions_per_task)
    settings = loop_settings_update(
        actor=actor, project=project, preset=name, overrides=overrides, **preset.fields
    )
    audit_record(
        actor=actor, verb="loop:preset_applied", target=settings, project=project, preset=name
    )
    return settings
