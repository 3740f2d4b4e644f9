"""Lineage both ways, and a labeler whose work is taken out and put back."""

import json
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from annotation.choices import Role
from annotation.models import Demonstration, Exclusion, Project, Ranking, Thumb
from annotation.services.assignments import assignment_submit
from annotation.services.exclusions import labeler_exclude, labeler_readmit
from annotation.services.projects import membership_set
from tests.factories import (
    claim_make,
    completion_ids,
    demonstration_make,
    labeler_make,
    ranking_make,
    ranking_task_make,
    thumb_make,
    user_make,
)
from tests.training.family import BOBS, Family, family_make, model_make, sampled
from tests.training.people import prompts_make
from training.algorithms.methods import method_get
from training.choices import PolicyStart, RewardModelUse, RoundStatus, Trigger
from training.errors import RoundAlreadyRunning
from training.models import (
    LoopSettings,
    Round,
    Sample,
    Snapshot,
)
from training.selectors.checkpoints import checkpoint_list
from training.selectors.judgements import held_count
from training.selectors.lineage import (
    checkpoint_affected_by,
    checkpoint_ancestry,
    checkpoints_affected,
    completion_get_origin,
    labeler_lineage,
    sft_is_affected,
)
from training.selectors.loop import loop_status, requirement_get
from training.selectors.plans import round_plan
from training.selectors.win_rates import policies_win_rate
from training.services import forgetting
from training.services.checkpoints import step_values
from training.services.forgetting import labeler_forget
from training.services.snapshots import snapshot_create, snapshot_folder

Api = Callable[[User | None], APIClient]

pytestmark = pytest.mark.django_db


@pytest.fixture
def dora(project: Project) -> User:
    return labeler_make(project, "dora")


@pytest.fixture
def rita(project: Project) -> User:
    rita = user_make("rita")
    membership_set(actor=None, project=project, user=rita, role=Role.REVIEWER)
    return rita


@pytest.fixture
def family(project: Project, bob: User, dora: User) -> Family:
    return family_make(project, bob, dora)


# Whose judgements are frozen


def frozen_ids(snapshot: Snapshot, name: str) -> list[int]:
    text = (snapshot_folder(snapshot.hash) / f"{name}.jsonl").read_text()
    return [json.loads(line)["id"] for line in text.splitlines()]


def test_a_snapshot_leaves_out_the_excluded_and_readmitting_brings_them_back(
    project: Project, alice: User, bob: User, dora: User, small: LoopSettings
) -> None:
    for prompt in prompts_make(project, 3):
        ranking_make(project, bob, prompt=prompt)
        demonstration_make(project, bob, "From Bob.", prompt)
        thumb_make(project, bob, prompt=prompt)
    kept = ranking_make(project, dora)
    before = snapshot_create(project=project, settings=small)
    labeler_exclude(project=project, user=bob, actor=alice, reason="Random clicks")
    without = snapshot_create(project=project, settings=small)
    assert frozen_ids(without, "rankings") == [kept.pk]
    assert frozen_ids(without, "demonstrations") == frozen_ids(without, "ratings") == []
    assert list(without.assignments.all()) == [kept.assignment]
    # The prompts are nobody's judgement: all four stay. What was frozen before stays as it was.
    assert len((snapshot_folder(without.hash) / "prompts.jsonl").read_text().splitlines()) == 4
    assert held_count(before, "rankings") == len(frozen_ids(before, "rankings")) == 4
    assert (Ranking.objects.count(), Demonstration.objects.count(), Thumb.objects.count()) == (
        4,
        3,
        3,
    )
    labeler_readmit(project=project, user=bob, actor=alice)
    assert snapshot_create(project=project, settings=small) == before


def test_the_next_round_waits_for_judgements_that_count(
    family: Family, project: Project, alice: User, bob: User, small: LoopSettings
) -> None:
    # The last round's snapshot has no ranking: Dora's three and Bob's one are new.
    assert requirement_get(project, small).have == 4
    assert loop_status(project).num_rankings == 4
    labeler_exclude(project=project, user=bob, actor=alice, reason="Random clicks")
    assert requirement_get(project, small).have == 3
    assert loop_status(project).num_rankings == 3
    # Were the last round's snapshot the one with all four, Bob's would be neither old nor new.
    Round.objects.filter(number=3).update(snapshot=family.snapshots[1])
    assert requirement_get(project, small).have == 0


# Which models learned from a person


