import json
from collections import Counter
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from annotation.models import Demonstration, Project, Task
from training.models import LoopSettings, Round
from training.services.rounds import rounds_tick
from training.simulation.demo import NUM_OPEN_DEMONSTRATIONS, NUM_PROMPTS, accounts_path

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("silence")]


def test_the_demo_is_made_once_and_round_0_is_due(client: Client) -> None:
    call_command("prepare_demo")
    path: Path = accounts_path()
    assert path.stat().st_mode & 0o777 == 0o600
    accounts = {account["username"]: account for account in json.loads(path.read_text())}
    assert set(accounts) == {"admin", "alice", "bob"}
    for username, account in accounts.items():
        assert client.login(username=username, password=account["password"])
    assert User.objects.get(username="admin").is_superuser
    assert not User.objects.get(username="alice").is_staff

    project = Project.objects.get(slug="demo")
    assert project.prompts.count() == NUM_PROMPTS
    assert project.guidelines
    open_tasks = Task.objects.filter(project=project, kind="demonstration", status="open")
    assert open_tasks.count() == NUM_OPEN_DEMONSTRATIONS
    topics = Counter(
        Task.objects.filter(project=project, kind="conversation").values_list(
            "brief__name", flat=True
        )
    )
    assert topics == {"A weekend plan": 6, "Around the house": 6}
    settings = LoopSettings.objects.get(project=project)
    assert Demonstration.objects.count() == settings.min_demonstrations
    rounds_tick()
    assert Round.objects.get().number == 0

    # A second start changes nothing, not even what an admin has changed meanwhile.
    LoopSettings.objects.update(rankings_per_round=7)
    before = path.read_text(), Demonstration.objects.count(), Task.objects.count()
    call_command("prepare_demo")
    assert before == (path.read_text(), Demonstration.objects.count(), Task.objects.count())
    assert LoopSettings.objects.get().rankings_per_round == 7
