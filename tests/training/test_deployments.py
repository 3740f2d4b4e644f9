"""Which policies answer beside each other, what becomes of retired ones' tasks, and rollback."""

import random
from collections import Counter
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from annotation.models import AuditEvent, Project, Task
from annotation.services.assignments import assignment_claim
from tests.factories import ranking_make, ranking_task_make
from tests.training.conftest import loop_make
from tests.training.loops import due_make, round_turn, until
from tests.training.people import rank_all
from training.choices import RoundStatus
from training.errors import NothingToRollBack, RoundNotRetryable
from training.models import Deployment, LoopSettings, Round, Run, Sample
from training.services.checkpoints import deployment_get
from training.services.deployments import deployment_rollback, policies_live
from training.services.inline import rounds_work
from training.services.round_control import round_retry
from training.services.round_starting import round_start
from training.shares import roles_allocate

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("silence")]


@pytest.fixture
def due(project: Project, bob: User, inline: None) -> Project:
    loop_make(project)
    due_make(project, bob, is_sft_due=False)
    return project


def another_round(project: Project, annotator: User) -> Round:
    """Six more rankings, where the queue is empty of tasks of no policy, and their round."""
    for _ in range(6 - rank_all(project, annotator, limit=6)):
        ranking_make(project, annotator)
    round = round_turn(project)
    assert round.status == RoundStatus.SUCCEEDED, round.error_text
    return round


def in_use(project: Project) -> str:
    return deployment_get(project.pk).checkpoint.name


# ---- shares


def test_candidates_are_shared_out_exactly_on_average_and_within_one_each_time() -> None:
    weights = {"policy": 1.0, "previous": 0.5, "reference": 0.25}
    draw = random.Random(3)
    total: Counter[str] = Counter()
    num_prompts = 4000
    for _ in range(num_prompts):
        drawn = Counter(roles_allocate(weights, 4, draw))
        assert drawn.total() == 4
        # 4 * 4/7 = 2.29, 4 * 2/7 = 1.14, 4 * 1/7 = 0.57
        assert drawn["policy"] in (2, 3)
        assert drawn["previous"] in (1, 2)
        assert drawn["reference"] in (0, 1)
        total += drawn
    for role, weight in weights.items():
        expected = 4 * weight / 1.75
        fraction = expected % 1
        error = (fraction * (1 - fraction) / num_prompts) ** 0.5
        assert total[role] / num_prompts == pytest.approx(expected, abs=4 * error)


def test_equal_weights_share_exactly_and_order_tells_nothing() -> None:
    draw = random.Random(3)
    places = [roles_allocate({"a": 2.0, "b": 2.0}, 4, draw) for _ in range(1000)]
    assert all(Counter(drawn) == {"a": 2, "b": 2} for drawn in places)
    # Each place by each as often: 500 of 1,000, with a standard error of 16.
    for place in range(4):
        assert sum(drawn[place] == "a" for drawn in places) == pytest.approx(500, abs=64)


# ---- company


def test_answers_of_one_task_come_from_all_live_policies(due: Project, bob: User) -> None:
    LoopSettings.objects.update(weight_previous=1.0)
    round_turn(due)
    LoopSettings.objects.update(weight_previous=0.5, weight_reference=0.5)
    round = another_round(due, bob)
    live = {role: (item.name, weight) for role, (item, weight) in policies_live(due).items()}
    assert live == {
        "policy": ("ppo-2", 1.0),
        "previous": ("ppo-1", 0.5),
        "reference": ("sft-0", 0.5),
    }
    for task in Task.objects.filter(completions__sample__run__round=round).distinct():
        names = Sample.objects.filter(completion__tasks=task)
        # 4 * 1/2 and 4 * 1/4 are whole, so every task has just these.
        counts = Counter(names.values_list("checkpoint__name", flat=True))
        assert counts == {"ppo-2": 2, "ppo-1": 1, "sft-0": 1}
    weights = Run.objects.get(round=round, step="sample").run_parents
    assert dict(weights.values_list("role", "weight")) == {
        "policy": 1.0, "previous": 0.5, "reference": 0.5,
    }  # fmt: skip


def test_a_policy_that_plays_two_parts_is_deployed_once(due: Project) -> None:
    LoopSettings.objects.update(weight_previous=0.5, weight_reference=0.5)
    round = round_turn(due)
    # The previous policy of round 1 is the reference itself.
    assert sorted(round.deployments.values_list("role", "checkpoint__name")) == [
        ("previous", "sft-0"),
        ("primary", "ppo-1"),
    ]


# ---- what becomes of tasks


@pytest.mark.parametrize(
    ("rule", "status", "priority"),
    [("withdraw", "withdrawn", 0), ("last", "open", -1), ("keep", "open", 0)],
)
def test_unclaimed_tasks_of_retired_policies_go_by_the_setting(
    project: Project, bob: User, inline: None, rule: str, status: str, priority: int
) -> None:
    loop = loop_make(project)
    loop.prompts_per_round = 8
    loop.retired_tasks = rule
    loop.save()
    due_make(project, bob, is_sft_due=False)
    claimed = assignment_claim(project=project, annotator=bob, kind="ranking").task
    (left,) = Task.objects.filter(project=project, status="open", claims=0)
    imported = ranking_task_make(project)
    round = round_turn(project)
    for task in (left, claimed, imported):
        task.refresh_from_db()
    assert (left.status, left.priority) == (status, priority)
    # What somebody is at, and what no policy wrote, is left alone.
    assert (claimed.status, claimed.priority) == ("open", 0)
    assert (imported.status, imported.priority) == ("open", 0)
    fresh = Task.objects.filter(completions__sample__run__round=round, status="open").distinct()
    assert fresh.count() == 8


