"""Strict readers for the environment: a bad value stops the start with a sentence, not later."""

from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()


def read_int(name: str, *, default: int, minimum: int = 1) -> int:
    raw = env.str(name, default=str(default))
    try:
        value = int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={raw!r} is not a whole number.") from None
    if value < minimum:
        raise ImproperlyConfigured(f"{name}={value} is below the least allowed, {minimum}.")
    return value


def read_choice(name: str, *, default: str, choices: tuple[str, ...]) -> str:
    value = env.str(name, default=default).strip()
    if value not in choices:
        raise ImproperlyConfigured(f"{name}={value!r} is none of: {', '.join(choices)}.")
    return str(value)


def read_bool(name: str, *, default: bool) -> bool:
    raw = env.str(name, default=str(default)).strip().lower()
    if raw in {"1", "true", "yes", "on"}:
        return True
    if raw in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name}={raw!r} is neither true nor false.")


def read_list(name: str, *, default: list[str]) -> list[str]:
    value: list[str] = env.list(name, default=default)
    return value


def read_path(name: str, *, default: Path) -> Path:
    return Path(env.str(name, default=str(default))).expanduser().resolve()
