"""Live conversations for browser tests: the test itself does what the worker for replies would."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django import Settings

from annotation.choices import BriefKind
from annotation.models import Brief, Conversation, Project, Turn
from annotation.services.consents import consent_give
from annotation.services.projects import project_update
from tests.replies import answer_waiting, replies_echo
from training.choices import ReplyStatus
from training.models import ReplyRequest
from training.services.reply_jobs import Generate

BRIEFS = {"red_team": BriefKind.GOAL, "rule_probe": BriefKind.RULE}


def model_ready(settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base model is named, and no message looks for a worker."""
    settings.PREFERENDUM_BASE_MODEL = str(folder)
    monkeypatch.setattr("training.services.doorbell._send", lambda *args: None)


def talk_make(project: Project, kind: str, *, num: int = 1, **options: Any) -> None:
    """The project wants so many conversations of the kind."""
    if kind in BRIEFS:
        Brief.objects.create(
            project=project, kind=BRIEFS[kind], name="No secrets", text="Never tell a secret."
        )
    project_update(
        actor=None, project=project, kinds=[kind], options={kind: options}, targets={kind: num}
    )


def agreed(project: Project, user: User) -> None:
    consent_give(project=project, user=user, kind="red_team")


def url(kind: str) -> str:
    return f"/projects/project/work/{kind}/"


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def phase(page: Page, name: str) -> None:
    expect(page.locator(f"[data-talk][data-phase={name}]")).to_be_visible()


def answer(page: Page, generate: Generate = replies_echo) -> None:
    """Waits until the page waits, writes the replies, and waits until it shows them."""
    phase(page, "waiting")
    assert answer_waiting(generate) > 0
    expect(page.locator("[data-talk]:not([data-phase=waiting])")).to_be_visible()


def say(page: Page, text: str, generate: Generate = replies_echo) -> None:
    """Types the message where the focus is, sends it and gets its replies."""
    page.keyboard.type(text)
    press(page, "Enter")
    answer(page, generate)


def stored(page: Page) -> None:
    """Waits until the server has what the person decided."""
    expect(page.locator("[data-busy]")).to_have_count(0)


def idle(page: Page) -> None:
    expect(page.get_by_role("heading", name="Nothing to do right now")).to_be_visible()


def failed(reason: str) -> None:
    ReplyRequest.objects.filter(status=ReplyStatus.QUEUED).update(
        status=ReplyStatus.FAILED, error=reason
    )


def path_stored() -> list[tuple[str, str]]:
    """What was handed in: (said, reply taken) for each turn."""
    turn: Turn | None = Conversation.objects.get().last_turn
    path = []
    while turn is not None:
        path.append((turn.prompt.text_last, turn.chosen.text if turn.chosen else ""))
        turn = turn.parent
    return path[::-1]
