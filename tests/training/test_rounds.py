"""When a round starts, what it does, and how it stops. The stub stage does the training."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection

from annotation.models import Project, Task
from tests.factories import ranking_make
from tests.training.people import demonstrations_make, prompts_make, rank_all
from training.choices import RoundStatus, RunStatus, Trigger
from training.errors import (
    ConfigInvalid,
    NoPrompts,
    NotEnoughDemonstrations,
    NotEnoughRankings,
    RoundAlreadyRunning,
    RoundNotRetryable,
    RoundNotRunning,
)
from training.models import Checkpoint, Deployment, LoopSettings, Round, Run, Sample
from training.selectors.loop import MANUAL_RANKINGS, loop_status
from training.services.inline import rounds_work
from training.services.round_control import round_cancel, round_retry
from training.services.round_starting import round_start
from training.services.rounds import round_advance, rounds_tick
from training.services.run_execution import run_execute
from training.services.runs import run_claim

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("file_database", "silence"),
]


@pytest.fixture
def begun(project: Project, bob: User, small: LoopSettings) -> Project:
    """Four demonstrations on twenty prompts: round 0 is due."""
    demonstrations_make(project, bob, prompts_make(project, 20)[:4])
    return project


@pytest.fixture
def deployed(begun: Project) -> Project:
    """Round 0 is over: six tasks are open."""
    rounds_tick()
    rounds_work(project=begun)
    return begun


def test_the_first_round_waits_for_demonstrations(
    project: Project, bob: User, small: LoopSettings
) -> None:
    prompts = prompts_make(project, 10)
    demonstrations_make(project, bob, prompts[:3])
    rounds_tick()
    assert not Round.objects.exists()
    with pytest.raises(NotEnoughDemonstrations) as refusal:
        round_start(project=project)
    assert refusal.value.extra == {"have": 3, "need": 4, "missing": 1}
    assert "so 1 is missing" in refusal.value.message
    demonstrations_make(project, bob, prompts[3:4])
    rounds_tick()
    first = Round.objects.get()
    assert (first.number, first.trigger) == (0, Trigger.FIRST)
    assert first.steps == ["freeze", "sft", "deploy", "sample", "queue"]


def test_without_a_need_for_demonstrations_the_base_model_is_the_first_policy(
    project: Project, small: LoopSettings
) -> None:
    prompts_make(project, 10)
    LoopSettings.objects.update(min_demonstrations=0)
    rounds_tick()
    rounds_work(project=project)
    assert Round.objects.get().steps == ["freeze", "deploy", "sample", "queue"]
    assert Deployment.objects.get().checkpoint.kind == "base"


def test_a_round_starts_at_the_exact_number_of_new_rankings(deployed: Project, bob: User) -> None:
    assert rank_all(deployed, bob, limit=5) == 5
    rounds_tick()
    assert Round.objects.count() == 1
    with pytest.raises(NotEnoughRankings) as refusal:
        round_start(project=deployed, trigger=Trigger.AUTOMATIC)
    assert refusal.value.extra == {"have": 5, "need": 6, "missing": 1}
    assert loop_status(deployed).sentence == (
        "Round 1 needs 6 new rankings; there are 5, so 1 is missing."
    )
    assert rank_all(deployed, bob, limit=1) == 1
    rounds_tick()
    second = Round.objects.get(number=1)
    assert second.trigger == Trigger.AUTOMATIC
    rounds_work(project=deployed)
    second.refresh_from_db()
    assert (second.status, second.error_text) == (RoundStatus.SUCCEEDED, "")
    # Those six are spent: the next round needs six others.
    assert loop_status(deployed).requirement.have == 0


def test_a_person_may_start_earlier_but_not_with_nothing(deployed: Project, bob: User) -> None:
    LoopSettings.objects.update(rankings_per_round=1000)
    for _ in range(MANUAL_RANKINGS - 1 - rank_all(deployed, bob)):
        ranking_make(deployed, bob)
    with pytest.raises(NotEnoughRankings) as refusal:
        round_start(project=deployed)
    assert refusal.value.extra["missing"] == 1
    assert not loop_status(deployed).can_start
    ranking_make(deployed, bob)
    assert loop_status(deployed).can_start
    assert round_start(project=deployed).number == 1


def test_without_auto_start_nothing_starts_by_itself(begun: Project) -> None:
    LoopSettings.objects.update(auto_start=False)
    rounds_tick()
    assert not Round.objects.exists()


def test_a_second_round_is_refused_while_one_runs(begun: Project) -> None:
    running = round_start(project=begun)
    with pytest.raises(RoundAlreadyRunning) as refusal:
        round_start(project=begun)
    assert refusal.value.extra == {"round_id": running.pk, "number": 0}
    # The database itself refuses it, too.
    with pytest.raises(IntegrityError):
        Round.objects.create(project=begun, number=7, trigger="manual", steps=["freeze"])


def test_two_ticks_at_once_start_one_round(begun: Project) -> None:
    def tick(_: int) -> None:
        try:
            rounds_tick()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(tick, range(4)))
    assert Round.objects.count() == 1


def test_advancing_twice_and_at_once_does_each_step_once(begun: Project) -> None:
    first = round_start(project=begun)

    def advance(_: int) -> None:
        try:
            round_advance(round_id=first.pk)
        finally:
            connection.close()

    for _ in range(4):
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(advance, range(3)))
        for run in Run.objects.filter(status=RunStatus.QUEUED):
            run_execute(run_id=run.pk)
    first.refresh_from_db()
    assert (first.status, first.error_text) == (RoundStatus.SUCCEEDED, "")
    assert list(Run.objects.values_list("step", flat=True)) == ["sft", "sample"]
    assert Deployment.objects.count() == 1
    assert Task.objects.filter(kind="ranking").count() == 6
    assert Sample.objects.count() == 6 * 4


def test_open_tasks_stay_while_training_and_go_when_the_new_ones_are_there(
    deployed: Project, bob: User
) -> None:
    rank_all(deployed, bob, limit=6)
    ranking_make(deployed, bob)
    extra = Task.objects.filter(kind="ranking").order_by("-pk").first()
    assert extra is not None
    old = Checkpoint.objects.get(kind="sft")
    LoopSettings.objects.update(prompts_per_round=4)
    # One task of the old policy is left over, unclaimed.
    Task.objects.filter(kind="ranking", pk__lt=extra.pk).update(status="open", claims=0)
    rounds_tick()
    assert Task.objects.filter(kind="ranking", status="open").count() == 6
    rounds_work(project=deployed)
    open_tasks = Task.objects.filter(kind="ranking", status="open")
    shown = Sample.objects.filter(completion__tasks__in=open_tasks)
    assert open_tasks.count() == 4
    assert old.pk not in shown.values_list("checkpoint", flat=True)
    withdrawn = Task.objects.filter(status="withdrawn")
    assert withdrawn.count() == 6
    assert withdrawn.first().withdrawn_reason == "its policies are no longer deployed"


def test_a_failed_run_fails_the_round_and_a_retry_goes_on_from_there(
    begun: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = round_start(project=begun)
    monkeypatch.setenv("STUB", "refuse")
    rounds_work(project=begun)
    first.refresh_from_db()
    assert (first.status, first.step, first.error_code) == (
        RoundStatus.FAILED,
        "sft",
        "data_too_small",
    )
    # The failed round is not started again by itself: its demonstrations are spent.
    rounds_tick()
    assert Round.objects.count() == 1
    monkeypatch.setenv("STUB", "succeed")
    round_retry(round=first)
    rounds_work(project=begun)
    first.refresh_from_db()
    assert (first.status, first.error_code) == (RoundStatus.SUCCEEDED, "")
    with pytest.raises(RoundNotRetryable):
        round_retry(round=first)


def test_cancelling_a_round_cancels_its_run(begun: Project) -> None:
    first = round_start(project=begun)
    round_advance(round_id=first.pk)
    round_cancel(round=first)
    assert first.status == RoundStatus.CANCELLED
    assert Run.objects.get().status == RunStatus.CANCELLED
    assert run_claim(run_id=Run.objects.get().pk) is None
    with pytest.raises(RoundNotRunning):
        round_cancel(round=first)
    round_retry(round=first)
    rounds_work(project=begun)
    first.refresh_from_db()
    assert first.status == RoundStatus.SUCCEEDED


def test_a_defect_in_a_step_ends_the_round_with_its_traceback(
    begun: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**kwargs: object) -> None:
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr("training.services.steps.snapshot_create", broken)
    first = round_start(project=begun)
    round_advance(round_id=first.pk)
    first.refresh_from_db()
    assert (first.status, first.error_code) == (RoundStatus.FAILED, "round_crashed")
    assert "ZeroDivisionError: no such luck" in first.error_text


def test_sft_is_trained_again_only_when_demonstrations_grew(deployed: Project, bob: User) -> None:
    rank_all(deployed, bob, limit=6)
    second = round_start(project=deployed, trigger=Trigger.AUTOMATIC)
    assert "sft" not in second.steps
    rounds_work(project=deployed)
    prompts = deployed.prompts.order_by("pk")[10:14]
    demonstrations_make(deployed, bob, list(prompts))
    rank_all(deployed, bob, limit=6)
    third = round_start(project=deployed, trigger=Trigger.AUTOMATIC)
    assert third.steps[:3] == ["freeze", "sft", "reward_model"]
    rounds_work(project=deployed)
    third.refresh_from_db()
    assert third.status == RoundStatus.SUCCEEDED
    reference = Run.objects.get(round=third, step="policy").run_parents.get(role="reference")
    assert reference.checkpoint.name == "sft-2"


def test_settings_that_no_method_takes_are_refused_before_anything_starts(begun: Project) -> None:
    LoopSettings.objects.update(overrides={"sft": {"learning_rat": 1.0}})
    with pytest.raises(ConfigInvalid) as refusal:
        round_start(project=begun)
    assert refusal.value.extra["field"] == "learning_rat"
    assert not Round.objects.exists()


def test_a_project_without_prompts_cannot_start(project: Project, small: LoopSettings) -> None:
    LoopSettings.objects.update(min_demonstrations=0)
    with pytest.raises(NoPrompts):
        round_start(project=project)
