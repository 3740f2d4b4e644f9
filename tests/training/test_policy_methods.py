"""A round turns on other policy methods than PPO: chosen in the settings, run by the real process.

One that needs no reward model, and one that samples in groups; then whole loops without a reward
model, from rankings and from thumbs, and one without a policy. (A random model ends no answer in a
dozen tokens, so rejection sampling has nothing to keep here.)
"""

import pytest
from django.contrib.auth.models import User

from annotation.models import Project, Task
from tests.training.people import demonstrations_make, prompts_make, rank_all, thumb_all
from training.choices import RoundStatus, RunStatus
from training.models import Checkpoint, Deployment, LoopSettings, Round, Run, Sample
from training.selectors.judgements import held_count
from training.services.inline import rounds_work
from training.services.rounds import rounds_tick
from training.services.settings import loop_settings_update

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SMALL = {
    "dpo": {"batch_size": 4, "min_train_rankings": 2},
    "grpo": {"num_steps": 2, "batch_size": 8},
    "best_of_n": {"num_samples": 2},
}


@pytest.fixture
def ranked(project: Project, bob: User, loop: LoopSettings, silence: None) -> Project:
    """A project whose first round is over and whose second has its rankings.

    On so few rankings chance decides whether the reward model passes its gate, so it is off.
    """
    loop_settings_update(actor=None, project=project, gates={"min_pair_accuracy": None})
    prompts = prompts_make(project, 20)
    demonstrations_make(project, bob, prompts[:4])
    rounds_tick()
    rounds_work(project=project)
    rank_all(project, bob)
    return project


def round_with(project: Project, method: str) -> Round:
    loop = LoopSettings.objects.get(project=project)
    overrides = loop.overrides | {method: SMALL.get(method, {})}
    loop_settings_update(actor=None, project=project, policy_method=method, overrides=overrides)
    rounds_tick()
    rounds_work(project=project)
    return Round.objects.get(project=project, number=1)


@pytest.mark.parametrize("method", ["dpo", "grpo"])
def test_a_round_makes_a_policy_by_the_chosen_method(ranked: Project, method: str) -> None:
    round = round_with(ranked, method)
    assert (round.status, round.error_text) == (RoundStatus.SUCCEEDED, "")
    policy = Checkpoint.objects.get(project=ranked, kind="policy")
    assert policy.name == f"{method}-1"
    run = policy.run
    assert run.result["metrics"]
    roles = set(run.run_parents.values_list("role", flat=True))
    assert "reference" in roles
    assert ("reward_model" in roles) == (method != "dpo")


def test_kto_without_a_thumb_stops_the_round_and_says_what_it_needs(ranked: Project) -> None:
    round = round_with(ranked, "kto")
    assert round.status == RoundStatus.FAILED
    run = Run.objects.get(project=ranked, method="kto")
    assert (run.status, run.error_code) == (RunStatus.FAILED, "data_too_small")
    assert "ratings" in run.error_text


def test_a_loop_learns_from_rankings_without_a_reward_model(ranked: Project) -> None:
    loop_settings_update(
        actor=None,
        project=ranked,
        reward_model="none",
        test_reward_model=False,
        policy_method="dpo",
        overrides={"dpo": SMALL["dpo"]},
    )
    rounds_tick()
    rounds_work(project=ranked)
    round = Round.objects.get(project=ranked, number=1)
    assert (round.status, round.error_text) == (RoundStatus.SUCCEEDED, "")
    assert "reward_model" not in round.steps
    assert not Checkpoint.objects.filter(project=ranked, kind="reward_model").exists()
    policy = Checkpoint.objects.get(run__round=round, run__step="policy", step=None)
    assert set(policy.run.run_parents.values_list("role", flat=True)) == {"reference"}
    assert (round.decision, deployed(ranked)) == ("promote", policy)


def test_a_loop_turns_on_thumbs_alone(
    project: Project, bob: User, loop: LoopSettings, silence: None
) -> None:
    """Demonstrations, then thumbs: no ranking is asked for, and no reward model is trained."""
    project.kinds = ["demonstration", "thumbs"]
    project.save()
    loop_settings_update(
        actor=None,
        project=project,
        reward_model="none",
        policy_method="kto",
        overrides=loop.overrides | {"kto": {"batch_size": 4, "min_train_ratings": 2}},
    )
    demonstrations_make(project, bob, prompts_make(project, 20)[:4])
    rounds_tick()
    rounds_work(project=project)
    assert thumb_all(project, bob) == 6
    rounds_tick()
    rounds_work(project=project)
    round = Round.objects.get(project=project, number=1)
    assert (round.status, round.error_text) == (RoundStatus.SUCCEEDED, "")
    assert sum(round.snapshot.manifest["ratings"].values()) == 6
    assert held_count(round.snapshot, "ratings") == 6
    policy = Checkpoint.objects.get(run__round=round, run__step="policy", step=None)
    assert policy.run.result["data"]["num_ratings"] == round.snapshot.manifest["ratings"]["train"]
    assert deployed(project) == policy
    # Its own answers are the next to be rated.
    tasks = Task.objects.filter(project=project, status="open")
    assert set(tasks.values_list("kind", flat=True)) == {"thumbs"}
    assert {sample.checkpoint for sample in Sample.objects.filter(completion__tasks__in=tasks)} == {
        policy
    }


def test_a_loop_that_selects_answers_trains_no_policy(ranked: Project, bob: User) -> None:
    round = round_with(ranked, "best_of_n")
    assert (round.status, round.error_text) == (RoundStatus.SUCCEEDED, "")
    assert round.steps == ["freeze", "reward_model", "calibrate", "deploy", "sample", "queue"]
    assert not Checkpoint.objects.filter(project=ranked, kind="policy").exists()
    reference = Checkpoint.objects.get(project=ranked, kind="sft")
    assert deployed(ranked) == reference
    sample = Run.objects.get(round=round, step="sample")
    assert sample.method == "best_of_n"
    reward_model = Checkpoint.objects.get(run__round=round, run__step="reward_model")
    parents = {parent.role: parent.checkpoint for parent in sample.run_parents.all()}
    assert parents == {"policy": reference, "reward_model": reward_model}
    # The best of 2, four times for each of 6 prompts.
    assert Sample.objects.filter(run=sample, checkpoint=reference).count() == 6 * 4
    assert rank_all(ranked, bob) == 6


def test_answers_are_drawn_plainly_until_there_is_a_reward_model(
    project: Project, bob: User, loop: LoopSettings, silence: None
) -> None:
    loop_settings_update(actor=None, project=project, policy_method="best_of_n")
    demonstrations_make(project, bob, prompts_make(project, 20)[:4])
    rounds_tick()
    rounds_work(project=project)
    assert Run.objects.get(project=project, step="sample").method == "sample"


def deployed(project: Project) -> Checkpoint:
    return Deployment.objects.get(
        project=project, role="primary", retired_at__isnull=True
    ).checkpoint
