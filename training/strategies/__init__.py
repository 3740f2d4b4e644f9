"""The registry of strategies: every module here with a `STRATEGY` is one."""

import importlib
import pkgutil
from functools import cache

from training.errors import StrategyUnknown
from training.strategies.base import Strategy


@cache
def _strategies() -> dict[str, Strategy]:
    found: dict[str, Strategy] = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        strategy = getattr(importlib.import_module(module.name), "STRATEGY", None)
        if strategy is not None:
            found[strategy.name] = strategy
    return found


def strategy_get(name: str) -> Strategy:
    """Raises StrategyUnknown, naming the known ones."""
    try:
        return _strategies()[name]
    except KeyError:
        known = ", ".join(sorted(_strategies()))
        raise StrategyUnknown(f"Unknown strategy {name!r}; known: {known}.", value=name) from None


def strategy_list() -> list[Strategy]:
    return sorted(_strategies().values(), key=lambda strategy: strategy.name)
