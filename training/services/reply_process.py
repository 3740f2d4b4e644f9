"""The one process that holds the policies for replies: started when needed, asked over its pipes.

It ends by itself after a while without work, and at once when this process ends, however it ends.
One that died is started anew; a request that it died of twice is refused.
"""

import json
import logging
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.conf import settings as django_settings

from training.choices import ReplyFailure
from training.services.reply_jobs import Beat, Reply, ReplyJob
from training.services.run_process import num_threads, process_environment

logger = logging.getLogger(__name__)
POLL_SECONDS = 0.1
MAX_SECONDS = 600
MAX_STARTS = 2
CHUNK_BYTES = 65_536


class ReplyRefused(Exception):
    """No reply can be written; the message says why, to the person who waits."""

    def __init__(self, code: ReplyFailure, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ReplyDefect(Exception):
    """The process met a defect; the message is its traceback."""


class _ProcessDied(Exception):
    pass


def replies_generate(job: ReplyJob, beat: Beat) -> list[Reply]:
    """All replies of the job. Raises ReplyRefused, ReplyDefect, and what `beat` raises."""
    for _ in range(MAX_STARTS):
        try:
            return _answer(_running(), job, beat)
        except _ProcessDied as death:
            logger.warning("the process for replies ended: %s", death)
            process_end()
        except (ReplyRefused, ReplyDefect):
            raise
        except BaseException:
            # Whatever it still writes would be taken for the answer to the next request.
            process_end()
            raise
    raise ReplyRefused(
        ReplyFailure.FAILED,
        f"The model's process ended {MAX_STARTS} times while it wrote. The machine may be short of "
        "memory: tell an admin of the project.",
    )


def process_end() -> None:
    """Ends the process of this worker, if there is one, and with it everything it started."""
    global _process
    if _process is not None and _process.owner == os.getpid():
        _process.end()
    _process = None


def process_pid() -> int | None:
    return _process.popen.pid if _process is not None else None


class _ReplyProcess:
    """The pipes to the process. `owner`: the process that started it, for it cannot be shared."""

    def __init__(self) -> None:
        launcher = shlex.split(django_settings.PREFERENDUM_LAUNCHER) or [sys.executable]
        arguments = [str(num_threads()), str(django_settings.PREFERENDUM_REPLY_IDLE_SECONDS)]
        self.owner = os.getpid()
        self.popen = subprocess.Popen(
            [*launcher, "-m", "training.algorithms.replying", *arguments],
            cwd=django_settings.BASE_DIR,
            env=process_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def send(self, document: dict[str, Any]) -> None:
        """Raises _ProcessDied."""
        assert self.popen.stdin is not None
        try:
            self.popen.stdin.write(json.dumps(document).encode() + b"\n")
            self.popen.stdin.flush()
        except OSError as error:
            raise _ProcessDied(str(error)) from None

    def messages(self) -> Iterator[dict[str, Any] | None]:
        """What it says, and None whenever it was quiet for a moment. Raises _ProcessDied."""
        assert self.popen.stdout is not None
        rest, pipe = b"", self.popen.stdout.fileno()
        while True:
            if not select.select([pipe], [], [], POLL_SECONDS)[0]:
                yield None
                continue
            if not (chunk := os.read(pipe, CHUNK_BYTES)):
                raise _ProcessDied(f"exit code {self.popen.wait()}")
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield json.loads(line)

    def end(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()


_process: _ReplyProcess | None = None


def _running() -> _ReplyProcess:
    """The process of this worker, started if there is none or it has left."""
    global _process
    if _process is not None and _process.owner == os.getpid() and _process.popen.poll() is None:
        return _process
    process_end()
    _process = _ReplyProcess()
    return _process


def _answer(process: _ReplyProcess, job: ReplyJob, beat: Beat) -> list[Reply]:
    process.send(_document(job))
    deadline = time.monotonic() + MAX_SECONDS
    for message in process.messages():
        message = message or {}
        if "replies" in message:
            return [Reply(**reply) for reply in message["replies"]]
        if "refusal" in message:
            raise ReplyRefused(ReplyFailure.OUT_OF_ROOM, message["refusal"])
        if "defect" in message:
            raise ReplyDefect(message["defect"])
        if time.monotonic() > deadline:
            process_end()
            raise ReplyRefused(
                ReplyFailure.TOO_SLOW,
                f"The model took longer than {MAX_SECONDS // 60} minutes. Ask again, or tell an "
                "admin of the project.",
            )
        beat(message.get("progress"))
    raise AssertionError("messages end by an exception")


def _document(job: ReplyJob) -> dict[str, Any]:
    """See training/algorithms/replying."""
    return {
        "prompt_id": job.prompt_id,
        "messages": job.messages,
        "seed": job.seed,
        "config": job.config,
        "only_load": job.only_load,
        "parts": [
            {
                "index": part.index,
                "location": part.checkpoint.location,
                "is_served": part.is_served,
            }
            for part in job.parts
        ],
    }
