from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installation import Api, Installation, base_model_make, installation_run


@pytest.fixture(scope="session")
def tiny_base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_model_make(tmp_path_factory.mktemp("base") / "run")


@pytest.fixture(scope="package")
def installation(
    tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """One for all tests of this folder, which therefore leave each other's tasks alone."""
    with installation_run(tmp_path_factory.mktemp("installation"), tiny_base_model) as running:
        yield running


@pytest.fixture(scope="package")
def api(installation: Installation) -> Api:
    token = installation.manage("token_create", "admin").strip().splitlines()[-1]
    return Api(installation.url, token)
