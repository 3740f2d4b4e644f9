"""docker-compose.yml starts the same processes as `make run` and names only settings we have."""

import re
from pathlib import Path
from typing import Any

import yaml

from config.processes import WORKER_QUEUES, process_specs

ROOT = Path(__file__).parents[2]


def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return content


def test_every_queue_has_a_worker_and_there_is_one_scheduler() -> None:
    commands = [service.get("command", []) for service in compose()["services"].values()]
    queues = [
        queue
        for command in commands
        if "--queues" in command
        for queue in command[command.index("--queues") + 1].split(",")
    ]
    assert sorted(queues) == sorted(WORKER_QUEUES)
    assert sum("beat" in command for command in commands) == 1


def test_the_commands_are_those_of_the_supervisor() -> None:
    ours = {tuple(spec.arguments[1:4]) for spec in process_specs(host="0.0.0.0", port=8000)}
    theirs = {
        tuple(service["command"][1:4])
        for service in compose()["services"].values()
        if service.get("command", [""])[0] == "python"
    }
    assert theirs == ours


def test_every_variable_is_documented() -> None:
    documented = (ROOT / "docs" / "settings.md").read_text()
    web = compose()["services"]["web"]
    undocumented = {"REMAP_SIGTERM", "HF_HUB_DISABLE_TELEMETRY"}  # Celery's and the hub's own
    for name in set(web["environment"]) - undocumented:
        assert f"`{name}`" in documented


def test_every_setting_read_from_the_environment_is_documented() -> None:
    documented = (ROOT / "docs" / "settings.md").read_text()
    reader = re.compile(r"(?:env\.\w+|read_\w+)\(\s*\"([A-Z_]+)\"")
    names = {
        name
        for path in (ROOT / "config").rglob("*.py")
        for name in reader.findall(path.read_text())
    }
    assert "PREFERENDUM_DATA_DIR" in names
    assert {name for name in names if f"`{name}`" not in documented} == set()
