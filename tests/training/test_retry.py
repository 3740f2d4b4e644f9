"""Taking a round up again from a step: what came of it is replaced, and kept as history."""

import json

import pytest
from django.contrib.auth.models import User

from annotation.models import Project, Task
from tests.factories import ranking_make
from tests.training.conftest import OVERRIDES, loop_make
from tests.training.loops import due_make, outcome, round_turn, until
from training.choices import RoundStatus
from training.errors import ConfigInvalid, RoundNotRetryable
from training.models import Checkpoint, LoopSettings, Metric, Round, Run
from training.selectors.judgements import held_count
from training.services.answer_tasks import answer_tasks_queue
from training.services.checkpoints import deployment_get
from training.services.inline import rounds_work
from training.services.round_control import round_cancel, round_retry
from training.services.round_starting import round_start

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("silence")]
TOO_FAR = json.dumps({"evaluate": {"evaluate/kl_to_reference": 60.0}})


@pytest.fixture
def due(project: Project, bob: User, inline: None) -> Project:
    loop_make(project)
    due_make(project, bob, is_sft_due=False)
    return project


@pytest.fixture
def rejected(due: Project, monkeypatch: pytest.MonkeyPatch) -> Round:
    monkeypatch.setenv("STUB_METRICS", TOO_FAR)
    round = round_turn(due)
    assert (round.status, round.decision) == ("succeeded", "reject")
    monkeypatch.setenv("STUB_METRICS", "{}")
    return round


def steps(round: Round, is_history: bool) -> list[str]:
    runs = Run.objects.filter(round=round, superseded_at__isnull=not is_history)
    return list(runs.order_by("pk").values_list("step", flat=True))


def test_from_an_earlier_step_its_runs_are_made_anew_by_the_settings_of_now(
    rejected: Round,
) -> None:
    plan = list(rejected.steps)
    snapshot = rejected.snapshot
    ppo = OVERRIDES["ppo"] | {"kl_coefficient": 0.7}
    LoopSettings.objects.update(overrides={**OVERRIDES, "ppo": ppo})
    round_retry(round=rejected, step="policy")
    assert (rejected.status, rejected.step, rejected.decision) == ("running", "policy", "")
    assert (rejected.decision_reason, rejected.decided_at, rejected.chosen) == ("", None, None)
    # The reward model's gate was passed before, and stays.
    assert [item["gate"] for item in rejected.decision_data["gates"]] == ["min_pair_accuracy"]
    rounds_work(project=rejected.project)
    rejected.refresh_from_db()
    assert (rejected.status, rejected.decision) == (RoundStatus.SUCCEEDED, "promote")
    assert (rejected.steps, rejected.snapshot) == (plan, snapshot)
    assert steps(rejected, is_history=True) == ["policy", "evaluate"]
    assert steps(rejected, is_history=False) == ["reward_model", "policy", "evaluate", "sample"]
    policy = Run.objects.get(round=rejected, step="policy", superseded_at=None)
    assert policy.config["kl_coefficient"] == 0.7
    # Two policies of one name; the one replaced is still there, with its curve.
    assert Checkpoint.objects.filter(name="ppo-1").count() == 2
    assert deployment_get(rejected.project_id).checkpoint.run == policy
    old = Run.objects.get(round=rejected, step="policy", superseded_at__isnull=False)
    assert Metric.objects.filter(run=old).exists()
    assert old.result


def test_from_the_first_step_the_data_is_frozen_anew(rejected: Round, bob: User) -> None:
    ranking_make(rejected.project, bob)
    before = held_count(rejected.snapshot, "rankings")
    round_retry(round=rejected, step="freeze")
    assert rejected.snapshot is None
    rounds_work(project=rejected.project)
    rejected.refresh_from_db()
    assert rejected.status == RoundStatus.SUCCEEDED
    assert held_count(rejected.snapshot, "rankings") == before + 1
    assert steps(rejected, is_history=True) == ["reward_model", "policy", "evaluate"]


