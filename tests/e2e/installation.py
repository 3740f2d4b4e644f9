"""A whole installation as `make run` starts it: web, workers, scheduler, a fresh data folder."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
REDIS_DATABASES = 16


@dataclass
class Installation:
    url: str
    environment: dict[str, str]
    data_folder: Path
    process: subprocess.Popen[str]

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def accounts(self) -> dict[str, str]:
        rows = json.loads((self.data_folder / "demo_accounts.json").read_text())
        return {row["username"]: row["password"] for row in rows}

    def logs(self) -> str:
        """The end of every log, for the message of a failing test."""
        parts = []
        for log in sorted((self.data_folder / "logs").glob("*.log")):
            parts.append(f"--- {log.name}\n{log.read_text()[-3000:]}")
        return "\n".join(parts)


@dataclass
class Api:
    """A REST client with an admin's token, as a script would be."""

    url: str
    token: str

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/api/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response) if response.status != 204 else None


def wait_until(
    condition: Callable[[], Any], *, seconds: float, what: str, logs: Callable[[], str]
) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s\n{logs()}"
        time.sleep(0.5)


def base_model_make(folder: Path) -> Path:
    """A base model as the installation would pretrain it, only smaller: seconds."""
    from dataclasses import asdict

    from training.algorithms.pretrain import TINY, PretrainConfig

    folder.mkdir(parents=True)
    config = asdict(PretrainConfig(**{**TINY, "num_steps": 150}))
    run = {"method": "pretrain", "config": config, "seed": 1, "inputs": {}, "num_threads": 2}
    (folder / "run.json").write_text(json.dumps(run))
    subprocess.run(
        [sys.executable, "-m", "training.algorithms.pretrain", str(folder)],
        cwd=ROOT,
        check=True,
        timeout=180,
    )
    return folder / "output"


@contextmanager
def installation_run(folder: Path, base_model: Path) -> Iterator[Installation]:
    port = _free_port()
    with _database() as database, (folder / "up.log").open("w+") as output:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings.embedded",
            "PREFERENDUM_DATA_DIR": str(folder / "var"),
            "PREFERENDUM_BASE_MODEL": str(base_model),
            "PREFERENDUM_TICK_SECONDS": "1",
            "PYTHONUNBUFFERED": "1",
            **database,
            **_broker(),
        }
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for_web(process, url, Path(output.name))
            yield Installation(url, environment, folder / "var", process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


def _wait_for_web(process: subprocess.Popen[str], url: str, output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{url}/login/", timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.3)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _database() -> Iterator[dict[str, str]]:
    """A database of this test's own on the server the suite runs on; nothing for SQLite."""
    address = os.environ.get("DATABASE_URL", "")
    if not address.startswith("postgres"):
        yield {}
        return
    name = f"preferendum_e2e_{os.getpid()}"
    connection = psycopg2.connect(address)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {name}")
        yield {"DATABASE_URL": urlsplit(address)._replace(path=f"/{name}").geturl()}
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        connection.close()


def _broker() -> dict[str, str]:
    """Queues of this installation's own: a test process beside this one may run another."""
    address = urlsplit(os.environ.get("CELERY_BROKER_URL", ""))
    if address.scheme != "redis":
        return {}
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    # The suite itself counts up from 2.
    number = REDIS_DATABASES - 1 - worker
    return {"CELERY_BROKER_URL": address._replace(path=f"/{number}").geturl()}
