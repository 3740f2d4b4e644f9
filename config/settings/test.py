"""Tests: fast password hashing, plain static files."""

import os
import re
import tempfile
from pathlib import Path

from config.env import env
from config.settings.base import *  # noqa: F403
from config.settings.base import DATABASES, REST_FRAMEWORK

SECRET_KEY = "tests-only"  # noqa: S105
# Each process of a parallel run has files and a broker of its own. Redis database 0 is left to the
# installations that the end-to-end tests start.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PREFERENDUM_DATA_DIR = Path(tempfile.gettempdir()) / f"preferendum-tests-{WORKER}"
PREFERENDUM_TRAIN_THREADS = 1
# A file, as in production: in memory all threads of the live server would share one connection,
# so that a page which asks two things at once meets "database table is locked".
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["TEST"] = {
        "NAME": f"{tempfile.gettempdir()}/preferendum-tests-{os.getpid()}.sqlite3"
    }
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True
CELERY_BROKER_URL = re.sub(
    r"^(redis://.*)/0$",
    rf"\1/{WORKER + 2}",
    env.str("CELERY_BROKER_URL", default="memory://"),
)
CELERY_BROKER_TRANSPORT_OPTIONS = {}
REST_FRAMEWORK = {**REST_FRAMEWORK, "DEFAULT_THROTTLE_CLASSES": []}