def test_a_retry_in_between_ends_like_a_round_left_alone(due: Project) -> None:
    round = until(round_start(project=due), "evaluate")
    round_cancel(round=round)
    round_retry(round=round, step="reward_model")
    rounds_work(project=due)
    found = outcome(round)
    assert found["status"] == ("succeeded", "queue", "")
    assert found["decision"][0] == "promote"
    # 6 tasks of 4 answers each.
    assert sum(found["tasks"].values()) == 6
    assert found["samples"]["sample", "ppo-1", "ranking"] == 24
    assert steps(round, is_history=True) == ["reward_model", "policy"]


def test_tasks_of_a_replaced_trial_are_withdrawn(due: Project) -> None:
    LoopSettings.objects.update(trial_votes=6)
    round = until(round_start(project=due), waiting_for="votes")
    replaced = Task.objects.filter(completions__sample__run__round=round).distinct()
    replaced = set(replaced.values_list("pk", flat=True))
    assert len(replaced) == 6
    round_cancel(round=round)
    round_retry(round=round, step="policy")
    until(round, waiting_for="votes")
    withdrawn = Task.objects.filter(status="withdrawn")
    assert set(withdrawn.values_list("pk", flat=True)) == replaced
    assert set(withdrawn.values_list("withdrawn_reason", flat=True)) == {
        "its round was taken up again from an earlier step"
    }
    assert Task.objects.filter(status="open", priority=1).count() == 6


def test_a_replaced_runs_answers_make_no_more_tasks(due: Project) -> None:
    """As when a worker was in the middle of queueing them."""
    LoopSettings.objects.update(trial_votes=6)
    round = until(round_start(project=due), "queue")
    old = Run.objects.get(round=round, step="sample")
    round_cancel(round=round)
    round_retry(round=round, step="policy")
    assert answer_tasks_queue(run=old) == (0, 0)
    assert not Task.objects.filter(completions__sample__run=old).exists()


def test_where_it_stopped_its_run_goes_on_with_its_state(
    due: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB", "refuse")
    round = round_turn(due)
    assert (round.status, round.step) == (RoundStatus.FAILED, "reward_model")
    failed = Run.objects.get(round=round)
    monkeypatch.setenv("STUB", "succeed")
    LoopSettings.objects.update(policy_method="rloo")
    round_retry(round=round)
    rounds_work(project=due)
    round.refresh_from_db()
    assert round.status == RoundStatus.SUCCEEDED
    assert Run.objects.get(round=round, step="reward_model") == failed
    # Not taken up from an earlier step, so with the settings it began with.
    assert Run.objects.get(round=round, step="policy").method == "ppo"


@pytest.mark.parametrize(
    ("step", "words"),
    [("", "name the step"), ("sample", "not come to a step"), ("sft", "not come to a step"),
     ("nonsense", "not come to a step")],
)  # fmt: skip
def test_steps_it_has_not_come_to_are_refused(rejected: Round, step: str, words: str) -> None:
    before = outcome(rejected)
    with pytest.raises(RoundNotRetryable) as refusal:
        round_retry(round=rejected, step=step)
    assert words in refusal.value.message
    assert outcome(rejected) == before


def test_a_running_a_deployed_and_an_earlier_round_are_not_taken_up_again(
    due: Project, bob: User
) -> None:
    round = round_start(project=due)
    with pytest.raises(RoundNotRetryable) as refusal:
        round_retry(round=round, step="freeze")
    assert "cancel it first" in refusal.value.message
    rounds_work(project=due)
    round.refresh_from_db()
    with pytest.raises(RoundNotRetryable) as refusal:
        round_retry(round=round, step="policy")
    assert "deployed" in refusal.value.message
    first = Round.objects.get(number=0)
    with pytest.raises(RoundNotRetryable) as refusal:
        round_retry(round=first, step="freeze")
    assert "latest" in refusal.value.message


def test_settings_that_mean_nothing_change_nothing(rejected: Round) -> None:
    before = outcome(rejected)
    LoopSettings.objects.update(gates={"max_kl": -1.0})
    with pytest.raises(ConfigInvalid) as refusal:
        round_retry(round=rejected, step="policy")
    assert refusal.value.extra["field"] == "max_kl"
    assert outcome(rejected) == before
    assert steps(rejected, is_history=True) == []
