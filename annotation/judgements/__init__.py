"""The registry of judgement kinds: every module of this package that has a ``KIND``."""

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from annotation.errors import InvalidInput

if TYPE_CHECKING:
    from annotation.judgements.base import JudgementKind


class UnknownKind(InvalidInput):
    code = "unknown_kind"


@cache
def _kinds() -> "dict[str, JudgementKind]":
    modules = [
        importlib.import_module(f"{__name__}.{info.name}")
        for info in pkgutil.iter_modules(__path__)
    ]
    kinds = [module.KIND for module in modules if hasattr(module, "KIND")]
    return {kind.name: kind for kind in kinds}


def kind_get(name: str) -> "JudgementKind":
    """Raises UnknownKind."""
    try:
        return _kinds()[name]
    except (KeyError, TypeError):
        known = ", ".join(_kinds())
        raise UnknownKind(
            f"There is no kind of judgement {str(name)[:60]!r}; there are: {known}.",
            kind=str(name)[:60],
        ) from None


def kind_list() -> "list[JudgementKind]":
    return list(_kinds().values())
