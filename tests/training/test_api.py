"""The API of the loop: who may see and do what, and what it costs."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from annotation.choices import Role
from annotation.models import AuditEvent, Project
from annotation.services.projects import membership_set
from tests.factories import user_make
from tests.training.people import demonstrations_make, prompts_make, rank_all
from training.gates import Gates
from training.models import LoopSettings, Round, Run, Sample
from training.services.inline import rounds_work
from training.services.rounds import rounds_tick

Api = Callable[[User | None], APIClient]

ACTIONS = ("pause", "resume", "cancel", "retry", "approve", "reject")

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("silence")]


@pytest.fixture
def rita(project: Project) -> User:
    rita = user_make("rita")
    membership_set(actor=None, project=project, user=rita, role=Role.REVIEWER)
    return rita


@pytest.fixture
def turned(project: Project, bob: User, small: LoopSettings) -> Project:
    """Rounds 0 and 1 are over."""
    demonstrations_make(project, bob, prompts_make(project, 30)[:4])
    for _ in range(2):
        rounds_tick()
        rounds_work(project=project)
        rank_all(project, bob, limit=6)
    return project


def reads(project: Project) -> list[str]:
    base = f"/api/v1/projects/{project.slug}"
    completion = Sample.objects.values_list("completion", flat=True)[0]
    return [
        f"{base}/loop/",
        f"{base}/rounds/",
        f"{base}/runs/",
        f"{base}/checkpoints/",
        f"{base}/deployments/",
        f"{base}/loop/preset/",
        f"{base}/completions/{completion}/origin",
        f"/api/v1/rounds/{Round.objects.values_list('pk', flat=True)[0]}/",
        f"/api/v1/runs/{Run.objects.values_list('pk', flat=True)[0]}/",
        f"/api/v1/runs/{Run.objects.values_list('pk', flat=True)[0]}/metrics/",
    ]


def writes(project: Project) -> list[tuple[str, str, dict[str, Any]]]:
    base = f"/api/v1/projects/{project.slug}"
    item, run = Round.objects.all()[0], Run.objects.all()[0]
    return [
        ("patch", f"{base}/loop/", {"rankings_per_round": 9}),
        ("post", f"{base}/loop/preset/", {"name": "hh"}),
        ("post", f"{base}/rounds/", {}),
        ("post", f"{base}/rollback/", {"reason": "It flatters."}),
        *[("post", f"/api/v1/rounds/{item.pk}/{action}/", {}) for action in ACTIONS],
        ("post", f"/api/v1/runs/{run.pk}/cancel/", {}),
        ("post", f"/api/v1/runs/{run.pk}/retry/", {}),
    ]


def test_reviewers_read_labelers_are_refused_and_strangers_learn_nothing(
    turned: Project, api: Api, rita: User, bob: User, charlie: User
) -> None:
    for address in reads(turned):
        assert api(rita).get(address).status_code == 200, address
        assert api(bob).get(address).status_code == 403, address
        stranger = api(charlie).get(address)
        assert (stranger.status_code, stranger.json()["code"]) == (404, "not_found"), address
        assert api(None).get(address).status_code == 401, address


def test_only_admins_write(turned: Project, api: Api, rita: User, bob: User, charlie: User) -> None:
    for method, address, body in writes(turned):
        for user, status in ((rita, 403), (bob, 403), (charlie, 404), (None, 401)):
            response = getattr(api(user), method)(address, body, format="json")
            assert response.status_code == status, (method, address, user)
    assert Round.objects.count() == 2


def test_a_strangers_refusal_is_that_of_a_number_that_does_not_exist(
    turned: Project, api: Api, charlie: User
) -> None:
    item = Round.objects.all()[0]
    theirs = api(charlie).get(f"/api/v1/rounds/{item.pk}/").json()
    none = api(charlie).get("/api/v1/rounds/987654/").json()
    assert theirs["message"].replace(str(item.pk), "N") == none["message"].replace("987654", "N")
    assert theirs["extra"] == none["extra"] == {}


def test_the_loop_tells_where_it_stands(turned: Project, api: Api, alice: User) -> None:
    body = api(alice).get(f"/api/v1/projects/{turned.slug}/loop/").json()
    assert body["status"]["requirement"] == {
        "what": "rankings",
        "have": 6,
        "need": 6,
        "missing": 0,
    }
    assert body["status"]["can_start"] is True
    assert body["status"]["deployed_name"] == "ppo-1"
    last = body["status"]["last"]
    assert [step["state"] for step in last["steps"]] == ["done"] * len(last["steps"])
    assert last["headline"]["pair_accuracy"] == 0.75


def test_train_now_starts_a_round_once(turned: Project, api: Api, alice: User) -> None:
    address = f"/api/v1/projects/{turned.slug}/rounds/"
    response = api(alice).post(address)
    assert response.status_code == 201
    assert (response.json()["number"], response.json()["started_by"]) == (2, "alice")
    again = api(alice).post(address)
    assert (again.status_code, again.json()["code"]) == (409, "round_already_running")
    assert AuditEvent.objects.filter(verb="round:started", actor=alice).count() == 1
    cancelled = api(alice).post(f"/api/v1/rounds/{response.json()['id']}/cancel/")
    assert cancelled.json()["status"] == "cancelled"
    assert Run.objects.filter(round__number=2).exclude(status="cancelled").count() == 0


def test_too_little_data_says_how_much_is_missing(
    project: Project, small: LoopSettings, api: Api, alice: User
) -> None:
    response = api(alice).post(f"/api/v1/projects/{project.slug}/rounds/")
    assert response.status_code == 409
    assert response.json() == {
        "code": "not_enough_demonstrations",
        "message": "Round 0 needs 4 new demonstrations; there are 0, so 4 are missing.",
        "extra": {"have": 0, "need": 4, "missing": 4},
    }


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"rankings_per_round": 0}, "invalid_input"),
        ({"held_out_percent": 95}, "invalid_input"),
        ({"policy_method": "magic"}, "method_unknown"),
        ({"policy_method": "sft"}, "method_unknown"),
        ({"strategy": "magic"}, "strategy_unknown"),
        ({"overrides": {"magic": {}}}, "method_unknown"),
        ({"overrides": {"ppo": {"num_steps": "many"}}}, "config_invalid"),
        ({"overrides": {"ppo": {"magic": 1}}}, "config_invalid"),
        ({"overrides": {"ppo": {"num_steps": 0}}}, "config_invalid"),
        ({"sampling": {"temperature": 0}}, "config_invalid"),
        ({"sampling": {"temperatur": 1}}, "config_invalid"),
        ({"gates": {"max_kl": -1}}, "config_invalid"),
        ({"gates": {"max_magic": 1}}, "config_invalid"),
        ({"gates": {"max_kl": "much"}}, "invalid_input"),
        ({"random_share": 1.5}, "invalid_input"),
        ({"policy_start": "magic"}, "invalid_input"),
        ({"interval_hours": 0}, "invalid_input"),
        ({"weight_previous": -1}, "invalid_input"),
    ],
)
def test_settings_are_refused_with_a_reason(
    project: Project,
    small: LoopSettings,
    api: Api,
    alice: User,
    fields: dict[str, Any],
    code: str,
) -> None:
    response = api(alice).patch(
        f"/api/v1/projects/{project.slug}/loop/", {"seed": 5, **fields}, format="json"
    )
    assert (response.status_code, response.json()["code"]) == (400, code)
    assert LoopSettings.objects.get().seed == 1


def test_settings_change_only_what_is_given(
    project: Project, small: LoopSettings, api: Api, alice: User
) -> None:
    fields = {"rankings_per_round": 12, "overrides": {"ppo": {"num_steps": 5}}}
    response = api(alice).patch(f"/api/v1/projects/{project.slug}/loop/", fields, format="json")
    assert response.status_code == 200, response.json()
    assert response.json()["settings"]["rankings_per_round"] == 12
    assert response.json()["settings"]["min_demonstrations"] == 4
    assert AuditEvent.objects.filter(verb="loop:updated").count() == 1


def test_every_setting_of_the_loop_can_be_read_and_changed(
    project: Project, small: LoopSettings, api: Api, alice: User
) -> None:
    address = f"/api/v1/projects/{project.slug}/loop/"
    fields = {
        "interval_hours": 24.0,
        "reward_model": "warm",
        "test_reward_model": True,
        "policy_start": "previous",
        "random_share": 0.5,
        "candidates_per_prompt": 8,
        "gates": {"max_kl": 20.0, "max_gain_gap": None},
        "approval": "person",
        "trial_votes": 30,
        "weight_previous": 0.5,
        "weight_reference": 0.25,
        "retired_tasks": "last",
    }
    shown = api(alice).patch(address, fields, format="json").json()["settings"]
    assert {name: shown[name] for name in fields} == fields
    stored = {field.name for field in LoopSettings._meta.concrete_fields}
    assert set(shown) == stored - {"id", "created_at", "project"}
    cleared = api(alice).patch(address, {"interval_hours": None}, format="json").json()
    assert cleared["settings"]["interval_hours"] is None


def test_a_preset_is_listed_and_applied(
    project: Project, small: LoopSettings, api: Api, alice: User
) -> None:
    address = f"/api/v1/projects/{project.slug}/loop/preset/"
    listed = {preset["name"]: preset for preset in api(alice).get(address).json()}
    assert listed["hh"]["fields"]["weight_previous"] == 0.5
    assert listed["hh"]["source"].endswith("2204.05862")
    applied = api(alice).post(address, {"name": "hh"}, format="json")
    assert applied.status_code == 200
    settings = applied.json()["settings"]
    assert (settings["preset"], settings["weight_previous"]) == ("hh", 0.5)
    refused = api(alice).post(address, {"name": "magic"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (400, "preset_unknown")


def test_a_round_pauses_goes_on_and_refuses_what_does_not_fit(
    turned: Project, api: Api, alice: User
) -> None:
    started = api(alice).post(f"/api/v1/projects/{turned.slug}/rounds/").json()
    assert started["actions"]["pause"] is True
    assert started["settings"]["rankings_per_round"] == 6
    address = f"/api/v1/rounds/{started['id']}"
    paused = api(alice).post(f"{address}/pause/").json()
    assert (paused["status"], paused["actions"]["resume"]) == ("paused", True)
    for action, code in (
        ("pause", "round_not_running"),
        ("approve", "round_not_undecided"),
        ("reject", "round_not_undecided"),
        ("retry", "round_not_retryable"),
    ):
        refused = api(alice).post(f"{address}/{action}/")
        assert (refused.status_code, refused.json()["code"]) == (409, code), action
    assert api(alice).post(f"{address}/resume/").json()["status"] == "running"
    again = api(alice).post(f"{address}/resume/")
    assert (again.status_code, again.json()["code"]) == (409, "round_not_paused")


def test_a_person_approves_what_the_gates_let_through(
    turned: Project, api: Api, alice: User, rita: User
) -> None:
    LoopSettings.objects.update(approval="person")
    started = api(alice).post(f"/api/v1/projects/{turned.slug}/rounds/").json()
    rounds_work(project=turned)
    address = f"/api/v1/rounds/{started['id']}/"
    waiting = api(rita).get(address).json()
    assert (waiting["waiting_for"], waiting["decision"]) == ("approval", "")
    assert waiting["actions"]["approve"] is True
    assert "A person has to approve it." in waiting["sentence"]
    assert {gate["gate"] for gate in waiting["gates"]} == set(Gates.__dataclass_fields__) - {
        "min_win_rate"
    }
    approved = api(alice).post(f"{address}approve/", {"note": "Read them."}, format="json").json()
    assert (approved["decision"], approved["decided_by"]) == ("promote", "alice")
    assert approved["decision_reason"] == "Approved by alice: Read them."
    rounds_work(project=turned)
    deployed = api(rita).get(address).json()
    assert (deployed["status"], deployed["checkpoint_name"]) == ("succeeded", "ppo-2")
    assert deployed["chosen_name"] == "ppo-2"
    assert [policy["role"] for policy in deployed["deployments"]] == ["primary"]


def test_a_rejected_round_is_done_again_from_a_step(turned: Project, api: Api, alice: User) -> None:
    LoopSettings.objects.update(approval="person")
    started = api(alice).post(f"/api/v1/projects/{turned.slug}/rounds/").json()
    rounds_work(project=turned)
    address = f"/api/v1/rounds/{started['id']}"
    rejected = api(alice).post(f"{address}/reject/").json()
    assert (rejected["decision"], rejected["deployments"]) == ("reject", [])
    rounds_tick()
    unknown = api(alice).post(f"{address}/retry/", {"step": "magic"}, format="json")
    assert (unknown.status_code, unknown.json()["code"]) == (400, "invalid_input")
    assert "policy" in api(alice).get(f"{address}/").json()["actions"]["retry_steps"]
    retried = api(alice).post(f"{address}/retry/", {"step": "policy"}, format="json").json()
    assert (retried["status"], retried["step"], retried["decision"]) == ("running", "policy", "")
    assert [run["step"] for run in retried["replaced_runs"]] == ["policy", "evaluate"]


def test_a_policy_is_rolled_back_over_the_api(
    turned: Project, api: Api, alice: User, rita: User
) -> None:
    base = f"/api/v1/projects/{turned.slug}"
    before = api(rita).get(f"{base}/deployments/").json()
    assert [row["checkpoint_name"] for row in before["live"]] == ["ppo-1"]
    assert (before["live"][0]["share"], before["live"][0]["round_number"]) == (1.0, 1)
    target = before["rollback_to"]["name"]
    assert target == before["retired"][0]["checkpoint_name"]
    no_reason = api(alice).post(f"{base}/rollback/", {}, format="json")
    assert (no_reason.status_code, no_reason.json()["code"]) == (400, "invalid_input")
    after = api(alice).post(f"{base}/rollback/", {"reason": "It flatters."}, format="json").json()
    assert [row["checkpoint_name"] for row in after["live"]] == [target]
    assert after["rollback_to"] is None
    rolled = api(rita).get(f"{base}/rounds/").json()[0]
    assert (rolled["rolled_back_by"], rolled["rollback_reason"]) == ("alice", "It flatters.")
    refused = api(alice).post(f"{base}/rollback/", {"reason": "Again."}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_to_roll_back")


def test_overoptimization_is_read_where_it_was_measured(
    turned: Project, api: Api, rita: User, bob: User, charlie: User
) -> None:
    first, second = Round.objects.order_by("number")
    unmeasured = api(rita).get(f"/api/v1/rounds/{first.pk}/overoptimization/")
    assert (unmeasured.status_code, unmeasured.json()["code"]) == (404, "not_found")
    run = Run.objects.get(round=second, step="evaluate")
    row = {"role": "policy", "step": None, "kl": 9.0, "proxy_gain": 1.5, "test_gain": 0.5}
    data = {"candidates": [row], "chosen": "policy", "best_of_n": [{"n": 1, "kl": 0, "proxy": 2}]}
    Run.objects.filter(pk=run.pk).update(result={**run.result, "data": data})
    address = f"/api/v1/rounds/{second.pk}/overoptimization/"
    body = api(rita).get(address).json()
    assert body["checkpoints"] == [
        {
            "name": "ppo-1",
            "step": None,
            "kl": 9.0,
            "root_kl": 3.0,
            "proxy_gain": 1.5,
            "proxy_gain_error": None,
            "test_gain": 0.5,
            "test_gain_error": None,
            "is_chosen": True,
        }
    ]
    assert body["best_of_n"][0]["proxy_gain"] == 0.0
    assert [api(user).get(address).status_code for user in (bob, charlie, None)] == [403, 404, 401]


def test_lists_cost_the_same_however_long_they_are(
    turned: Project, api: Api, rita: User, bob: User
) -> None:
    addresses = [address for address in reads(turned) if address.count("/") == 6]
    before = {address: _num_queries(api(rita), address) for address in addresses}
    rounds_tick()
    rounds_work(project=turned)
    assert Round.objects.count() == 3
    after = {address: _num_queries(api(rita), address) for address in addresses}
    assert before == after
    assert max(after.values()) <= 32, after


def _num_queries(client: APIClient, address: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)