def test_the_affected_models_are_exactly_those_that_descend_from_a_reader(
    family: Family, project: Project, alice: User, bob: User, dora: User
) -> None:
    assert checkpoints_affected(project) == set()
    labeler_exclude(project=project, user=bob, actor=alice, reason="Random clicks")
    assert family.names(checkpoints_affected(project)) == BOBS
    assert not sft_is_affected(project)
    for name, checkpoint in family.models.items():
        expected = [bob] if name in BOBS else []
        assert checkpoint_affected_by(checkpoint) == expected, name
    marks = {row.name: row.affected for row in checkpoint_list(project)}
    assert {name for name, affected in marks.items() if affected} == BOBS
    assert len(marks) == 9
    labeler_readmit(project=project, user=bob, actor=alice)
    assert checkpoints_affected(project) == set()


def test_who_wrote_the_demonstrations_taught_every_model(
    family: Family, project: Project, alice: User, bob: User, dora: User
) -> None:
    for user in (dora, bob):
        labeler_exclude(project=project, user=user, actor=alice, reason="Withdrew consent")
    assert family.names(checkpoints_affected(project)) == set(family.models) - {"base"}
    assert sft_is_affected(project)
    assert checkpoint_affected_by(family.models["ppo-1"]) == [bob, dora]
    assert checkpoint_affected_by(family.models["sft-1"]) == [dora]


def test_a_persons_lineage_names_snapshots_rounds_and_models_with_shares(
    family: Family, project: Project, bob: User
) -> None:
    lineage = labeler_lineage(project, bob)
    assert (lineage.username, lineage.exclusion) == ("bob", None)
    assert lineage.judgements == {"demonstration": 0, "ranking": 1, "thumbs": 1}
    assert lineage.rounds == [3, 1]
    # Snapshot 1: 4 rankings and 2 demonstrations; snapshot 3: a thumb and 2 demonstrations.
    shares = [(item.rounds, item.judgements, item.total) for item in lineage.snapshots]
    assert shares == [([3], {"thumbs": 1}, 3), ([1], {"ranking": 1}, 6)]
    assert lineage.snapshots[1].share == pytest.approx(1 / 6)
    models = {item.name: item for item in lineage.checkpoints}
    assert set(models) == BOBS
    # rm-1 read 4 rankings and 2 demonstrations, kto-4 one rating; the others what rm-1 read.
    assert {name: item.share for name, item in models.items()} == {
        "rm-1": pytest.approx(1 / 6),
        "ppo-1": pytest.approx(1 / 6),
        "ppo-1/10": pytest.approx(1 / 6),
        "ppo-2": pytest.approx(1 / 6),
        "kto-4": pytest.approx(1),
    }
    assert {name for name, item in models.items() if item.is_direct} == {"rm-1", "kto-4"}
    assert {name for name, item in models.items() if item.is_deployed} == {"ppo-2"}
    assert (models["rm-1"].round, models["rm-1"].kind_title) == (1, "Reward model")


def test_somebody_who_judged_nothing_taught_nothing(family: Family, charlie: User) -> None:
    lineage = labeler_lineage(family.project, charlie)
    assert lineage.num_judgements == 0
    assert lineage.snapshots == lineage.rounds == lineage.checkpoints == []


# What else must not carry withdrawn work on


def test_nothing_new_starts_from_a_model_that_learned_from_withdrawn_work(
    family: Family, project: Project, alice: User, bob: User, dora: User, small: LoopSettings
) -> None:
    small.reward_model, small.policy_start = RewardModelUse.WARM, PolicyStart.PREVIOUS

    def starts_from(step: str, method: str) -> str | None:
        round = Round(project=project, number=9, step=step)
        return step_values(round, small, method_get(method)).get("start")

    assert starts_from("reward_model", "reward_model") == "warm"
    assert starts_from("policy", "ppo") == "policy"
    # Bob taught the deployed ppo-2 and not rm-2, the newest reward model. Dora taught both.
    labeler_exclude(project=project, user=bob, actor=alice, reason="Random clicks")
    assert starts_from("reward_model", "reward_model") == "warm"
    assert starts_from("policy", "ppo") is None
    labeler_exclude(project=project, user=dora, actor=alice, reason="Withdrew consent")
    assert starts_from("reward_model", "reward_model") is None


def test_the_next_round_trains_the_sft_again_when_its_author_is_forgotten(
    family: Family, project: Project, alice: User, bob: User, dora: User, small: LoopSettings
) -> None:
    # The SFT saw both demonstrations; four new ones would be needed.
    assert "sft" not in round_plan(project, small)
    labeler_exclude(project=project, user=bob, actor=alice, reason="Random clicks")
    assert "sft" not in round_plan(project, small)
    labeler_exclude(project=project, user=dora, actor=alice, reason="Withdrew consent")
    assert round_plan(project, small)[:2] == ["freeze", "sft"]


