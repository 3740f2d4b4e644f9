"""A loop that learns from thumbs: what it waits for, what it asks, what it trains."""

import pytest
from django.contrib.auth.models import User

from annotation.models import Project, Task
from tests.factories import demonstration_make, ranking_make, thumb_make
from tests.training.people import demonstrations_make, prompts_make, thumb_all
from training.errors import ConfigInvalid
from training.models import LoopSettings, Round, Run
from training.selectors.loop import Requirement, loop_status, requirement_get, shortage_sentence
from training.services.answer_tasks import answer_tasks_queue
from training.services.base_model import base_checkpoint_get
from training.services.inline import rounds_work
from training.services.queueing import queue_top_up
from training.services.rounds import rounds_tick
from training.services.run_execution import run_execute
from training.services.settings import loop_settings_update
from training.services.snapshots import snapshot_create

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("silence")]


@pytest.fixture
def begun(project: Project, bob: User, small: LoopSettings) -> Project:
    """A project whose base model is deployed, and whose last round saw one of each judgement."""
    project.kinds = ["demonstration", "ranking", "thumbs"]
    project.save()
    base = base_checkpoint_get(base_model=small.base_model)
    project.deployments.create(checkpoint=base)
    demonstration_make(project, bob)
    ranking_make(project, bob)
    thumb_make(project, bob)
    snapshot = snapshot_create(project=project, settings=small)
    Round.objects.create(
        project=project, number=0, steps=["freeze"], status="cancelled", trigger="manual",
        snapshot=snapshot, finished_at=snapshot.created_at,
    )  # fmt: skip
    for _ in range(2):
        ranking_make(project, bob)
    for _ in range(3):
        thumb_make(project, bob)
    return project


# 6 judgements a round; 2 rankings and 3 thumbs are new.
@pytest.mark.parametrize(
    ("kinds", "method", "reward_model", "expected"),
    [
        (["ranking"], "ppo", "scratch", Requirement("rankings", 2, 6)),
        (["demonstration", "ranking", "thumbs"], "ppo", "scratch", Requirement("rankings", 2, 6)),
        (["ranking", "thumbs"], "dpo", "none", Requirement("rankings", 2, 6)),
        (["thumbs"], "kto", "none", Requirement("thumbs", 3, 6)),
        (["ranking", "thumbs"], "kto", "none", Requirement("thumbs", 3, 6)),
        (["ranking", "thumbs"], "kto", "scratch", Requirement("judgements", 5, 6)),
        # Nothing that is collected is of use: it names what would be.
        (["thumbs"], "dpo", "none", Requirement("rankings", 2, 6)),
        (["ranking"], "kto", "none", Requirement("thumbs", 3, 6)),
    ],
)
def test_a_round_waits_for_the_judgements_its_methods_learn_from(
    begun: Project,
    small: LoopSettings,
    kinds: list[str],
    method: str,
    reward_model: str,
    expected: Requirement,
) -> None:
    begun.kinds = kinds
    small.policy_method, small.reward_model = method, reward_model
    assert requirement_get(begun, small) == expected
    # 6 is less than the 16 a person may start with, so it holds for people, too.
    assert requirement_get(begun, small, is_manual=True) == expected


def test_the_dashboard_says_that_it_waits_for_thumbs(begun: Project, small: LoopSettings) -> None:
    begun.kinds = ["thumbs"]
    begun.save()
    LoopSettings.objects.filter(pk=small.pk).update(
        policy_method="kto", reward_model="none", rankings_per_round=20
    )
    status = loop_status(begun)
    assert status.sentence == "Round 1 needs 20 new thumbs; there are 3, so 17 are missing."
    assert status.num_thumbs == 4
    assert not status.can_start
    # By hand 16 are enough: MANUAL_RANKINGS.
    assert shortage_sentence(status.requirement_manual, 1) == (
        "Round 1 needs 16 new thumbs; there are 3, so 13 are missing."
    )


