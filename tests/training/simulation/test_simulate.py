"""A world on the tiny model, and the command around worlds."""

import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from annotation.models import ApiToken, Assignment, Ranking
from tests.tiny import tiny_checkpoint
from training.models import Checkpoint, Round
from training.simulation.forking import fork_server
from training.simulation.world import running
from training.simulation.world.api_labelers import ApiRefused
from training.simulation.world.outcomes import candidates_of, chosen_gain, peak_gain
from training.simulation.world.plan import Plan
from training.simulation.world.work import world_work

PLAN = Plan(
    num_comparisons=48,
    num_rounds=2,
    num_prompts=60,
    num_steps=2,
    num_candidates=2,
    num_measured=16,
    policy={"batch_size": 8, "max_prompt_tokens": 100},
    reward_model={
        "num_epochs": 1,
        "gauge_samples": 8,
        "min_train_rankings": 2,
        "max_tokens": 120,
    },
    policy_start="previous",
)


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with fork_server(tmp_path_factory.mktemp("server")) as command:
        yield command


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_world_goes_from_its_first_label_to_its_last_policy(
    launcher: str, settings: Any, tmp_path: Path
) -> None:
    settings.PREFERENDUM_LAUNCHER = launcher
    settings.PREFERENDUM_BASE_MODEL = str(tiny_checkpoint(tmp_path / "base"))
    result = world_work(PLAN)
    # 48 comparisons are 8 rankings of 4, in two rounds
    assert (result["num_rankings"], Ranking.objects.count()) == (8, 8)
    assert [item["num_rankings"] for item in result["rounds"]] == [4, 8]
    assert ApiToken.objects.filter(last_used_at__isnull=False).exists()
    assert Assignment.objects.count() == 8
    assert [len(item["candidates"]) for item in result["rounds"]] == [2, 2]
    for each in candidates_of(result):
        assert each["kl"] is not None
        assert each["proxy_gain"] is not None
    assert peak_gain(result) >= chosen_gain(result)
    starts = Round.objects.get(number=2).runs.get(step="policy").run_parents.get(role="start")
    assert starts.checkpoint.run.round.number == 1


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_world_whose_tasks_run_out_says_so(launcher: str, settings: Any, tmp_path: Path) -> None:
    settings.PREFERENDUM_LAUNCHER = launcher
    settings.PREFERENDUM_BASE_MODEL = str(tiny_checkpoint(tmp_path / "base"))
    with pytest.raises(ApiRefused, match="No task is left for anybody after"):
        world_work(Plan(num_comparisons=600, num_rounds=1, num_prompts=20))
    assert Checkpoint.objects.count() == 1


# ---- many worlds


def fake_result(plan: Plan) -> dict[str, Any]:
    """Gold grows with the logarithm of the labels, and more with rounds; a seed moves all."""
    peak = plan.num_rounds * 0.1 + plan.num_comparisons / 1_000 + 0.01 * plan.seed
    names = ["candidate_000001"] * (plan.num_candidates - 1) + ["policy"]
    candidates = [
        {
            "role": role,
            "step": None if role == "policy" else 1,
            "kl": 1.0 + place,
            "proxy_gain": 1.0 + place,
            "test_gain": 0.5,
            "gold": peak - 0.1 * place,
        }
        for place, role in enumerate(names)
    ]
    item = {"reference": {"gold": 0.0}, "candidates": candidates, "chosen": "policy"}
    return {"rounds": [item] * plan.num_rounds, "plan": plan.as_json()}


