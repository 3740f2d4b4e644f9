"""python -m training.simulation.world PLAN RESULT: one world in the installation of this process.

The environment says where that is; see installation.py.
"""

import json
import sys
import time
from pathlib import Path

import django


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
    main(Path(sys.argv[1]), Path(sys.argv[2]))
