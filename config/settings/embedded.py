"""One machine, no server to install: what `make run` uses. The secret key is made on first use."""

import os
from pathlib import Path

from django.core.management.utils import get_random_secret_key

from config.env import env
from config.settings.base import *  # noqa: F403
from config.settings.base import PREFERENDUM_DATA_DIR


def secret_key_read(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text()
    with os.fdopen(descriptor, "w") as file:
        file.write(get_random_secret_key())
    return path.read_text()


SECRET_KEY = env.str("SECRET_KEY", default="") or secret_key_read(
    PREFERENDUM_DATA_DIR / "secret_key"
)