@pytest.fixture
def worlds(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """The plans that were really done; no process is started."""
    settings.PREFERENDUM_DATA_DIR = tmp_path
    done: list[Plan] = []

    def process(plan: Plan, **options: Any) -> dict[str, Any]:
        done.append(plan)
        return fake_result(plan)

    monkeypatch.setattr(running, "database_ensure", lambda cache: cache)
    monkeypatch.setattr(running, "base_model_ensure", lambda options, cache: cache)
    monkeypatch.setattr(running, "fork_server", nullcontext)
    monkeypatch.setattr(running, "world_process", process)
    return done


def test_results_are_kept_and_a_stopped_command_goes_on(
    worlds: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = {"a": PLAN, "b": Plan(num_comparisons=96)}
    first = running.worlds_run(arms, [1, 2], jobs=1)
    assert [(plan.num_comparisons, plan.seed) for plan in worlds] == [
        (48, 1), (96, 1), (48, 2), (96, 2),
    ]  # fmt: skip
    again = running.worlds_run(arms, [1, 2, 3], jobs=1)
    assert [(plan.num_comparisons, plan.seed) for plan in worlds[4:]] == [(48, 3), (96, 3)]
    assert again["a"][1] == first["a"][1]
    assert set(again["b"]) == {1, 2, 3}


@pytest.mark.parametrize("name", ["rounds", "overoptimization", "active", "overlap", "budget"])
def test_every_experiment_makes_a_page_with_charts(
    worlds: list[Plan], tmp_path: Path, name: str
) -> None:
    output, said = tmp_path / "page.md", StringIO()
    call_command(
        "simulate", name, seeds=[1, 2, 3], jobs=2, labels=[250, 500], output=output, stdout=said
    )
    text = output.read_text()
    assert text.startswith("# ")
    assert "| 250 |" in said.getvalue()
    charts = sorted(tmp_path.glob("page*.svg"))
    assert charts
    assert all(f"({chart.name})" in text for chart in charts)
    assert all("<polyline" in chart.read_text() for chart in charts)
    assert {plan.seed for plan in worlds} == {1, 2, 3}


def test_rounds_are_compared_at_equal_labels_and_equal_steps(worlds: list[Plan]) -> None:
    said = StringIO()
    call_command("simulate", "rounds", seeds=[1, 2], labels=[500], stdout=said)
    totals = {plan.num_rounds: plan.num_rounds * plan.num_steps for plan in worlds}
    assert totals == {1: 150, 5: 150}
    # .1 more for each of four more rounds, in both seeds
    assert "+0.40 ± 0.00" in said.getvalue()
    assert "2 of 2" in said.getvalue()


def test_a_budget_is_for_the_people_described(worlds: list[Plan]) -> None:
    call_command(
        "simulate", "budget", seeds=[1], labels=[250], agreement=0.63, flips=0.25, spammers=0.1,
        people=10, stdout=StringIO(),
    )  # fmt: skip
    people = worlds[0].population
    assert (people.agreement, people.flips, people.spammers, people.num) == (0.63, 0.25, 0.1, 10)
    with pytest.raises(CommandError, match="expected 0 or more and below 1"):
        call_command("simulate", "budget", seeds=[1], labels=[250], flips=1.0)


# ---- the fork server


def run(launcher: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*launcher.split(), "-m", *arguments], capture_output=True, text=True, check=False,
        **options,
    )  # fmt: skip


def test_a_forked_process_is_like_one_that_was_started(launcher: str, tmp_path: Path) -> None:
    refused = run(launcher, "training.algorithms.sample", str(tmp_path))
    plain = run(sys.executable, "training.algorithms.sample", str(tmp_path))
    assert (refused.returncode, refused.stderr) == (plain.returncode, plain.stderr) == (
        3, refused.stderr,
    )  # fmt: skip
    assert "run.json" in refused.stderr
    usage = run(launcher, "training.algorithms.sample")
    assert usage.returncode == 1
    assert "usage" in usage.stderr


def test_a_forked_process_has_its_own_folder_and_environment(launcher: str, tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text("import os\nprint(os.getcwd(), os.environ['SEEN'])\n")
    environment = dict(os.environ, SEEN="here", PYTHONPATH="")
    done = run(launcher, "this", cwd=tmp_path, env=environment)
    assert done.returncode == 0
    assert "Zen" in done.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -15), (signal.SIGKILL, -9)])
def test_a_signal_to_the_client_ends_the_forked_process(
    launcher: str, number: int, code: int
) -> None:
    client = subprocess.Popen(
        [*launcher.split(), "-m", "http.server", "0"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert client.stdout is not None
    assert client.stdout.readline()
    client.send_signal(number)
    # its output closes when the process behind it is gone, too
    client.stdout.read()
    assert client.wait() == code
