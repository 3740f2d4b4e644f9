"""Promote, hold or reject after the gates, and a person's word on it."""

import json

import pytest
from django.contrib.auth.models import User

from annotation.models import AuditEvent, Project, Task
from tests.training.conftest import OVERRIDES, loop_make
from tests.training.loops import due_make, round_turn, until
from tests.training.people import rank_all
from training.choices import RoundStatus
from training.errors import RoundNotRetryable, RoundNotUndecided
from training.models import Checkpoint, LoopSettings, Round, Run
from training.services.checkpoints import deployment_get
from training.services.decisions import round_approve, round_reject
from training.services.inline import rounds_work
from training.services.round_starting import round_start
from training.services.rounds import round_advance, rounds_tick

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("silence")]
TOO_FAR = {"evaluate": {"evaluate/kl_to_reference": 60.0}}
NO_GAIN = {"evaluate": {"evaluate/test_gain": -0.1, "evaluate/test_gain_error": 0.1}}


@pytest.fixture
def due(project: Project, bob: User, inline: None) -> Project:
    loop_make(project)
    due_make(project, bob, is_sft_due=False)
    return project


def measured(monkeypatch: pytest.MonkeyPatch, metrics: dict[str, dict[str, float]]) -> None:
    monkeypatch.setenv("STUB_METRICS", json.dumps(metrics))


def test_a_policy_that_passes_its_gates_is_promoted_with_the_reasons(due: Project) -> None:
    round = round_turn(due)
    assert (round.status, round.decision, round.decided_by) == ("succeeded", "promote", None)
    assert round.decided_at is not None
    gates = {item["gate"]: item["status"] for item in round.decision_data["gates"]}
    assert gates["min_pair_accuracy"] == gates["max_kl"] == "unmeasured"
    assert deployment_get(due.pk).checkpoint.name == "ppo-1"
    assert AuditEvent.objects.filter(verb="round:decided").count() == 1


@pytest.mark.parametrize(("metrics", "decision"), [(TOO_FAR, "reject"), (NO_GAIN, "hold")])
def test_a_policy_that_does_not_pass_reaches_nobody(
    due: Project, monkeypatch: pytest.MonkeyPatch, metrics: dict, decision: str
) -> None:
    measured(monkeypatch, metrics)
    LoopSettings.objects.update(retired_tasks="keep")
    before = set(Task.objects.values_list("pk", "status"))
    round = round_turn(due)
    assert (round.status, round.step, round.decision) == ("succeeded", "decide", decision)
    assert round.error_text == ""
    assert not round.deployments.exists()
    assert not Run.objects.filter(round=round, step="sample").exists()
    assert deployment_get(due.pk).checkpoint.name == "sft-0"
    assert set(Task.objects.values_list("pk", "status")) == before


def test_a_held_round_does_not_keep_the_next_one_from_starting(
    due: Project, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, NO_GAIN)
    held = round_turn(due)
    assert held.decision == "hold"
    measured(monkeypatch, {})
    LoopSettings.objects.update(queue_low_water=8)
    rounds_tick()
    assert Round.objects.count() == 2


def test_a_reward_model_below_its_gate_ends_the_round_before_the_policy(
    due: Project, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, {"reward_model": {"reward_model/held_out_accuracy": 0.4}})
    round = round_turn(due)
    assert (round.status, round.step, round.decision) == ("succeeded", "calibrate", "hold")
    assert "40.0% of the held-out pairs" in round.decision_reason
    assert list(round.runs.values_list("step", flat=True)) == ["reward_model"]
    with pytest.raises(RoundNotUndecided) as refusal:
        round_approve(round=round, actor=alice)
    assert "no policy" in refusal.value.message
    round.refresh_from_db()
    assert round.decision == "hold"


def test_a_policy_waits_for_a_persons_approval(due: Project, alice: User) -> None:
    LoopSettings.objects.update(approval="person")
    round = until(round_start(project=due), waiting_for="approval")
    for _ in range(2):
        round_advance(round_id=round.pk)
    round.refresh_from_db()
    assert (round.status, round.step, round.decision) == ("running", "decide", "")
    assert deployment_get(due.pk).checkpoint.name == "sft-0"
    round_approve(round=round, actor=alice, note="It is polite.")
    with pytest.raises(RoundNotUndecided):
        round_approve(round=round, actor=alice)
    with pytest.raises(RoundNotUndecided):
        round_reject(round=round, actor=alice)
    rounds_work(project=due)
    round.refresh_from_db()
    assert (round.status, round.decision, round.decided_by) == ("succeeded", "promote", alice)
    assert round.decision_reason == "Approved by alice: It is polite."
    assert deployment_get(due.pk).checkpoint.name == "ppo-1"
    assert AuditEvent.objects.filter(verb="round:approved").count() == 1


