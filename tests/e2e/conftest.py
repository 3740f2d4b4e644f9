from pathlib import Path

import pytest

from tests.e2e.installation import base_model_make


@pytest.fixture(scope="session")
def tiny_base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_model_make(tmp_path_factory.mktemp("base") / "run")
