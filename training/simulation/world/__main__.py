"""python -m training.simulation.world PLAN RESULT: one world in the installation of this process.

The environment says where that is; see installation.py.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

import django


def _parent_watch() -> None:
    """Ends this process when stdin closes: the command that started it is gone."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()


def main(plan_path: Path, result_path: Path) -> None:
    django.setup()
    from training.simulation.world.plan import plan_read
    from training.simulation.world.work import world_work

    began = time.monotonic()
    result = world_work(plan_read(json.loads(plan_path.read_text())))
    result["seconds"] = time.monotonic() - began
    temporary = result_path.with_name(result_path.name + ".new")
    temporary.write_text(json.dumps(result))
    temporary.rename(result_path)


if __name__ == "__main__":
    _parent_watch()
    main(Path(sys.argv[1]), Path(sys.argv[2]))
