"""An embedded Celery broker made of files, safe against SIGKILL; for one machine without Redis.

Kombu's own file transport deletes a message before its task has run and may show a half-written
one. Here a message is a file that is renamed, never copied: into the queue folder when it is
complete, into the worker's claim folder when it is taken, and it is deleted when it is
acknowledged. The kernel drops the claim folder's lock when its worker dies, however it dies, and
the next worker to look moves the messages back.

Left out: fanout (remote control), priorities, other machines. Throughput is one task per polling
interval and slot.
"""

import fcntl
import json
import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import IO, Any

from kombu.transport import TRANSPORT_ALIASES, virtual

RECOVERY_INTERVAL_SECONDS = 5.0


class ClaimFolder:
    """A folder owned by one process through an flock that only its death releases."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pid = os.getpid()
        hidden = root / f".new-{uuid.uuid4().hex}"
        hidden.mkdir(parents=True)
        self._lock: IO[str] = (hidden / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Visible only once locked, so nobody can take it for a dead one.
        self.path = hidden.rename(root / f"{self.pid}-{uuid.uuid4().hex}")

    def release(self) -> None:
        """Let the next process that looks take over what is still unacknowledged."""
        self._lock.close()

    def recover_dead(self, queue_folder: Path) -> int:
        """Move the messages of dead processes back; returns how many."""
        recovered = 0
        for folder in self.root.iterdir():
            if folder == self.path or folder.name.startswith("."):
                continue
            with suppress(OSError), (folder / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for message in folder.glob("*.msg"):
                    message.rename(queue_folder / message.name)
                    recovered += 1
                (folder / "lock").unlink()
                folder.rmdir()
        return recovered


class FileQoS(virtual.QoS):
    channel: "FileChannel"

    def ack(self, delivery_tag: str) -> None:
        super().ack(delivery_tag)
        self.channel.message_forget(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if requeue:
            self.channel.message_return(delivery_tag)
        super().reject(delivery_tag, requeue=False)
        self.channel.message_forget(delivery_tag)


class FileChannel(virtual.Channel):
    QoS = FileQoS
    # Unacknowledged messages wait in the claim folder; restoring them here would double them.
    do_restore = False
    supports_fanout = False

    def __init__(self, connection: Any, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        folder = Path(connection.client.transport_options["folder"])
        self.queue_folder = folder / "queue"
        self.claims_root = folder / "claims"
        self.queue_folder.mkdir(parents=True, exist_ok=True)
        self.claims_root.mkdir(parents=True, exist_ok=True)
        self._claims: ClaimFolder | None = None
        self._claimed: dict[str, Path] = {}
        self._next_recovery = 0.0

    def _claim_folder(self) -> ClaimFolder:
        if self._claims is None or self._claims.pid != os.getpid():
            self._claims = ClaimFolder(self.claims_root)
        return self._claims

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        name = f"{time.time_ns():020d}_{uuid.uuid4().hex}.{queue}.msg"
        hidden = self.queue_folder / f".{name}"
        with hidden.open("w") as file:
            json.dump(message, file)
            file.flush()
            os.fsync(file.fileno())
        hidden.rename(self.queue_folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        claims = self._claim_folder()
        if time.monotonic() >= self._next_recovery:
            self._next_recovery = time.monotonic() + RECOVERY_INTERVAL_SECONDS
            claims.recover_dead(self.queue_folder)
        for name in self._names(queue):
            taken = claims.path / name
            try:
                (self.queue_folder / name).rename(taken)
            except FileNotFoundError:
                continue  # another worker was faster
            try:
                message: dict[str, Any] = json.loads(taken.read_text())
                tag = message["properties"]["delivery_tag"]
            except (ValueError, KeyError, TypeError):
                taken.rename(self.queue_folder / f"{name}.bad")
                continue
            self._claimed[tag] = taken
            return message
        raise Empty

    def close(self) -> None:
        super().close()
        if self._claims is not None and self._claims.pid == os.getpid():
            self._claims.release()
            self._claims = None

    def message_forget(self, delivery_tag: str) -> None:
        path = self._claimed.pop(delivery_tag, None)
        if path is not None:
            path.unlink(missing_ok=True)

    def message_return(self, delivery_tag: str) -> None:
        path = self._claimed.pop(delivery_tag)
        path.rename(self.queue_folder / path.name)

    def _names(self, queue: str) -> list[str]:
        ending = f".{queue}.msg"
        names = os.listdir(self.queue_folder)
        return sorted(name for name in names if name.endswith(ending) and name[0] != ".")

    def _size(self, queue: str) -> int:
        return len(self._names(queue))

    def _purge(self, queue: str) -> int:
        names = self._names(queue)
        for name in names:
            (self.queue_folder / name).unlink(missing_ok=True)
        return len(names)

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        self._purge(queue)


class FileTransport(virtual.Transport):
    Channel = FileChannel
    global_state = virtual.BrokerState()
    default_port = 0
    driver_type = "files"
    driver_name = "files"
    polling_interval = 0.1

    def driver_version(self) -> str:
        return "1"


def register_transport() -> None:
    TRANSPORT_ALIASES["files"] = "config.broker:FileTransport"
