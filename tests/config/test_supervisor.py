"""The supervisor with small real processes: restart, clean stop, no orphans."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from config.supervisor import ProcessSpec, Supervisor

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
# A child that starts a grandchild and writes both process ids.
FAMILY = (
    "import os, subprocess, sys, time;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "open(sys.argv[1], 'w').write(f'{os.getpid()} {child.pid}'); time.sleep(600)"
)


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def supervisor_make(tmp_path: Path, *specs: ProcessSpec) -> tuple[Supervisor, list[str]]:
    said: list[str] = []
    return (
        Supervisor(
            specs=specs, log_folder=tmp_path / "logs", environment=dict(os.environ), say=said.append
        ),
        said,
    )


def test_a_dead_process_is_started_again_and_said_so(tmp_path: Path) -> None:
    supervisor, said = supervisor_make(tmp_path, ProcessSpec("sleeper", SLEEP))
    supervisor.start()
    try:
        child = supervisor.children[0]
        assert child.process is not None
        first = child.process.pid
        os.kill(first, signal.SIGKILL)

        def restarted() -> bool:
            supervisor.watch_once()
            return child.process is not None and child.process.pid != first

        wait_for(restarted)
        assert len(said) == 1
        assert "sleeper ended with code -9" in said[0]
    finally:
        supervisor.stop()


def test_stop_ends_the_children_of_children(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    spec = ProcessSpec("family", [sys.executable, "-c", FAMILY, str(note)])
    supervisor, _ = supervisor_make(tmp_path, spec)
    supervisor.start()
    wait_for(lambda: note.exists() and note.read_text().count(" ") == 1)
    pids = [int(pid) for pid in note.read_text().split()]
    supervisor.stop()
    wait_for(lambda: not any(is_alive(pid) for pid in pids))


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = (
        "import os, sys, pathlib;"
        "from config.supervisor import ProcessSpec, Supervisor;"
        f"s = Supervisor(specs=[ProcessSpec('sleeper', {SLEEP!r})],"
        f" log_folder=pathlib.Path({str(tmp_path)!r}), environment=dict(os.environ), say=print);"
        "s.start();"
        f"pathlib.Path({str(note)!r}).write_text(str(s.children[0].process.pid));"
        "s.run()"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    wait_for(lambda: note.exists() and note.read_text() != "")
    pid = int(note.read_text())
    parent.kill()
    parent.wait()
    wait_for(lambda: not is_alive(pid))
