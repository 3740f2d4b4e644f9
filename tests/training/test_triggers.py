"""What starts a round besides people: judgements, time; once, whoever looks."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from annotation.models import Project
from tests.factories import ranking_make
from tests.training.conftest import loop_make
from tests.training.loops import due_make, round_turn
from tests.training.people import rank_all
from training.choices import RoundStatus, Trigger
from training.errors import RoundAlreadyRunning
from training.models import LoopSettings, Round, Run, Snapshot
from training.selectors.loop import MANUAL_RANKINGS
from training.services.doorbell import doorbell_silenced
from training.services.inline import rounds_work
from training.services.round_control import round_pause
from training.services.round_starting import round_start
from training.services.rounds import rounds_tick

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("file_database", "silence"),
]


@pytest.fixture
def due(project: Project, bob: User, inline: None) -> Project:
    loop_make(project)
    due_make(project, bob, is_sft_due=False)
    return project


def at_once(work, num: int) -> None:
    def each(_: int) -> None:
        try:
            with doorbell_silenced():
                work()
        finally:
            connection.close()

    with ThreadPoolExecutor(num) as pool:
        list(pool.map(each, range(num)))


def test_four_schedulers_start_one_round(due: Project) -> None:
    at_once(rounds_tick, 4)
    assert list(Round.objects.values_list("number", "trigger")) == [
        (0, Trigger.MANUAL),
        (1, Trigger.AUTOMATIC),
    ]
    assert Snapshot.objects.count() == 2
    assert list(Run.objects.filter(round__number=1).values_list("step", flat=True)) == [
        "reward_model"
    ]


def test_a_person_and_the_scheduler_start_one_round(due: Project) -> None:
    refused = []

    def start() -> None:
        try:
            round_start(project=due)
        except RoundAlreadyRunning as refusal:
            refused.append(refusal)

    LoopSettings.objects.update(auto_start=True)
    at_once(start, 4)
    assert Round.objects.count() == 2
    assert len(refused) == 3
    rounds_tick()
    assert Round.objects.count() == 2


def test_a_paused_round_keeps_the_next_one_from_starting(due: Project) -> None:
    round_pause(round=round_start(project=due))
    rounds_tick()
    assert Round.objects.count() == 2
    with pytest.raises(RoundAlreadyRunning):
        round_start(project=due)


def test_the_interval_starts_a_round_with_fewer_rankings(due: Project, bob: User) -> None:
    LoopSettings.objects.update(interval_hours=2.0, rankings_per_round=1000)
    last = Round.objects.get()
    for _ in range(MANUAL_RANKINGS - 6 - 1):
        ranking_make(due, bob)
    # Two hours are over, but there is one ranking too few to learn from.
    begun = timezone.now() - timedelta(hours=2, seconds=1)
    Round.objects.filter(pk=last.pk).update(started_at=begun)
    rounds_tick()
    assert Round.objects.count() == 1
    ranking_make(due, bob)
    # Enough rankings, but not yet two hours.
    Round.objects.filter(pk=last.pk).update(started_at=begun + timedelta(seconds=60))
    rounds_tick()
    assert Round.objects.count() == 1
    Round.objects.filter(pk=last.pk).update(started_at=begun)
    LoopSettings.objects.update(auto_start=False)
    rounds_tick()
    assert Round.objects.count() == 1
    LoopSettings.objects.update(auto_start=True)
    rounds_tick()
    assert Round.objects.get(number=1).trigger == Trigger.INTERVAL


def test_without_an_interval_time_starts_nothing(due: Project, bob: User) -> None:
    LoopSettings.objects.update(rankings_per_round=1000)
    for _ in range(MANUAL_RANKINGS):
        ranking_make(due, bob)
    Round.objects.update(started_at=timezone.now() - timedelta(days=365))
    rounds_tick()
    assert Round.objects.count() == 1


def test_settings_changed_during_a_round_are_for_the_next_one(due: Project, bob: User) -> None:
    round = round_start(project=due)
    before = dict(round.settings)
    LoopSettings.objects.update(
        policy_method="rloo",
        prompts_per_round=11,
        trial_votes=5,
        approval="person",
        weight_reference=1.0,
        gates={"max_kl": 0.0},
        sampling={"temperature": 0.5, "max_new_tokens": 3},
        seed=99,
    )
    rounds_work(project=due)
    round.refresh_from_db()
    assert (round.status, round.decision) == (RoundStatus.SUCCEEDED, "promote")
    assert round.settings == before
    runs = {run.step: run for run in round.runs.all()}
    assert runs["policy"].method == "ppo"
    assert runs["sample"].config["temperature"] == 1.0
    assert len(runs["sample"].prompts) == 6
    assert list(round.deployments.values_list("role", flat=True)) == ["primary"]
    assert rank_all(due, bob) == 6
    later = round_start(project=due)
    assert later.settings["policy_method"] == "rloo"
    assert later.steps[-1] == "deploy"


def test_a_round_of_ones_own_settings_is_the_same_again(due: Project, bob: User) -> None:
    """The settings a round keeps are all there are, so that nothing is read from elsewhere."""
    round = round_turn(due)
    stored = LoopSettings.objects.get(project=due)
    names = {field.name for field in LoopSettings._meta.concrete_fields}
    assert set(round.settings) == names - {"id", "created_at", "project"}
    assert all(value == getattr(stored, name) for name, value in round.settings.items())
