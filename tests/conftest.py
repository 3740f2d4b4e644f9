"""The cast: Alice is admin of the project, Bob labels in it, Charlie has no business there."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, expect, sync_playwright
from rest_framework.test import APIClient

from annotation.models import Project
from tests.factories import labeler_make, project_make, user_make

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture
def alice(db: None) -> User:
    return user_make("alice")


@pytest.fixture
def project(alice: User) -> Project:
    return project_make(admin=alice, slug="project", name="The project")


@pytest.fixture
def bob(project: Project) -> User:
    return labeler_make(project, "bob")


@pytest.fixture
def charlie(db: None) -> User:
    return user_make("charlie")


@pytest.fixture
def api() -> Callable[[User | None], APIClient]:
    """Makes a client of the API that acts as the user; without one it is anonymous."""

    def client(user: User | None = None) -> APIClient:
        client = APIClient()
        if user is not None:
            client.force_authenticate(user)
        return client

    return client


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "The browser tests need Chromium: make browser"
    # Playwright's loop in this thread makes Django refuse the database otherwise.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    # Machines are shared: a page may be slow without being wrong.
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()
