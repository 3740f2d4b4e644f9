"""docs/errors.md lists every code a caller of the API can meet."""

import importlib
import pkgutil
import re
from pathlib import Path

from rest_framework import exceptions

import annotation
from annotation.errors import DomainError

DOCUMENT = Path(__file__).parents[2] / "docs" / "errors.md"


def documented() -> dict[str, int]:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", DOCUMENT.read_text(), re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a code is listed twice"
    return {code: int(status) for code, status in rows}


def subclasses(error: type[DomainError]) -> set[type[DomainError]]:
    return {error}.union(*(subclasses(child) for child in error.__subclasses__()))


def test_every_code_of_annotation_is_documented_with_its_status():
    for module in pkgutil.walk_packages(annotation.__path__, "annotation."):
        importlib.import_module(module.name)
    ours = {
        error.code: error.status
        for error in subclasses(DomainError) - {DomainError}
        if error.__module__.startswith("annotation.")
    }
    assert len(ours) > 15
    assert ours.items() <= documented().items()


def test_the_codes_of_the_framework_are_documented():
    for error in (
        exceptions.ParseError,
        exceptions.AuthenticationFailed,
        exceptions.NotAuthenticated,
        exceptions.PermissionDenied,
        exceptions.NotFound,
        exceptions.MethodNotAllowed,
        exceptions.NotAcceptable,
        exceptions.UnsupportedMediaType,
        exceptions.Throttled,
    ):
        assert documented()[error.default_code] == error.status_code
    assert documented()["csrf_failed"] == 403