def test_a_policy_turned_down_by_a_person_reaches_nobody(due: Project, alice: User) -> None:
    LoopSettings.objects.update(approval="person")
    round = until(round_start(project=due), waiting_for="approval")
    round_reject(round=round, actor=alice)
    rounds_work(project=due)
    round.refresh_from_db()
    assert (round.status, round.decision) == ("succeeded", "reject")
    assert round.decision_reason == "Rejected by alice."
    assert not round.deployments.exists()
    with pytest.raises(RoundNotUndecided):
        round_approve(round=round, actor=alice)


def test_of_two_people_who_decide_at_once_the_second_is_told(due: Project, alice: User) -> None:
    LoopSettings.objects.update(approval="person")
    round = until(round_start(project=due), waiting_for="approval")
    # Both pages were opened while it waited.
    seen_by_bob = Round.objects.get(pk=round.pk)
    round_approve(round=round, actor=alice)
    with pytest.raises(RoundNotUndecided, match="promoted"):
        round_reject(round=seen_by_bob, actor=alice)
    assert not AuditEvent.objects.filter(verb="round:rejected").exists()
    assert Round.objects.get(pk=round.pk).decision == "promote"


def test_what_the_gates_turn_down_needs_no_approval(
    due: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    LoopSettings.objects.update(approval="person")
    measured(monkeypatch, TOO_FAR)
    assert round_turn(due).decision == "reject"


@pytest.mark.parametrize("trial_votes", [0, 6])
def test_a_held_policy_may_be_promoted_anyway_and_is_asked_about(
    due: Project, alice: User, monkeypatch: pytest.MonkeyPatch, trial_votes: int
) -> None:
    LoopSettings.objects.update(trial_votes=trial_votes)
    measured(monkeypatch, NO_GAIN)
    round = round_turn(due)
    assert (round.decision, round.step) == ("hold", "decide")
    round_approve(round=round, actor=alice)
    assert round.status == RoundStatus.RUNNING
    rounds_work(project=due)
    round.refresh_from_db()
    assert (round.status, round.decision, round.step) == ("succeeded", "promote", round.steps[-1])
    assert deployment_get(due.pk).checkpoint.name == "ppo-1"
    assert Task.objects.filter(status="open", kind="ranking").count() == 6
    # What the gates had seen stays.
    held = [item["gate"] for item in round.decision_data["gates"] if item["status"] == "hold"]
    assert held == ["min_test_gain"]


def test_only_the_latest_round_can_be_promoted_afterwards(
    due: Project, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, NO_GAIN)
    held = round_turn(due)
    LoopSettings.objects.update(rankings_per_round=1, queue_low_water=4)
    Round.objects.create(
        project=due, number=2, trigger="manual", steps=["freeze"], status="cancelled",
        finished_at=held.finished_at,
    )  # fmt: skip
    with pytest.raises(RoundNotRetryable):
        round_approve(round=held, actor=alice)
    held.refresh_from_db()
    assert (held.status, held.decision) == ("succeeded", "hold")


def test_the_checkpoint_that_the_evaluation_chose_is_deployed(
    due: Project, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    ppo = OVERRIDES["ppo"] | {"num_candidates": 2}
    LoopSettings.objects.update(overrides={**OVERRIDES, "ppo": ppo})
    monkeypatch.setenv("STUB_CHOSEN", "candidate_000001")
    round = round_turn(due)
    assert round.status == RoundStatus.SUCCEEDED, round.error_text
    made = Checkpoint.objects.filter(run__round=round, kind="policy").order_by("pk")
    assert sorted(made.values_list("name", "step")) == [("ppo-1", None), ("ppo-1@1", 1)]
    assert round.chosen.name == deployment_get(due.pk).checkpoint.name == "ppo-1@1"
    sampled = Run.objects.get(round=round, step="sample").run_parents.get(role="policy")
    assert sampled.checkpoint == round.chosen
    assert rank_all(due, bob) == 6