def test_the_votes_of_the_excluded_do_not_count(
    family: Family, project: Project, alice: User, bob: User, dora: User
) -> None:
    new, old = family.models["ppo-3"], family.models["ppo-1"]
    task = ranking_task_make(project, num_completions=2, judgements_wanted=2)
    for checkpoint, completion_id in zip((new, old), completion_ids(task), strict=True):
        Sample.objects.create(
            completion_id=completion_id, checkpoint=checkpoint, run=checkpoint.run, index=0,
            settings={}, seed=1, num_tokens=2, finished=True, purpose="ranking",
        )  # fmt: skip
    for person, order in ((dora, completion_ids(task)), (bob, completion_ids(task)[::-1])):
        assignment = claim_make(project, person, "ranking")
        payload = {"order": [[pk] for pk in order]}
        assignment_submit(assignment_id=assignment.pk, annotator=person, payload=payload)
    # One task, its two votes averaged: (1 + 0) / 2; then Dora's alone.
    assert policies_win_rate(project=project, policy=new, other=old).wins == 0.5
    labeler_exclude(project=project, user=bob, actor=alice, reason="Random clicks")
    rate = policies_win_rate(project=project, policy=new, other=old)
    assert (rate.wins, rate.num) == (1, 1)


# From a completion back to its teachers


def test_a_completion_leads_back_to_the_labelers_of_each_ancestor(
    family: Family, project: Project, alice: User, bob: User, dora: User
) -> None:
    labeler_exclude(project=project, user=bob, actor=alice, reason="Random clicks")
    origin = completion_get_origin(project, sampled(family, "ppo-1"), show_names=True)
    entries = {entry["checkpoint"]: entry for entry in origin["ancestry"]}
    assert list(entries) == ["ppo-1", "sft-0", "rm-1", "base"]
    assert entries["rm-1"]["labelers"] == [
        {
            "user_id": dora.pk,
            "username": "dora",
            "excluded": False,
            "judgements": {"demonstration": 2, "ranking": 3},
        },
        {"user_id": bob.pk, "username": "bob", "excluded": True, "judgements": {"ranking": 1}},
    ]
    # SFT reads demonstrations alone; nobody taught the base model here.
    assert [item["username"] for item in entries["sft-0"]["labelers"]] == ["dora"]
    assert entries["base"]["labelers"] == []
    assert {item["role"] for item in entries["ppo-1"]["parents"]} == {"reference", "reward_model"}


def test_without_names_the_counts_remain(family: Family) -> None:
    (first, *_) = checkpoint_ancestry(family.models["rm-1"])
    assert [(item["user_id"], item["username"]) for item in first["labelers"]] == [(None, None)] * 2
    assert [sum(item["judgements"].values()) for item in first["labelers"]] == [5, 1]


# Forgetting


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """Rounds are asked for and not started."""
    asked: list[dict] = []
    monkeypatch.setattr(forgetting, "round_start", lambda **how: asked.append(how))
    return asked


def test_forgetting_excludes_and_asks_for_a_round_of_its_own_trigger(
    family: Family, project: Project, alice: User, bob: User, starts: list[dict]
) -> None:
    done = labeler_forget(project=project, user=bob, actor=alice, reason="Random clicks")
    assert Exclusion.objects.get(lifted_at=None) == done.exclusion
    assert starts == [{"project": project, "actor": alice, "trigger": Trigger.FORGET}]


def test_no_round_is_asked_for_when_nothing_learned_or_nobody_wants_it(
    family: Family, project: Project, alice: User, bob: User, starts: list[dict]
) -> None:
    newcomer = labeler_make(project)
    ranking_make(project, newcomer)
    labeler_forget(project=project, user=newcomer, actor=alice, reason="Left")
    labeler_forget(project=project, user=bob, actor=alice, reason="Left", retrain=False)
    assert starts == []
    assert Exclusion.objects.count() == 2


def test_a_round_that_cannot_start_is_told_and_the_exclusion_stays(
    family: Family, project: Project, alice: User, bob: User, small: LoopSettings
) -> None:
    Round.objects.filter(number=3).update(status=RoundStatus.RUNNING, finished_at=None)
    done = labeler_forget(project=project, user=bob, actor=alice, reason="Random clicks")
    assert isinstance(done.refusal, RoundAlreadyRunning)
    assert done.round is None
    assert Exclusion.objects.filter(user=bob, lifted_at=None).count() == 1


# The API

BASE = "/api/v1/projects/project"


