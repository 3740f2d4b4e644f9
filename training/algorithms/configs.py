"""Hyperparameters: frozen, slotted dataclasses whose fields carry their own help. Torch-free."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from training.algorithms.errors import RunError

ConfigT = TypeVar("ConfigT")


class ConfigError(RunError):
    """A hyperparameter has an impossible value. `extra`: field, value, expectation."""

    code = "config_invalid"

    def __init__(self, field: str, value: Any, expectation: str) -> None:
        message = f"{field} = {value!r}: {expectation}."
        super().__init__(message, field=field, value=value, expectation=expectation)
        self.field, self.value, self.expectation = field, value, expectation


def option(default: Any, help_text: str) -> Any:
    """A config field with its default and its documentation (read by pages and docs)."""
    return dataclasses.field(default=default, metadata={"help": help_text})


def option_help(config: type) -> dict[str, str]:
    """Help text of every field of a config dataclass, in order."""
    return {f.name: f.metadata.get("help", "") for f in dataclasses.fields(config)}


def require(condition: bool, field: str, value: Any, expectation: str) -> None:
    """Raises ConfigError unless the condition holds."""
    if not condition:
        raise ConfigError(field, value, expectation)


def require_at_least_one(config: object, *fields: str) -> None:
    """Raises ConfigError for the first field below 1."""
    for field in fields:
        value = getattr(config, field)
        require(value >= 1, field, value, "expected at least 1")


def require_positive(config: object, *fields: str) -> None:
    """Raises ConfigError for the first field that is not above 0."""
    for field in fields:
        value = getattr(config, field)
        require(value > 0, field, value, "expected > 0")


def require_not_negative(config: object, *fields: str) -> None:
    """Raises ConfigError for the first field below 0."""
    for field in fields:
        value = getattr(config, field)
        require(value >= 0, field, value, "expected >= 0")


def config_resolve(config: type[ConfigT], overrides: Mapping[str, Any]) -> ConfigT:
    """The defaults of `config` with `overrides` applied, validated.

    Refuses unknown fields and wrong types; an int is accepted where a float is declared. Raises
    ConfigError.
    """
    hints = typing.get_type_hints(config)
    known = [field.name for field in dataclasses.fields(config)]  # type: ignore[arg-type]
    values = {}
    for name, value in overrides.items():
        if name not in known:
            raise ConfigError(name, value, f"unknown field, expected one of {', '.join(known)}")
        values[name] = _checked(name, value, hints[name])
    resolved = config(**values)
    validate = getattr(resolved, "validate", None)
    if validate is not None:
        validate()
    return resolved


def _checked(name: str, value: Any, hint: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        return _checked(name, value, next(kind for kind in options if kind is not type(None)))
    if origin is typing.Literal:
        allowed = typing.get_args(hint)
        require(value in allowed, name, value, f"expected one of {', '.join(map(repr, allowed))}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    right_type = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    require(right_type, name, value, f"expected {hint.__name__}")
    if hint is float:
        require(math.isfinite(value), name, value, "expected a finite number")
    return value
