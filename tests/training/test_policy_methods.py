"""A round turns on other policy methods than PPO: chosen in the settings, run by the real process.

One that needs no reward model, and one that samples in groups. (A random model ends no answer in
a dozen tokens, so rejection sampling has nothing to keep here.)
"""

import pytest
from django.contrib.auth.models import User

from annotation.models import Project
from tests.training.people import demonstrations_make, prompts_make, rank_all
from training.choices import RoundStatus, RunStatus
from training.models import Checkpoint, LoopSettings, Round, Run
from training.services.inline import rounds_work
from training.services.rounds import rounds_tick
from training.services.settings import loop_settings_update

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SMALL = {
    "dpo": {"batch_size": 4, "min_train_rankings": 2},
    "grpo": {"num_steps": 2, "batch_size": 8},
}


@pytest.fixture
def ranked(project: Project, bob: User, loop: LoopSettings, silence: None) -> Project:
    """A project whose first round is over and whose second has its rankings."""
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


@pytest.mark.parametrize("method", SMALL)
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