def refused(answer: object, status: int, code: str) -> bool:
    return (answer.status_code, answer.json()["code"]) == (status, code)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("get", "members/{bob}/lineage/"),
        ("post", "members/{bob}/exclude/"),
        ("post", "members/{bob}/readmit/"),
    ],
)
def test_only_admins_see_and_decide_what_becomes_of_a_persons_work(
    family: Family, api: Api, alice: User, bob: User, rita: User, charlie: User,
    starts: list[dict], method: str, address: str,
) -> None:  # fmt: skip
    path = f"{BASE}/{address.format(bob=bob.pk)}"

    def ask(user: User | None) -> object:
        return getattr(api(user), method)(path, {"reason": "Spam"}, format="json")

    for user in (bob, rita):
        assert refused(ask(user), 403, "permission_denied")
    assert refused(ask(charlie), 404, "not_found")
    assert ask(None).status_code == 401  # type: ignore[attr-defined]
    assert Exclusion.objects.count() == 0
    if "readmit" in path:
        labeler_exclude(project=family.project, user=bob, actor=alice, reason="Spam")
    assert ask(alice).status_code == 200  # type: ignore[attr-defined]


def test_a_labeler_sees_their_own_lineage_and_nobody_elses(
    family: Family, api: Api, bob: User, dora: User, charlie: User
) -> None:
    mine = api(bob).get(f"{BASE}/me/lineage/").json()
    assert mine["judgements"] == {"demonstration": 0, "ranking": 1, "thumbs": 1}
    assert (mine["excluded"], mine["rounds"]) == (False, [3, 1])
    assert {item["name"] for item in mine["checkpoints"]} == BOBS
    # Nothing that counts or names what others gave.
    assert set(mine) == {"excluded", "judgements", "rounds", "checkpoints"}
    assert all("share" not in item for item in mine["checkpoints"])
    assert "dora" not in json.dumps(mine)
    assert refused(api(bob).get(f"{BASE}/members/{dora.pk}/lineage/"), 403, "permission_denied")
    assert refused(api(charlie).get(f"{BASE}/me/lineage/"), 404, "not_found")


def test_forgetting_and_readmitting_through_the_api(
    family: Family, api: Api, alice: User, bob: User, small: LoopSettings
) -> None:
    Round.objects.filter(number=3).update(status=RoundStatus.RUNNING, finished_at=None)
    path = f"{BASE}/members/{bob.pk}"
    answers = [
        api(alice).post(f"{path}/exclude/", {"reason": "Spam"}, format="json").json()
        for _ in range(2)
    ]
    assert answers[0]["exclusion"]["id"] == answers[1]["exclusion"]["id"]
    assert answers[0]["exclusion"]["excluded_by"] == "alice"
    assert (answers[0]["round"], answers[0]["warning"]["code"]) == (None, "round_already_running")
    affected = {
        row["name"]: row["affected"]
        for row in api(alice).get(f"{BASE}/checkpoints/").json()["results"]
    }
    assert {name for name, is_affected in affected.items() if is_affected} == BOBS
    assert api(alice).get(f"{path}/lineage/").json()["exclusion"]["reason"] == "Spam"
    assert api(alice).post(f"{path}/readmit/").json()["lifted_by"] == "alice"
    assert refused(api(alice).post(f"{path}/readmit/"), 409, "labeler_not_excluded")
    assert refused(
        api(alice).post(f"{path}/exclude/", {"reason": ""}, format="json"), 400, "invalid_input"
    )


def test_reviewers_read_the_ancestry_without_names(
    family: Family, api: Api, alice: User, bob: User, rita: User, charlie: User
) -> None:
    path = f"{BASE}/checkpoints/{family.models['rm-1'].pk}/ancestry/"
    origin = f"{BASE}/completions/{sampled(family, 'rm-1')}/origin"

    def labelers(user: User) -> list[list[dict]]:
        direct, *_ = api(user).get(path).json()
        sampler, *_ = api(user).get(origin).json()["ancestry"]
        return [direct["labelers"], sampler["labelers"]]

    for seen in labelers(rita):
        assert [item["username"] for item in seen] == [None, None]
        assert [item["judgements"].get("ranking") for item in seen] == [3, 1]
    for seen in labelers(alice):
        assert [item["username"] for item in seen] == ["dora", "bob"]
    assert refused(api(bob).get(path), 403, "permission_denied")
    assert refused(api(charlie).get(path), 404, "not_found")
    missing = f"{BASE}/checkpoints/{family.models['base'].pk}/ancestry/"
    assert refused(api(alice).get(missing), 404, "not_found")


def test_the_list_of_checkpoints_needs_as_many_queries_however_long_it_is(
    family: Family, api: Api, alice: User, bob: User
) -> None:
    labeler_exclude(project=family.project, user=bob, actor=alice, reason="Spam")

    def num_queries(num_rows: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert len(api(alice).get(f"{BASE}/checkpoints/").json()["results"]) == num_rows
        return len(queries)

    before = num_queries(9)
    for step in (1, 2, 3):
        model_make(family.models["ppo-1"].run, "policy", f"ppo-1/{step}", step=step)
    assert num_queries(12) == before
