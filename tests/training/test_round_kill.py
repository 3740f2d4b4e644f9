"""Killing whoever works at a round, at every step and at every write: the round ends the same."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.utils import timezone

from annotation.models import Project
from tests.factories import labeler_make, project_make
from tests.training.conftest import loop_make
from tests.training.loops import due_make, outcome, rank_for, round_turn, until
from tests.training.test_kill import wait_for
from training.choices import RUN_WAITING, RoundStatus, RunStatus
from training.gates import policy_judge
from training.models import Checkpoint, Round, Run
from training.services.checkpoints import deployment_get, round_policy_get
from training.services.configs import run_config
from training.services.doorbell import doorbell_silenced
from training.services.inline import rounds_work
from training.services.round_control import round_cancel, round_retry
from training.services.round_starting import round_start
from training.services.rounds import round_advance
from training.services.run_execution import run_execute
from training.services.run_results import run_register
from training.services.runs import run_claim, runs_recover
from training.services.steps import STEPS

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("file_database", "silence"),
]
LEARN = [
    "freeze", "sft", "reward_model", "calibrate", "test_reward_model", "policy", "evaluate",
    "decide",
]  # fmt: skip
PLAN = [*LEARN, "deploy", "sample", "queue"]
TRIAL_PLAN = [*LEARN, "sample", "queue", "verdict", "deploy"]
RUN_STEPS = ["sft", "reward_model", "test_reward_model", "policy", "evaluate", "sample"]

UNDISTURBED: dict[str, Any] = {}


def world(alice: User, trial: bool = False) -> tuple[Project, User]:
    """A project of its own that is due for a full round; every one made here is like the others."""
    project = project_make(admin=alice)
    bob = labeler_make(project)
    loop = loop_make(project)
    # Beside the new policy the two before answer a quarter each.
    loop.weight_previous = loop.weight_reference = 0.5
    loop.trial_votes = 4 if trial else 0
    # Half of the rankings: enough for a test reward model.
    loop.held_out_percent = 50
    loop.test_reward_model = True
    loop.save()
    due_make(project, bob)
    return project, bob


def undisturbed(alice: User) -> dict[str, Any]:
    """What a round leaves that nobody disturbs; made once, with the first test's stub."""
    if not UNDISTURBED:
        UNDISTURBED.update(outcome(round_turn(world(alice)[0])))
    return UNDISTURBED


def in_a_process(work: Callable[[], Any]) -> int:
    """Forks a process for the work and returns its pid; ends with code 0."""
    connections.close_all()
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    finally:
        os._exit(0)


def die_at_write(number: int) -> Callable[..., Any]:
    """Counts what is written to the database; the process is gone before write `number`."""
    seen = 0

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal seen
        if sql.startswith(("INSERT", "UPDATE", "DELETE", "RELEASE SAVEPOINT")):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, params, many, context)

    return wrapper


def later() -> None:
    """Half a minute on, when the dead worker's lease is over."""
    runs_recover(now=timezone.now() + timedelta(seconds=31))


