"""The pipes of the process: requests in, progress and replies out, and when to leave."""

import json
import os
import queue
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from training.algorithms.entry import ENVIRONMENT, EXIT_STOPPED, torch_prepare
from training.algorithms.errors import RunError
from training.algorithms.replying.protocol import ReplyRefused, Tell

TELL_SECONDS = 0.1
CHUNK_BYTES = 65_536

Answer = Callable[[dict[str, Any], Tell], list[dict[str, Any]]]


def serve(*, num_threads: int, idle_seconds: float) -> None:
    """Answers the requests on stdin until it is closed or stays quiet for idle_seconds."""
    out = _stdout_take()
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    # Begins before torch is loaded, so that a supervisor that is gone is noticed at once.
    threading.Thread(target=_read, args=(requests,), name="requests", daemon=True).start()
    answer = _answerer(num_threads)
    while True:
        try:
            request = requests.get(timeout=idle_seconds)
        except queue.Empty:
            return
        _say(out, answered(request, answer, _teller(out)))


def answered(request: dict[str, Any], answer: Answer, tell: Tell) -> dict[str, Any]:
    """The last message about a request: replies, refusal or defect."""
    try:
        return {"replies": answer(request, tell)}
    except ReplyRefused as refusal:
        return {"refusal": str(refusal)}
    except RunError as error:
        return {"defect": f"{error.code}: {error.message}"}
    except Exception:
        return {"defect": traceback.format_exc()}


def _answerer(num_threads: int) -> Answer:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    torch_prepare(num_threads)
    from training.algorithms.replying.answering import Policies, replies_draw

    policies = Policies()
    return lambda request, tell: replies_draw(policies, request, tell)


def _stdout_take() -> int:
    """The real stdout; what libraries print goes to stderr from now on."""
    out = os.dup(1)
    os.dup2(2, 1)
    return out


def _read(requests: "queue.Queue[dict[str, Any]]") -> None:
    rest = b""
    while chunk := os.read(0, CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            requests.put(json.loads(line))
    # The worker is gone: nobody would read another word.
    os._exit(EXIT_STOPPED)


def _teller(out: int) -> Tell:
    last = 0.0

    def tell(progress: float) -> None:
        nonlocal last
        if time.monotonic() - last >= TELL_SECONDS:
            last = time.monotonic()
            _say(out, {"progress": round(progress, 4)})

    return tell


def _say(out: int, message: dict[str, Any]) -> None:
    content = json.dumps(message).encode() + b"\n"
    while content:
        content = content[os.write(out, content) :]
