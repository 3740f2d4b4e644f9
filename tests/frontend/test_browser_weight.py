"""The first visit of a work page weighs less than 150 kB as it is compressed on the wire."""

import gzip
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Response
from pytest_django import Settings

from annotation.models import Brief, Project
from annotation.services.projects import project_update
from frontend.catalogs import catalogs_compile
from tests.benchmarks.seed import ANSWER
from tests.factories import answers_task_make
from tests.frontend.conftest import OpenPage
from tests.frontend.talks import agreed, model_ready, talk_make, url

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

MAX_BYTES = 150_000
# What a proxy, or a longer name of the host, may add.
MARGIN_BYTES = 5_000


@pytest.fixture
def work(
    project: Project,
    bob: User,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The two heaviest kinds, with markdown and a formula, so that nothing is left unloaded."""
    catalogs_compile()
    model_ready(settings, tmp_path, monkeypatch)
    talk_make(project, "red_team")
    agreed(project, bob)
    Brief.objects.update(text=ANSWER)
    project_update(actor=None, project=project, kinds=["red_team", "rating"])
    for _ in range(2):
        task = answers_task_make(project, "rating", num_completions=3)
        task.completions.update(text=ANSWER)


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize("kind", ["rating", "red_team"])
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_first_visit_is_small(language: str, kind: str, open_page: OpenPage, bob: User) -> None:
    login = open_page(bob, "/login/")
    login.context.add_cookies([{"name": "django_language", "value": language, "url": login.url}])
    login.close()
    page = login.context.new_page()
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(url(kind))
    page.wait_for_load_state("networkidle")
    assert page.locator("html").get_attribute("lang") == language
    assert page.locator("math").count() > 0
    weights = {answer.url: _compressed(answer) for answer in answers}
    assert len(weights) > 8
    assert sum(weights.values()) < MAX_BYTES - MARGIN_BYTES, weights


def _compressed(answer: Response) -> int:
    """As WhiteNoise and the gzip middleware send it; the test server compresses nothing."""
    headers = answer.request.sizes()["responseHeadersSize"]
    return headers + len(gzip.compress(answer.body(), 9))
