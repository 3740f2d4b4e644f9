"""From a project's loop settings to the resolved, validated config of one method."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from annotation.judgements import kind_get
from annotation.models import Project
from training.algorithms.configs import ConfigError, config_resolve
from training.algorithms.methods import Method, UnknownMethod, method_get, method_list
from training.errors import ConfigInvalid, MethodUnknown
from training.models import LoopSettings
from training.strategies import strategy_get

# Few, but fitting them takes seconds; docs/asking.md says what more would bring.
ENSEMBLE_HEADS = 10


def method_find(name: str) -> Method:
    """Raises MethodUnknown, naming the known ones."""
    try:
        return method_get(name)
    except UnknownMethod as error:
        raise MethodUnknown(str(error), value=name) from None


def policy_method_list() -> list[Method]:
    """What may be a project's policy_method: what trains a policy, or selects among answers."""
    return method_list("policy") + method_list("select")


def run_config(
    settings: LoopSettings, method: Method, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The method's defaults, the project's sampling settings, its overrides, then `extra`.

    Sampling settings reach every method that samples, so that what is trained, measured and shown
    was drawn in the same way. A strategy that asks where heads disagree has its reward models come
    with heads. Raises ConfigInvalid and StrategyUnknown.
    """
    fields = {field.name for field in dataclasses.fields(method.config)}
    values = {name: value for name, value in settings.sampling.items() if name in fields}
    if method.stage == "sample" and "num_completions" in fields:
        values["num_completions"] = _num_shown(settings.project)
    if method.stage == "reward_model" and strategy_get(settings.strategy).needs_ensemble:
        values["num_heads"] = ENSEMBLE_HEADS
    if method.stage == "select" and "completions_per_prompt" in fields:
        values["completions_per_prompt"] = _num_shown(settings.project)
    values |= settings.overrides.get(method.name, {})
    values |= extra or {}
    try:
        return dataclasses.asdict(config_resolve(method.config, values))
    except ConfigError as error:
        raise ConfigInvalid(f"{method.name}: {error.message}", **error.extra) from None


def _num_shown(project: Project) -> int:
    """Answers to each prompt: as many as the kind that shows most of them at once."""
    return max(1, *(kind_get(name).num_completions(project) for name in project.kinds))