def first_round(project: Project, bob: User, kinds: list[str]) -> Run:
    """Turns round 0 and returns its sampling run."""
    project.kinds = kinds
    project.save()
    demonstrations_make(project, bob, prompts_make(project, 20)[:4])
    rounds_tick()
    rounds_work(project=project)
    return Run.objects.get(project=project, step="sample")


def open_tasks(project: Project, kind: str) -> int:
    return Task.objects.filter(project=project, kind=kind, status="open").count()


def test_answers_become_thumbs_tasks_of_one_completion_each(
    project: Project, bob: User, small: LoopSettings
) -> None:
    project.judgements_per_task = 2
    run = first_round(project, bob, ["demonstration", "thumbs"])
    # A thumbs task shows one answer, so 6 judgements a round take one answer to each of 6 prompts.
    assert run.config["num_completions"] == 1
    assert run.result["queue"]["num_tasks"] == open_tasks(project, "thumbs") == 6
    assert open_tasks(project, "ranking") == 0
    for task in Task.objects.filter(kind="thumbs"):
        assert (task.completions.count(), task.judgements_wanted) == (1, 2)
        assert task.strategy == "random"
    assert answer_tasks_queue(run=run) == (6, 0)
    assert open_tasks(project, "thumbs") == 6, "nothing is made twice"


def test_a_project_of_both_kinds_asks_for_both(
    project: Project, bob: User, small: LoopSettings
) -> None:
    run = first_round(project, bob, ["demonstration", "ranking", "thumbs"])
    # 6 prompts with 4 answers each: 6 to rank, 24 to rate.
    assert (open_tasks(project, "ranking"), open_tasks(project, "thumbs")) == (6, 24)
    assert run.result["queue"]["num_tasks"] == 30


def test_a_low_thumbs_queue_is_topped_up(project: Project, bob: User, small: LoopSettings) -> None:
    first_round(project, bob, ["demonstration", "thumbs"])
    LoopSettings.objects.update(queue_low_water=5, rankings_per_round=1000)
    assert queue_top_up(project=project) is None
    assert thumb_all(project, bob, limit=2) == 2
    project.refresh_from_db()
    run = queue_top_up(project=project)
    assert run is not None
    run_execute(run_id=run.pk)
    # 4 were left, and twice the low-water mark came.
    assert open_tasks(project, "thumbs") == 4 + 10


@pytest.mark.parametrize("method", ["dpo", "ipo", "kto"])
def test_methods_that_learn_from_judgements_directly_do_without_a_reward_model(
    project: Project, small: LoopSettings, method: str
) -> None:
    loop_settings_update(actor=None, project=project, policy_method=method, reward_model="none")
    assert LoopSettings.objects.get().reward_model == "none"


@pytest.mark.parametrize(
    "method", ["ppo", "rloo", "grpo", "reinforce", "rejection_sampling", "best_of_n"]
)
def test_methods_that_learn_from_a_reward_model_are_refused_without(
    project: Project, small: LoopSettings, method: str
) -> None:
    with pytest.raises(ConfigInvalid, match=r"does without \(dpo, ipo, kto\)") as refusal:
        loop_settings_update(actor=None, project=project, policy_method=method, reward_model="none")
    assert refusal.value.extra["field"] == "reward_model"
    assert LoopSettings.objects.get().reward_model == "scratch"
    loop_settings_update(actor=None, project=project, policy_method=method, reward_model="warm")


def test_a_trial_needs_rankings_and_a_new_policy(project: Project, small: LoopSettings) -> None:
    loop_settings_update(actor=None, project=project, trial_votes=20)
    with pytest.raises(ConfigInvalid, match="best_of_n trains none"):
        loop_settings_update(actor=None, project=project, policy_method="best_of_n")
    project.kinds = ["demonstration", "thumbs"]
    project.save()
    with pytest.raises(
        ConfigInvalid, match=r"order answers \(.*\), and this project collects none"
    ):
        loop_settings_update(
            actor=None, project=Project.objects.get(), policy_method="kto", reward_model="none"
        )
