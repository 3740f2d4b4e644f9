"""From policies to people: which prompts are asked, and which answers become tasks."""

import random

import pytest
from django.contrib.auth.models import User

from annotation.models import Project, Prompt, Task
from tests.factories import ranking_task_make
from tests.training.people import demonstrations_make, prompts_make, rank_all
from training.choices import RunStatus
from training.errors import StrategyUnknown
from training.models import LoopSettings, Run
from training.services.answer_tasks import answer_tasks_queue
from training.services.asking import prompts_choose
from training.services.inline import rounds_work
from training.services.queueing import queue_top_up
from training.services.rounds import rounds_tick
from training.services.run_execution import run_execute
from training.services.snapshots import HELD_OUT, prompt_split
from training.services.ticking import tick
from training.strategies import strategy_get, strategy_list
from training.strategies.base import PromptCandidate

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("silence")]


@pytest.fixture
def deployed(project: Project, bob: User, small: LoopSettings) -> Project:
    demonstrations_make(project, bob, prompts_make(project, 40)[:4])
    rounds_tick()
    rounds_work(project=project)
    return project


def test_prompts_of_both_sides_are_asked_in_proportion(
    project: Project, small: LoopSettings
) -> None:
    prompts_make(project, 60)
    hashes = dict(Prompt.objects.values_list("pk", "content_hash"))
    held_out = [pk for pk, content in hashes.items() if prompt_split(content, 20) == HELD_OUT]
    chosen = [pk for pk, _ in prompts_choose(settings=small, num=30, seed=1)]
    assert len(set(chosen)) == 30
    # Half of all prompts are asked, so half of each side, to the nearest whole one.
    assert abs(len(set(chosen) & set(held_out)) - len(held_out) / 2) <= 0.5
    assert chosen == [pk for pk, _ in prompts_choose(settings=small, num=30, seed=1)]
    assert chosen != [pk for pk, _ in prompts_choose(settings=small, num=30, seed=2)]
    assert len(prompts_choose(settings=small, num=1000, seed=1)) == 60


def test_inactive_prompts_are_not_asked(project: Project, small: LoopSettings) -> None:
    prompts = prompts_make(project, 10)
    Prompt.objects.filter(pk=prompts[0].pk).update(is_active=False)
    chosen = {pk for pk, _ in prompts_choose(settings=small, num=10, seed=1)}
    assert chosen == {prompt.pk for prompt in prompts[1:]}


def test_a_prompt_whose_answers_are_all_alike_makes_no_task(
    project: Project, bob: User, small: LoopSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_EQUAL", "1")
    demonstrations_make(project, bob, prompts_make(project, 20)[:4])
    rounds_tick()
    rounds_work(project=project)
    assert not Task.objects.filter(kind="ranking").exists()
    run = Run.objects.get(step="sample")
    assert run.result["queue"] == {"num_tasks": 0, "num_prompts_with_equal_answers": 6}


def test_queueing_a_runs_answers_again_makes_nothing_twice(deployed: Project) -> None:
    run = Run.objects.get(step="sample")
    assert answer_tasks_queue(run=run) == (6, 0)
    assert Task.objects.filter(kind="ranking").count() == 6
    task = Task.objects.filter(kind="ranking").first()
    assert task is not None
    assert task.completions.count() == deployed.completions_per_task
    assert task.strategy == "random"


def test_a_low_queue_is_topped_up_by_the_deployed_policy(deployed: Project, bob: User) -> None:
    LoopSettings.objects.update(queue_low_water=5, rankings_per_round=1000)
    assert queue_top_up(project=deployed) is None
    assert rank_all(deployed, bob, limit=2) == 2
    run = queue_top_up(project=deployed)
    assert run is not None
    assert (run.step, run.round, len(run.prompts)) == ("sample", None, 10)
    # While it is on its way no second one is started.
    assert queue_top_up(project=deployed) is None
    run_execute(run_id=run.pk)
    assert Task.objects.filter(kind="ranking", status="open").count() == 4 + 10


def test_a_top_up_that_failed_is_not_repeated_at_every_tick(
    deployed: Project, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    LoopSettings.objects.update(queue_low_water=5, rankings_per_round=1000)
    rank_all(deployed, bob)
    monkeypatch.setenv("STUB", "refuse")
    tick()
    run = Run.objects.get(round__isnull=True)
    run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    tick()
    assert Run.objects.filter(round__isnull=True).count() == 1


def test_the_tick_recovers_expires_starts_and_tops_up_and_survives_a_broken_part(
    deployed: Project, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    broken.__name__ = "broken"
    monkeypatch.setattr("training.services.ticking.runs_recover", broken)
    rank_all(deployed, bob)
    tick()
    tick()
    assert deployed.rounds.filter(number=1).count() == 1


def test_tasks_of_other_origin_are_left_alone(deployed: Project, bob: User) -> None:
    rank_all(deployed, bob)
    imported = ranking_task_make(deployed)
    rounds_tick()
    rounds_work(project=deployed)
    imported.refresh_from_db()
    assert imported.status == "open"


def test_random_asks_the_least_asked_first_and_sequential_in_order() -> None:
    candidates = [PromptCandidate(pk, pk % 2, None) for pk in range(10)]
    drawn = strategy_get("random").choose(candidates, 5, random.Random(1))
    assert {choice.prompt_id for choice in drawn} == {0, 2, 4, 6, 8}
    drawn = strategy_get("sequential").choose(candidates, 7, random.Random(1))
    assert [choice.prompt_id for choice in drawn] == [0, 2, 4, 6, 8, 1, 3]
    names = ["disagreement", "random", "sequential", "thompson", "top_two"]
    assert [strategy.name for strategy in strategy_list()] == names
    with pytest.raises(StrategyUnknown) as refusal:
        strategy_get("clairvoyant")
    assert ", ".join(names) in refusal.value.message