def test_tasks_of_a_policy_that_stays_beside_the_new_one_stay(
    project: Project, bob: User, inline: None
) -> None:
    loop = loop_make(project)
    loop.prompts_per_round = 8
    loop.weight_previous = 0.5
    loop.save()
    due_make(project, bob, is_sft_due=False)
    round_turn(project)
    assert not Task.objects.filter(project=project, status="withdrawn").exists()


# ---- rollback


def test_a_rollback_brings_the_policy_before_back_and_marks_the_round(
    due: Project, alice: User
) -> None:
    LoopSettings.objects.update(retired_tasks="keep")
    imported = ranking_task_make(due)
    round = round_turn(due)
    assert in_use(due) == "ppo-1"
    deployed = deployment_rollback(project=due, actor=alice, reason="It raves.")
    assert (in_use(due), deployed.round) == ("sft-0", None)
    round.refresh_from_db()
    assert (round.rolled_back_by, round.rollback_reason) == (alice, "It raves.")
    assert round.rolled_back_at is not None
    assert (round.status, round.decision) == ("succeeded", "promote")
    # Its tasks go whatever becomes of retired ones otherwise; others stay.
    reasons = Task.objects.filter(status="withdrawn").values_list("withdrawn_reason", flat=True)
    assert list(reasons) == ["its policy was taken back"] * 6
    imported.refresh_from_db()
    assert imported.status == "open"
    event = AuditEvent.objects.get(verb="deployment:rolled_back")
    assert event.actor == alice


def test_two_rollbacks_go_back_two_policies_and_none_comes_back(
    due: Project, alice: User, bob: User
) -> None:
    LoopSettings.objects.update(weight_previous=0.5, weight_reference=0.25)
    round_turn(due)
    another_round(due, bob)
    assert in_use(due) == "ppo-2"
    deployment_rollback(project=due, actor=alice, reason="first")
    assert in_use(due) == "ppo-1"
    # ppo-2 was taken back: it is no company of the others.
    assert {item.name for item, _ in policies_live(due).values()} == {"ppo-1", "sft-0"}
    marked = {round.number: round.rollback_reason for round in Round.objects.all()}
    assert marked == {0: "", 1: "", 2: "first"}
    deployment_rollback(project=due, actor=alice, reason="second")
    assert in_use(due) == "sft-0"
    marked = {round.number: round.rollback_reason for round in Round.objects.all()}
    # ppo-1 was company in round 2, which keeps its own reason.
    assert marked == {0: "", 1: "second", 2: "first"}
    with pytest.raises(NothingToRollBack):
        deployment_rollback(project=due, actor=alice, reason="third")
    assert in_use(due) == "sft-0"
    # The loop goes on, and the policies taken back stay away after another rollback, too.
    another_round(due, bob)
    assert in_use(due) == "ppo-3"
    assert {item.name for item, _ in policies_live(due).values()} == {"ppo-3", "sft-0"}
    deployment_rollback(project=due, actor=alice, reason="fourth")
    assert in_use(due) == "sft-0"
    with pytest.raises(NothingToRollBack):
        deployment_rollback(project=due, actor=alice, reason="fifth")


def test_a_second_click_takes_nothing_more_back(due: Project, alice: User, bob: User) -> None:
    round_turn(due)
    another_round(due, bob)
    seen = deployment_get(due.pk).checkpoint_id
    deployment_rollback(project=due, actor=alice, reason="bad", checkpoint_id=seen)
    with pytest.raises(NothingToRollBack) as refusal:
        deployment_rollback(project=due, actor=alice, reason="bad", checkpoint_id=seen)
    assert "ppo-1 is" in refusal.value.message
    assert in_use(due) == "ppo-1"
    assert Round.objects.filter(rolled_back_at__isnull=False).count() == 1


def test_without_a_policy_before_nothing_is_rolled_back(due: Project, alice: User) -> None:
    with pytest.raises(NothingToRollBack):
        deployment_rollback(project=due, actor=alice, reason="no")
    assert Deployment.objects.filter(retired_at__isnull=True).count() == 1
    assert not Round.objects.filter(rolled_back_at__isnull=False).exists()


@pytest.mark.parametrize("rule", ["withdraw", "keep"])
def test_a_rollback_in_the_middle_of_its_round_keeps_its_answers_from_people(
    due: Project, alice: User, rule: str
) -> None:
    LoopSettings.objects.update(retired_tasks=rule)
    round = until(round_start(project=due), "queue")
    deployment_rollback(project=due, actor=alice, reason="I saw enough.")
    rounds_work(project=due)
    round.refresh_from_db()
    assert round.status == RoundStatus.SUCCEEDED
    tasks = Task.objects.filter(completions__sample__run__round=round)
    assert not tasks.filter(status="open").exists()
    assert in_use(due) == "sft-0"


def test_a_round_whose_policy_was_deployed_is_not_taken_up_again(due: Project, alice: User) -> None:
    round = round_turn(due)
    deployment_rollback(project=due, actor=alice, reason="bad")
    round.refresh_from_db()
    with pytest.raises(RoundNotRetryable) as refusal:
        round_retry(round=round, step="policy")
    assert "start the next round" in refusal.value.message


def test_asking_twice_over_the_api_takes_back_one(
    due: Project, alice: User, bob: User, api: Callable[[User], APIClient]
) -> None:
    round_turn(due)
    another_round(due, bob)
    asked = {"reason": "It raves.", "checkpoint_id": deployment_get(due.pk).checkpoint_id}
    path = f"/api/v1/projects/{due.slug}/rollback/"
    assert api(alice).post(path, asked, format="json").status_code == 200
    again = api(alice).post(path, asked, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_roll_back")
    assert in_use(due) == "ppo-1"
