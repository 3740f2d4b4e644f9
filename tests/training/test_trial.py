"""A blind trial: people vote on the new policy against the one in use before it is deployed."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from annotation.models import Assignment, Project, Task
from annotation.services.assignments import assignment_claim
from annotation.services.undo import UndoRefused, assignment_undo
from tests.factories import labeler_make, ranking_task_make
from tests.training.conftest import loop_make
from tests.training.loops import due_make, rank_for, until
from training.algorithms.measuring.win_rate import WinRate
from training.choices import RoundStatus
from training.models import Round, Sample
from training.selectors.win_rates import policies_win_rate
from training.services import decisions
from training.services.checkpoints import deployment_get
from training.services.decisions import round_approve, round_reject
from training.services.round_starting import round_start
from training.services.rounds import round_advance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("silence")]
NUM_TASKS = 12


@pytest.fixture
def trial(project: Project, bob: User, inline: None) -> Round:
    """Twelve tasks wait for votes, at most twelve, on the policy of round 1 against sft-0."""
    loop = loop_make(project)
    loop.prompts_per_round = loop.trial_votes = NUM_TASKS
    loop.save()
    due_make(project, bob, is_sft_due=False)
    Task.objects.filter(project=project, status="open").update(status="withdrawn")
    # Older than the trial's tasks, and yet after them.
    ranking_task_make(project)
    return until(round_start(project=project), waiting_for="votes")


def still_open(round: Round) -> list[Task]:
    shown = Task.objects.filter(completions__sample__run__round=round, status="open")
    return list(shown.distinct())


def writers(task: Task) -> dict[int, str]:
    rows = Sample.objects.filter(completion__tasks=task)
    return dict(rows.values_list("completion", "checkpoint__name"))


def vote(round: Round, annotator: User, best: str, num: int) -> Round:
    """Prefers both answers of one policy in the next tasks, then lets the round see it."""
    rank_for(round.project, annotator, best, num)
    round_advance(round_id=round.pk)
    round_advance(round_id=round.pk)
    round.refresh_from_db()
    return round


def test_its_tasks_show_both_policies_and_come_first(trial: Round, bob: User) -> None:
    assert trial.steps[-6:] == ["evaluate", "decide", "sample", "queue", "verdict", "deploy"]
    tasks = still_open(trial)
    assert len(tasks) == NUM_TASKS
    for task in tasks:
        assert sorted(writers(task).values()) == ["ppo-1", "ppo-1", "sft-0", "sft-0"]
    assert deployment_get(trial.project_id).checkpoint.name == "sft-0"
    assert not trial.deployments.exists()
    claimed = assignment_claim(project=trial.project, annotator=bob, kind="ranking")
    assert claimed is not None
    assert claimed.task in tasks


def test_clear_votes_promote_before_all_are_in(trial: Round, bob: User) -> None:
    # All won: above 1/2 from n = 8 on, (20 * 9)^(-1/8) = 0.523; (20 * 8)^(-1/7) = 0.484.
    vote(trial, bob, "ppo-1", 7)
    assert (trial.waiting_for, trial.decision) == ("votes", "")
    assert trial.decision_data["trial"]["num"] == 7
    assert trial.decision_data["trial"]["low"] == pytest.approx(160 ** (-1 / 7))
    vote(trial, bob, "ppo-1", 1)
    assert (trial.status, trial.step) == (RoundStatus.SUCCEEDED, "deploy")
    assert (trial.decision, trial.waiting_for) == ("promote", "")
    assert "won 8 of 8 votes" in trial.decision_reason
    assert deployment_get(trial.project_id).checkpoint.name == "ppo-1"
    # The four that nobody has come to show the policy in use now: they stay.
    assert len(still_open(trial)) == 4


def test_clear_votes_against_it_reject_and_withdraw_its_tasks(trial: Round, bob: User) -> None:
    dora = labeler_make(trial.project)
    held = assignment_claim(project=trial.project, annotator=dora, kind="ranking").task
    vote(trial, bob, "sft-0", 8)
    assert (trial.status, trial.decision) == (RoundStatus.SUCCEEDED, "reject")
    assert "People prefer the policy in use" in trial.decision_reason
    assert deployment_get(trial.project_id).checkpoint.name == "sft-0"
    assert not trial.deployments.exists()
    # What somebody is at is not taken out of their hands.
    assert still_open(trial) == [held]
    withdrawn = Task.objects.filter(withdrawn_reason="the policy on trial was not promoted")
    assert withdrawn.count() == NUM_TASKS - 8 - 1


def votes_of(round: Round, annotator: User) -> list[Assignment]:
    voted = Assignment.objects.filter(
        annotator=annotator, task__completions__sample__run__round=round
    )
    return list(voted.distinct().order_by("finished_at"))


@pytest.mark.parametrize("approval", ["automatic", "person"])
def test_votes_can_be_taken_back_until_they_decide(trial: Round, bob: User, approval: str) -> None:
    Round.objects.filter(pk=trial.pk).update(settings=trial.settings | {"approval": approval})
    vote(trial, bob, "ppo-1", 7)
    first = votes_of(trial, bob)[0]
    assert assignment_undo(assignment_id=first.pk, annotator=bob).status == "active"
    vote(trial, bob, "ppo-1", 2)
    assert trial.decision_data["trial"]["num"] == 8
    assert (trial.waiting_for, trial.decision) == (
        ("", "promote") if approval == "automatic" else ("approval", "")
    )
    for voted in votes_of(trial, bob):
        with pytest.raises(UndoRefused) as refusal:
            assignment_undo(assignment_id=voted.pk, annotator=bob)
        assert refusal.value.extra == {"why": "frozen"}


def test_a_vote_that_is_taken_back_under_a_decision_does_not_decide(
    trial: Round, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    rank_for(trial.project, bob, "ppo-1", 8)
    undone = [votes_of(trial, bob)[0].pk]

    def counted_before_an_undo(**kwargs: Any) -> WinRate:
        win = policies_win_rate(**kwargs)
        while undone:
            assignment_undo(assignment_id=undone.pop(), annotator=bob)
        return win

    monkeypatch.setattr(decisions, "policies_win_rate", counted_before_an_undo)
    round_advance(round_id=trial.pk)
    trial.refresh_from_db()
    assert (trial.waiting_for, trial.decision) == ("votes", "")
    assert trial.decision_data["trial"]["num"] == 7
    # Nothing was decided, so nothing is held.
    assert not any(voted.frozen_at for voted in votes_of(trial, bob))
    assert vote(trial, bob, "ppo-1", 1).decision == "promote"


def test_votes_that_do_not_decide_hold_it_and_a_person_may_promote_it(
    trial: Round, alice: User, bob: User
) -> None:
    vote(trial, bob, "ppo-1", 6)
    vote(trial, bob, "sft-0", 5)
    assert trial.waiting_for == "votes"
    vote(trial, bob, "sft-0", 1)
    assert (trial.status, trial.decision) == (RoundStatus.SUCCEEDED, "hold")
    assert "won 6 of 12 votes" in trial.decision_reason
    assert not trial.deployments.exists()
    round_approve(round=trial, actor=alice, note="I read them all.")
    round_advance(round_id=trial.pk)
    trial.refresh_from_db()
    assert (trial.status, trial.decision) == (RoundStatus.SUCCEEDED, "promote")
    assert trial.decision_reason == "Approved by alice: I read them all."
    assert trial.decision_data["trial"]["num"] == 12
    assert deployment_get(trial.project_id).checkpoint.name == "ppo-1"


def test_the_limit_of_votes_is_that_of_the_settings(
    project: Project, bob: User, inline: None
) -> None:
    loop = loop_make(project)
    loop.trial_votes = 2
    loop.save()
    due_make(project, bob, is_sft_due=False)
    round = until(round_start(project=project), waiting_for="votes")
    vote(round, bob, "ppo-1", 1)
    assert round.waiting_for == "votes"
    vote(round, bob, "ppo-1", 1)
    assert (round.status, round.decision) == (RoundStatus.SUCCEEDED, "hold")
    # Six tasks less the two judged.
    assert Task.objects.filter(withdrawn_reason__startswith="the policy on trial").count() == 4


def test_a_trial_whose_answers_were_all_equal_holds(
    project: Project, bob: User, inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = loop_make(project)
    loop.trial_votes = 2
    loop.save()
    due_make(project, bob, is_sft_due=False)
    monkeypatch.setenv("STUB_EQUAL", "1")
    round = until(round_start(project=project), "verdict")
    round_advance(round_id=round.pk)
    round.refresh_from_db()
    assert (round.status, round.decision) == (RoundStatus.SUCCEEDED, "hold")
    assert "won 0 of 0 votes" in round.decision_reason


def test_a_person_may_end_a_trial(trial: Round, alice: User) -> None:
    round_reject(round=trial, actor=alice)
    round_advance(round_id=trial.pk)
    trial.refresh_from_db()
    assert (trial.status, trial.decision) == (RoundStatus.SUCCEEDED, "reject")
    assert trial.decided_by == alice
    assert not still_open(trial)


def test_after_the_votes_a_person_may_still_be_asked(
    project: Project, bob: User, alice: User, inline: None
) -> None:
    loop = loop_make(project)
    loop.prompts_per_round = loop.trial_votes = NUM_TASKS
    loop.approval = "person"
    loop.save()
    due_make(project, bob, is_sft_due=False)
    Task.objects.filter(project=project, status="open").update(status="withdrawn")
    round = until(round_start(project=project), waiting_for="votes")
    vote(round, bob, "ppo-1", 8)
    assert (round.status, round.waiting_for, round.decision) == ("running", "approval", "")
    assert deployment_get(project.pk).checkpoint.name == "sft-0"
    round_approve(round=round, actor=alice)
    round_advance(round_id=round.pk)
    assert deployment_get(project.pk).checkpoint.name == "ppo-1"


def test_nothing_tells_labelers_who_wrote_what(trial: Round, bob: User, api: Any) -> None:
    answer = api(bob).post(
        reverse("annotation-api:assignment-claim", args=[trial.project.slug]), {}, format="json"
    )
    assert answer.status_code in (200, 201)
    names = _names(answer.json())
    assert "completions" in " ".join(names)
    telling = ("checkpoint", "policy", "run", "role", "round", "sample", "strategy", "priority",
               "score", "origin", "model", "seed", "trial")  # fmt: skip
    assert not [name for name in names if any(word in name.split("_") for word in telling)]
    client = Client()
    client.force_login(bob)
    page = client.get(reverse("judge", args=[trial.project.slug, "ranking"]))
    assert page.status_code == 200
    assert b"ppo-1" not in page.content
    assert b"sft-0" not in page.content


def _names(value: Any) -> list[str]:
    """Every key of a JSON document; a message's role says who speaks, not who wrote it."""
    if isinstance(value, dict):
        keys = [key for key in value if "content" not in value]
        return [*keys, *(name for item in value.values() for name in _names(item))]
    return [name for item in value for name in _names(item)] if isinstance(value, list) else []
