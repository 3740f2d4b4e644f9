"""What a person's judgements changed, in words."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from annotation.models import Project, Task
from annotation.services.assignments import assignment_submit, judgements_freeze
from annotation.services.projects import project_update
from tests.factories import claim_make, completion_ids, labeler_make, ranking_task_make
from tests.training.family import Family, family_make
from training.algorithms.measuring.intervals import wilson_interval
from training.choices import RoundStatus, RoundStep, SamplePurpose
from training.models import Checkpoint, Deployment, Round, Run, Sample
from training.selectors.contributions import Contribution, agreement_with_others, contributions_get

pytestmark = pytest.mark.django_db


@pytest.fixture
def dora(project: Project) -> User:
    return labeler_make(project, "dora")


@pytest.fixture
def family(project: Project, bob: User, dora: User) -> Family:
    """Bob taught round 1 by a ranking among six judgements, and round 3 by a thumb among three."""
    return family_make(project, bob, dora)


def of_round(user: User, project: Project, number: int) -> Contribution:
    found = contributions_get(user, project).rounds
    return next(item for item in found if item.round == number)


def promote(family: Family, number: int, policy: Checkpoint, before: Checkpoint) -> Round:
    """The round put its policy to use in the other one's place."""
    round = Round.objects.get(project=family.project, number=number)
    now = timezone.now()
    Deployment.objects.filter(project=family.project).update(retired_at=now)
    Deployment.objects.create(project=family.project, checkpoint=before, retired_at=now)
    Deployment.objects.create(project=family.project, checkpoint=policy, round=round)
    Round.objects.filter(pk=round.pk).update(decision="promote", decided_at=now)
    return round


def vote(project: Project, annotator: User, winner: Checkpoint, loser: Checkpoint) -> None:
    task = ranking_task_make(project, num_completions=2, judgements_wanted=1)
    won, lost = completion_ids(task)
    for completion, checkpoint in ((won, winner), (lost, loser)):
        Sample.objects.create(
            completion_id=completion, checkpoint=checkpoint, run=checkpoint.run,
            index=Sample.objects.count(), settings={}, seed=1, num_tokens=2, finished=True,
            purpose=SamplePurpose.RANKING,
        )  # fmt: skip
    assignment = claim_make(project, annotator, "ranking")
    assignment_submit(
        assignment_id=assignment.pk, annotator=annotator, payload={"order": [[won], [lost]]}
    )


def test_each_round_says_how_much_of_it_was_the_persons(
    family: Family, project: Project, bob: User, dora: User
) -> None:
    found = contributions_get(bob, project).rounds
    assert [(item.round, item.num_mine, item.num_total) for item in found] == [(3, 1, 3), (1, 1, 6)]
    assert found[0].sentence.startswith(
        "1 judgement of yours was part of the 3 that taught round 3. "
    )
    assert of_round(dora, project, 1).sentence.startswith(
        "5 judgements of yours were part of the 6 that taught round 1. "
    )


def test_a_promoted_policys_win_rate_is_that_of_peoples_blind_votes(
    family: Family, project: Project, bob: User
) -> None:
    policy, before = family.models["ppo-1"], family.models["sft-0"]
    promote(family, 1, policy, before)
    assert of_round(bob, project, 1).win_rate is None
    for winner, loser in ((policy, before), (policy, before), (policy, before), (before, policy)):
        vote(project, bob, winner, loser)
    item = of_round(bob, project, 1)
    assert item.outcome == "promoted"
    assert item.win_rate is not None
    assert (item.win_rate.num, item.win_rate.share) == (4, 0.75)
    assert "Its policy won 75% of 4 blind comparisons against the one before (" in item.sentence


def test_without_votes_the_test_reward_tells(family: Family, project: Project, bob: User) -> None:
    round = promote(family, 1, family.models["ppo-1"], family.models["sft-0"])
    run = Run.objects.filter(round=round).first()
    assert run is not None
    metrics = {"evaluate/test_gain": 0.3125, "evaluate/test_gain_error": 0.0501}
    Run.objects.filter(pk=run.pk).update(step=RoundStep.EVALUATE, result={"metrics": metrics})
    item = of_round(bob, project, 1)
    assert (item.test_gain, item.win_rate) == (0.3125, None)
    assert "gained +0.31 reward" in item.sentence
    assert "standard error 0.05" in item.sentence


