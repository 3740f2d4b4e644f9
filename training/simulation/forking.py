"""A server that forks training processes, so that none of them spends seconds on importing torch.

    python -m training.simulation.forking SOCKET        the server, until its stdin closes

`launcher(SOCKET)` is what PREFERENDUM_LAUNCHER must be for runs to use it: a small client that
hands its arguments, folder, environment and open files to the server, and then stands for the
forked process. It ends with its exit code, passes SIGTERM on, and when it is killed the process
is killed, too.
"""

import array
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_SECONDS = 120.0
# Heavy things that runs would otherwise import one by one; by name, since workers never load torch.
PRELOADED = (
    "torch",
    "transformers.models.llama.modeling_llama",
    "transformers.models.auto.modeling_auto",
    "training.algorithms.evaluate.loop",
    "training.algorithms.pretrain.words",
    "training.algorithms.reward_model.loop",
    "training.algorithms.rloo.loop",
    "training.algorithms.sample.loop",
)


@contextmanager
def fork_server(folder: Path) -> Iterator[str]:
    """Runs a server with a socket in the folder; yields the launcher command."""
    path = folder / "fork.sock"
    environment = dict(os.environ, OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    server = subprocess.Popen(
        [sys.executable, "-m", "training.simulation.forking", str(path)],
        stdin=subprocess.PIPE,
        env=environment,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not path.exists():
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The fork server did not start within {START_SECONDS:.0f} s.")
            time.sleep(0.05)
        yield launcher(path)
    finally:
        server.terminate()
        server.communicate()


def launcher(path: Path) -> str:
    client = Path(__file__).with_name("forking_client.py")
    return shlex.join([sys.executable, "-S", "-E", str(client), str(path)])


def serve(path: str) -> None:
    """Forks a process for every request until SIGTERM, or until stdin closes."""
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    temporary = f"{path}.new"
    server.bind(temporary)
    server.listen(16)
    os.rename(temporary, path)
    _Server(server).work()


class _Server:
    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._clients: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        # A byte arrives here whenever a child ends.
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._wake, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wake)

    def work(self) -> None:
        self._selector.register(self._listening, selectors.EVENT_READ, "accept")
        self._selector.register(self._wake, selectors.EVENT_READ, "child")
        self._selector.register(0, selectors.EVENT_READ, "stdin")
        while True:
            for key, _ in self._selector.select():
                if key.data == "accept":
                    self._accept()
                elif key.data == "child":
                    self._reap()
                elif key.data == "stdin":
                    return
                else:
                    self._hear(key.data)

    def _accept(self) -> None:
        client, _ = self._listening.accept()
        request, files = _receive(client)
        pid = os.fork()
        if pid == 0:
            self._listening.close()
            self._selector.close()
            client.close()
            _become(request, files)
        for file in files:
            os.close(file)
        self._clients[pid] = client
        self._selector.register(client, selectors.EVENT_READ, pid)

    def _hear(self, pid: int) -> None:
        """A byte asks the process to leave; the end of the connection kills it."""
        client = self._clients[pid]
        number = signal.SIGTERM if client.recv(1) else signal.SIGKILL
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if number == signal.SIGKILL:
            self._selector.unregister(client)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 512)
        for pid in list(self._clients):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                client = self._clients.pop(pid)
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(client)
                code = os.waitstatus_to_exitcode(status)
                with contextlib.suppress(OSError):
                    client.sendall(json.dumps(code).encode())
                client.close()


def _receive(client: socket.socket) -> tuple[dict[str, Any], list[int]]:
    size = 3 * array.array("i").itemsize
    message, ancillary, _, _ = client.recvmsg(65536, socket.CMSG_SPACE(size))
    files = array.array("i")
    for _, _, data in ancillary:
        files.frombytes(data[:size])
    while not message.endswith(b"\n"):
        message += client.recv(65536)
    return json.loads(message), list(files)


def _become(request: dict[str, Any], files: list[int]) -> None:
    """The forked child: does what `python -m MODULE ARGUMENTS` would have done."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.closerange(3, 256)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        _, module, *arguments = request["arguments"]
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as leaving:
        code = _exit_code(leaving)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _exit_code(leaving: SystemExit) -> int:
    """As the interpreter would: a number is the code, any other thing is said, and the code 1."""
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    print(leaving.code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    serve(sys.argv[1])
