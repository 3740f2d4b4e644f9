"""`manage.py up`: prepare this installation, then run all of it until Ctrl-C."""

import fcntl
import json
import socket
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from config.processes import process_environment, process_specs
from config.supervisor import Supervisor

LOG_KEEP_BYTES = 5_000_000
WEB_WAIT_SECONDS = 60.0


class Command(BaseCommand):
    help = "Prepare the database, the base model and the demo project, then run everything."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--no-demo", action="store_true", help="do not make the demo project")

    def handle(self, *args: Any, host: str, port: int, no_demo: bool, **options: Any) -> None:
        data_folder = Path(settings.PREFERENDUM_DATA_DIR)
        data_folder.mkdir(parents=True, exist_ok=True)
        with (data_folder / "up.lock").open("w") as lock:
            self._refuse_second(lock, data_folder)
            self._refuse_taken_port(host, port)
            self._prepare(demo=not no_demo)
            supervisor = Supervisor(
                specs=process_specs(host=host, port=port),
                log_folder=_logs_trimmed(data_folder / "logs"),
                environment=process_environment(),
                say=lambda text: self.stdout.write(self.style.WARNING(text)),
            )
            supervisor.start()
            try:
                self._greet(host, port, data_folder)
                supervisor.run()
            finally:
                supervisor.stop()
        self.stdout.write("Stopped. Nothing is lost; the same command goes on from here.")

    def _refuse_second(self, lock: IO[str], data_folder: Path) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(
                f"Preferendum already runs on {data_folder}. Stop it first, or set "
                "PREFERENDUM_DATA_DIR to another folder."
            ) from None

    def _refuse_taken_port(self, host: str, port: int) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise CommandError(
                    f"Port {port} on {host} cannot be used ({error.strerror}). "
                    f"Choose another: make run PORT={port + 1}"
                ) from None

    def _prepare(self, *, demo: bool) -> None:
        self.stdout.write("Preparing the database …")
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        call_command("prepare_base_model")
        if demo:
            call_command("prepare_demo")
        # Held open to the end: SQLite locks others out while the last connection cleans up.
        connection.ensure_connection()

    def _greet(self, host: str, port: int, data_folder: Path) -> None:
        deadline = time.monotonic() + WEB_WAIT_SECONDS
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((host, port)) == 0:
                    break
            time.sleep(0.1)
        lines = ["", f"Preferendum is at {self.style.SUCCESS(f'http://{host}:{port}/')}"]
        accounts = data_folder / "demo_accounts.json"
        if accounts.exists():
            lines.append(f"Accounts made for you (kept in {accounts}):")
            for account in json.loads(accounts.read_text()):
                lines.append(
                    f"  {account['username']:<8} {account['password']:<16} {account['note']}"
                )
        lines += [f"Logs: {data_folder / 'logs'}", "Ctrl-C stops everything.", ""]
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


def _logs_trimmed(folder: Path) -> Path:
    """Keep only the end of logs that have grown long."""
    for log in folder.glob("*.log"):
        if log.stat().st_size > LOG_KEEP_BYTES:
            log.write_bytes(log.read_bytes()[-LOG_KEEP_BYTES:])
    return folder