@pytest.mark.parametrize(
    ("fields", "outcome", "words"),
    [
        ({"decision": "reject"}, "rejected", "turned down"),
        ({"decision": "hold"}, "held", "held back"),
        ({"status": RoundStatus.FAILED}, "stopped", "stopped before"),
        ({"status": RoundStatus.RUNNING, "finished_at": None}, "running", "under way"),
        ({"decision": "promote", "rolled_back_at": "now"}, "rolled_back", "taken back"),
        ({}, "first", "the first"),
    ],
)
def test_every_outcome_has_its_words(
    family: Family, project: Project, bob: User, fields: dict, outcome: str, words: str
) -> None:
    now = timezone.now()
    fields = {name: now if value == "now" else value for name, value in fields.items()}
    if "decision" in fields:
        fields["decided_at"] = now
    Round.objects.filter(project=project, number=1).update(**fields)
    item = of_round(bob, project, 1)
    assert item.outcome == outcome
    assert words in item.sentence


def test_only_the_first_round_without_a_decision_brought_the_first_policy(
    family: Family, project: Project, bob: User
) -> None:
    """Rounds of best-of-n train no policy and decide on none."""
    first = Round.objects.get(project=project, number=1)
    Deployment.objects.filter(project=project).update(round=first)
    assert [of_round(bob, project, number).outcome for number in (1, 3)] == ["first", "learned"]
    assert "put to use" in of_round(bob, project, 3).sentence


def test_votes_that_are_still_coming_in_are_told_to_nobody(
    family: Family, project: Project, bob: User
) -> None:
    trial = {"trial": {"wins": 3.0, "num": 4, "low": 0.2, "high": 0.9}}
    Round.objects.filter(project=project, number=1).update(
        status=RoundStatus.RUNNING, finished_at=None, waiting_for="votes", decision_data=trial
    )
    item = of_round(bob, project, 1)
    assert (item.outcome, item.win_rate) == ("running", None)


def both_rank(project: Project, num_equal: int, num_other: int, *people: User) -> None:
    for number in range(num_equal + num_other):
        task = ranking_task_make(project, num_completions=2, judgements_wanted=2)
        ids = completion_ids(task)
        for place, person in enumerate(people):
            order = ids if number < num_equal or place == 0 else ids[::-1]
            assignment = claim_make(project, person, "ranking")
            payload = {"order": [[pk] for pk in order]}
            assignment_submit(assignment_id=assignment.pk, annotator=person, payload=payload)
    judgements_freeze(project=project)


def test_agreement_takes_five_shared_tasks(project: Project, bob: User, dora: User) -> None:
    both_rank(project, 3, 1, bob, dora)
    assert agreement_with_others(bob, project) is None
    both_rank(project, 1, 0, bob, dora)
    found = agreement_with_others(bob, project)
    assert found is not None
    assert (found.num_tasks, found.ties, found.marks) == (5, None, None)
    assert found.pairs is not None
    assert (found.pairs.share, found.pairs.num_decisions) == (0.8, 5)
    # Five prompts of one pair each: residuals 4 * 0.2^2 + 0.8^2 = 0.8, variance 0.8 / 25 * 5 / 4
    # = 0.04, and 0.8 * 0.2 / 0.04 = 4 independent trials.
    assert (found.pairs.low, found.pairs.high) == pytest.approx(wilson_interval(0.8, 4.0))


def test_the_api_tells_members_their_own(
    family: Family,
    project: Project,
    bob: User,
    charlie: User,
    api: Callable[[User | None], APIClient],
) -> None:
    path = "/api/v1/projects/project/my-contributions/"
    answer = api(bob).get(path)
    assert answer.status_code == 200
    body = answer.json()
    assert [item["round"] for item in body["rounds"]] == [3, 1]
    assert body["agreement"] is None
    assert body["excluded"] is False
    # Nothing names a model or another person.
    assert "ppo" not in answer.content.decode()
    assert "dora" not in answer.content.decode()
    assert api(charlie).get(path).status_code == 404
    assert api(None).get(path).status_code == 401


def test_other_peoples_work_in_the_project_stays_theirs(
    project: Project, bob: User, dora: User
) -> None:
    project_update(actor=None, project=project, judgements_per_task=2)
    both_rank(project, 6, 0, dora, labeler_make(project))
    assert Task.objects.count() == 6
    assert agreement_with_others(bob, project) is None
    assert contributions_get(bob, project).rounds == []
