"""Pages with something on them, and real browsers that look at them."""

import tempfile
from collections.abc import Callable, Iterator
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

import frontend
from annotation.models import Project
from frontend.build import main as frontend_build
from tests.frontend.loop_rows import LoopRows, loop_rows_make

OpenPage = Callable[..., Page]
# What is on its way from one scheme's color to the other's has no contrast of its own yet.
STILL = """async () => {
  for (let turn = 0; turn < 20; turn += 1) {
    const moving = document.getAnimations().filter((item) => item instanceof CSSTransition);
    if (moving.length === 0 && turn > 1) return;
    moving.forEach((item) => item.finish());
    await new Promise(requestAnimationFrame);
  }
}"""


@pytest.fixture
def loop_rows(project: Project, bob: User) -> LoopRows:
    """A project whose loop has turned once, as rows alone: nothing was trained."""
    return loop_rows_make(project, bob)


@pytest.fixture(scope="session")
def built_frontend() -> None:
    folder = Path(frontend.__path__[0])
    built = folder / "static/frontend/build/main.css"
    sources = [*(folder / "src").rglob("*.ts"), *(folder / "styles").glob("*.css")]
    # One of the parallel test processes builds, the others wait for it.
    with Path(tempfile.gettempdir(), "preferendum-frontend.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        newest = max(file.stat().st_mtime for file in sources)
        if not built.exists() or built.stat().st_mtime < newest:
            frontend_build([])


@pytest.fixture
def open_page(
    chromium: Browser, live_server: LiveServer, built_frontend: None
) -> Iterator[OpenPage]:
    """Opens a path as a user. A script error or a refusal by the page's CSP fails the test."""
    problems: list[str] = []
    contexts = []

    def open_as(
        user: User | None, path: str, width: int = 1280, height: int = 800, touch: bool = False
    ) -> Page:
        context = chromium.new_context(
            base_url=live_server.url,
            viewport={"width": width, "height": height},
            reduced_motion="reduce",
            has_touch=touch,
            is_mobile=touch,
        )
        contexts.append(context)
        if user is not None:
            context.add_cookies([session_cookie(user, live_server.url)])
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: _note_refusal(problems, message.text))
        page.goto(path)
        return page

    yield open_as
    # A request still under way would write into the database that the next test starts with.
    for context in contexts:
        for page in context.pages:
            page.wait_for_load_state("networkidle")
        context.set_offline(True)
        context.close()
    assert problems == []


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it is shown now."""
    page.evaluate(STILL)
    page.evaluate(Path(frontend.__path__[0], "node_modules/axe-core/axe.min.js").read_text())
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{found['id']}: {[node['html'][:160] for node in found['nodes'][:3]]}"
        for found in result["violations"]
    ]


def session_cookie(user: User, url: str) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    return {"name": name, "value": client.cookies[name].value, "url": url}


def _note_refusal(problems: list[str], text: str) -> None:
    if "Content Security Policy" in text:
        problems.append(text)
