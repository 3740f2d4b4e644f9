"""What a labeler can be refused with has its sentence in the reader's language."""

import re
from pathlib import Path

import pytest

import frontend
from training.choices import ReplyFailure

ROOT = Path(frontend.__path__[0])
ERRORS = (ROOT.parent / "docs/errors.md").read_text()
LABELERS = ("Requests", "Assignments", "Replies while somebody waits", "What a page says by itself")
# Told by the status alone, or met only by those who manage a project.
OTHERS = {
    "not_authenticated",
    "authentication_failed",
    "labeler_not_excluded",
    "flag_schema_invalid",
    "http_<status>",
}


def codes(section: str) -> set[str]:
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", ERRORS, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"^\| `([a-z_<>]+)` \|", text, re.MULTILINE))


@pytest.mark.parametrize("section", LABELERS)
def test_every_refusal_of_a_labeler_is_worded(section: str) -> None:
    worded = set(re.findall(r"\"([a-z_]+)\"", (ROOT / "src/components/problem.ts").read_text()))
    assert codes(section)
    assert codes(section) - OTHERS - worded == set()


def test_every_reason_why_no_reply_came_is_documented() -> None:
    assert set(ReplyFailure.values) <= codes("Replies while somebody waits")