def test_a_worker_killed_at_every_run_of_a_round_in_turn_changes_nothing(
    alice: User, stub: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = undisturbed(alice)
    round = round_start(project=world(alice)[0])
    assert round.steps == PLAN
    killed = []
    while round.status == RoundStatus.RUNNING:
        round_advance(round_id=round.pk)
        for run in Run.objects.filter(round=round, status=RunStatus.QUEUED):
            monkeypatch.setenv("STUB", "hang")
            worker = in_a_process(lambda run=run: run_execute(run_id=run.pk))
            wait_for(lambda run=run: (run.folder / "progress.json").exists(), 30)
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
            run.refresh_from_db()
            assert run.status == RunStatus.RUNNING
            later()
            monkeypatch.setenv("STUB", "succeed")
            run_execute(run_id=run.pk)
            run.refresh_from_db()
            assert (run.status, run.attempt) == (RunStatus.SUCCEEDED, 2)
            killed.append(run.step)
        round.refresh_from_db()
    assert killed == RUN_STEPS
    assert outcome(round) == expected


@pytest.mark.slow
def test_a_worker_killed_at_every_write_of_a_round_changes_nothing(
    alice: User, inline: None
) -> None:
    expected = undisturbed(alice)
    round = round_start(project=world(alice)[0])
    kills = relay(round)
    assert outcome(round) == expected
    # Every step writes something, if only that it is done, and was killed at it.
    assert {step for step, _ in kills} == set(round.steps) == set(PLAN)
    # Claim, beat, metrics, success, checkpoint: a run alone has as many places to die at.
    assert sum(step == "policy" for step, _ in kills) >= 5


@pytest.mark.slow
def test_a_worker_killed_at_every_write_of_a_trial_changes_nothing(
    alice: User, inline: None
) -> None:
    (calm, bob), (disturbed, ben) = world(alice, trial=True), world(alice, trial=True)
    expected, round = round_start(project=calm), round_start(project=disturbed)
    assert round.steps == TRIAL_PLAN
    until(expected, waiting_for="votes")
    until(round, "sample")
    kills = relay(round)
    assert outcome(round) == outcome(expected)
    rank_for(calm, bob, "ppo-1", 6)
    rank_for(disturbed, ben, "ppo-1", 6)
    rounds_work(project=calm)
    kills += relay(round)
    assert outcome(round) == outcome(expected)
    assert round.status == RoundStatus.SUCCEEDED
    assert {step for step, _ in kills} >= {"sample", "queue", "verdict"}


def relay(round: Round) -> list[tuple[str, int]]:
    """Worker after worker is killed: at its first write, at its second, ... until one gets through.

    Then the same from there, until nothing is left to do. Returns (step, write) of every death.
    """
    kills: list[tuple[str, int]] = []
    write = 1
    while True:
        place = progress(round)
        worker = in_a_process(lambda write=write: turn(round.pk, die_at_write(write)))
        _, status = os.waitpid(worker, 0)
        later()
        # How often a run may die is another test's matter.
        Run.objects.filter(round=round).update(attempt=0)
        if os.WIFSIGNALED(status):
            kills.append((place[0], write))
        elif progress(round) == place:
            return kills
        write = write + 1 if progress(round) == place else 1


def progress(round: Round) -> tuple[str, str, int]:
    round.refresh_from_db()
    done = Run.objects.filter(round=round, status=RunStatus.SUCCEEDED).count()
    return round.step, round.status, done


def turn(round_id: int, wrapper: Callable[..., Any] | None = None) -> None:
    """As far as one worker comes: the steps that need no run, then the run that waits."""
    with connection.execute_wrapper(wrapper) if wrapper else nullcontext():
        round_advance(round_id=round_id)
        for run in Run.objects.filter(round=round_id, status__in=RUN_WAITING):
            run_execute(run_id=run.pk)


def test_every_step_may_be_done_twice(
    alice: User, inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a worker dies after a step's work and before the next step."""
    expected = undisturbed(alice)
    project, _ = world(alice)
    done = []
    for name, step in list(STEPS.items()):

        def twice(round: Round, name: str = name, step: Callable[[Round], bool] = step) -> bool:
            is_done = step(round)
            round.refresh_from_db()
            assert step(round) == is_done
            done.append(name)
            return is_done

        monkeypatch.setitem(STEPS, name, twice)
    round = round_turn(project)
    assert set(done) == set(PLAN)
    assert outcome(round) == expected


def test_three_workers_at_once_do_what_one_does(alice: User, inline: None) -> None:
    expected = undisturbed(alice)
    round = round_start(project=world(alice)[0])

    def work(_: int) -> None:
        try:
            with doorbell_silenced():
                turn(round.pk)
        finally:
            connection.close()

    while round.status == RoundStatus.RUNNING:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(work, range(3)))
        round.refresh_from_db()
    assert outcome(round) == expected


def test_what_a_worker_brings_after_its_lease_is_not_taken(alice: User, inline: None) -> None:
    expected = undisturbed(alice)
    project, _ = world(alice)
    round = round_start(project=project)
    until(round, "sample")
    round_advance(round_id=round.pk)
    run = Run.objects.get(round=round, step="sample")
    slow = run_claim(run_id=run.pk)
    later()
    rounds_work(project=project)
    assert outcome(round) == expected
    assert not run_register(run=slow, folder=run.folder, result={"metrics": {"late": 1.0}})
    assert outcome(round) == expected


def cancelling(round: Round, then: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, path: str):
    """The round is cancelled while a worker is inside the function of that path."""

    def cancel(*args: Any, **kwargs: Any) -> Any:
        if Round.objects.get(pk=round.pk).status == RoundStatus.RUNNING:
            round_cancel(round=round)
        return then(*args, **kwargs)

    monkeypatch.setattr(path, cancel)


def test_a_round_cancelled_at_its_deployment_deploys_nothing(
    alice: User, inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = world(alice)
    round = until(round_start(project=project), "deploy")
    live = deployment_get(project.pk)
    path = "training.services.deployments.round_policy_get"
    cancelling(round, round_policy_get, monkeypatch, path)
    round_advance(round_id=round.pk)
    round.refresh_from_db()
    assert (round.status, round.step) == (RoundStatus.CANCELLED, "deploy")
    assert deployment_get(project.pk) == live
    assert not round.deployments.exists()


def test_a_round_cancelled_while_a_run_is_made_has_no_run(
    alice: User, inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = world(alice)
    round = until(round_start(project=project), "policy")
    path = "training.services.runs.run_config"
    cancelling(round, run_config, monkeypatch, path)
    round_advance(round_id=round.pk)
    round.refresh_from_db()
    assert (round.status, round.error_code) == (RoundStatus.CANCELLED, "round_cancelled")
    assert not Run.objects.filter(round=round, step="policy").exists()


def test_a_late_decision_does_not_decide_a_round_taken_up_again(
    alice: User, inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = world(alice)
    round = until(round_start(project=project), "decide")

    def judge(*args: Any) -> Any:
        monkeypatch.setattr("training.services.decisions.policy_judge", policy_judge)
        round_cancel(round=Round.objects.get(pk=round.pk))
        round_retry(round=Round.objects.get(pk=round.pk), step="policy")
        return policy_judge(*args)

    monkeypatch.setattr("training.services.decisions.policy_judge", judge)
    round_advance(round_id=round.pk)
    round.refresh_from_db()
    assert (round.status, round.decision) == (RoundStatus.RUNNING, "")
    rounds_work(project=project)
    round.refresh_from_db()
    assert (round.status, round.decision) == (RoundStatus.SUCCEEDED, "promote")


def test_a_replaced_run_that_finishes_late_is_history(alice: User, inline: None) -> None:
    project, _ = world(alice)
    round = until(round_start(project=project), "policy")
    old = Run.objects.get(round=round, step="reward_model")
    Checkpoint.objects.filter(run=old).delete()
    Run.objects.filter(pk=old.pk).update(status=RunStatus.QUEUED, finished_at=None)
    held = run_claim(run_id=old.pk)
    round_cancel(round=round)
    round_retry(round=round, step="reward_model")
    assert run_register(run=held, folder=old.folder, result={"metrics": {}})
    rounds_work(project=project)
    round.refresh_from_db()
    assert round.status == RoundStatus.SUCCEEDED
    parent = Run.objects.get(round=round, step="policy").run_parents.get(role="reward_model")
    assert parent.checkpoint.run_id != old.pk
    assert parent.checkpoint.run.superseded_at is None
