"""The registry of training methods. Torch-free, so that the web process may read it.

A method is a package of `training.algorithms` whose `__init__` defines `METHOD` and its config
dataclass; its loop lives in `loop.py` and is started by `__main__.py`. Adding a method is adding
such a package. `python -m training.algorithms [NAME ...]` prints the hyperparameters.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import training.algorithms
from training.algorithms.engine.learner_config import LearnerConfig

Stage = Literal["base", "sft", "reward_model", "policy", "evaluate", "sample", "select", "feedback"]


@dataclass(frozen=True, slots=True)
class Method:
    """What a run of one method needs and makes."""

    name: str
    """Name of the package, and of the method in settings."""
    title: str
    """For people."""
    stage: Stage
    config: type
    """Frozen dataclass of hyperparameters, see `configs.config_resolve`."""
    queue: Literal["train", "sample"]
    """Celery queue whose workers run it."""
    inputs: tuple[str, ...] = ()
    """Roles of the checkpoints it reads, e.g. ("reference", "reward_model")."""
    optional_inputs: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    """Roles read only when a field of the config has a value: {role: (field, value)}."""
    data: tuple[str, ...] = ()
    """Files it reads from data/, without ".jsonl"."""
    produces: Literal["policy", "reward_model"] | None = None
    """Kind of model left in output/; None when the output is samples or numbers."""

    @property
    def is_parallel(self) -> bool:
        """Whether several processes can share one run of it."""
        return issubclass(self.config, LearnerConfig)


class UnknownMethod(LookupError):
    """No package of that name declares a METHOD."""


@cache
def _methods() -> dict[str, Method]:
    found: dict[str, Method] = {}
    for module in pkgutil.iter_modules(training.algorithms.__path__):
        if not module.ispkg:
            continue
        package = importlib.import_module(f"training.algorithms.{module.name}")
        method = getattr(package, "METHOD", None)
        if isinstance(method, Method):
            found[method.name] = method
    return found


def method_get(name: str) -> Method:
    """Raises UnknownMethod, naming the known ones."""
    try:
        return _methods()[name]
    except KeyError:
        known = ", ".join(sorted(_methods()))
        raise UnknownMethod(f"unknown training method {name!r}; known: {known}") from None


def method_list(stage: Stage | None = None) -> list[Method]:
    """All methods, or those of one stage, by name."""
    methods = sorted(_methods().values(), key=lambda method: method.name)
    return [method for method in methods if stage is None or method.stage == stage]
