"""What pages show of a round in each of its states, and what may be done from them."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotation.errors import DomainError
from annotation.models import Project
from tests.factories import labeler_make
from tests.frontend.loop_rows import STATES, LoopRows, decided_round_make
from training.choices import RoundStep
from training.gates import TITLES, Gates
from training.models import Deployment, Round, Run
from training.selectors.decisions import UNITS
from training.selectors.overoptimization import round_overoptimization
from training.selectors.rounds import Actions, round_summary
from training.services.decisions import round_approve, round_reject
from training.services.doorbell import doorbell_silenced
from training.services.round_control import round_cancel, round_pause, round_resume, round_retry

DASH, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
ROUND = "/projects/project/rounds/2/"
TAGS = {
    "approval": "Waits for approval",
    "votes": "Waits for votes",
    "promoted": "Promoted",
    "held": "Held",
    "rejected": "Rejected",
    "rolled_back": "Rolled back",
}
SENTENCES = {
    "running": "Not decided yet.",
    "paused": "Not decided yet.",
    "approval": "The gates let ppo-2@20 through. A person has to approve it.",
    "votes": "24 of at most 40 votes are in.",
    "promoted": "ppo-2@20 is promoted. All 3 gates let it through.",
    "held": "ppo-2@20 is held, and the policies in use stay.",
    "rejected": "ppo-2@20 is rejected, and the policies in use stay.",
    "rolled_back": "ppo-2@20 was deployed and then rolled back by alice: It flatters.",
    "failed": "Not decided yet.",
}


@pytest.fixture
def admin(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture(autouse=True)
def silence() -> object:
    with doorbell_silenced():
        yield


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page)).replace("&#x27;", "'")


@pytest.mark.parametrize("state", list(STATES))
def test_the_page_says_what_was_decided_in_every_state(
    state: str, admin: Client, alice: User, loop_rows: LoopRows
) -> None:
    decided_round_make(loop_rows, state, alice)
    html = admin.get(ROUND).content.decode()
    assert SENTENCES[state] in text_of(html)
    shown = re.findall(r'<span class="tag [^"]*">([^<]+)</span>', html)
    assert [words for words in TAGS.values() if words in shown] == [
        words for name, words in TAGS.items() if name == state
    ]
    live = admin.get(f"{ROUND}live/").content.decode()
    assert 'id="live-decision"' in live
    assert 'id="live-steps"' in live
    is_open = STATES[state]["status"] in ("running", "paused")
    assert ("data-live-over" in live) == (not is_open)
    assert ("data-live-url" in html) == is_open


# Of a policy that a trial may promote: what an admin is offered, by state.
OFFERED = {
    "running": {"Pause", "Cancel the round"},
    "paused": {"Resume", "Cancel the round"},
    "approval": {"Pause", "Cancel the round", "Approve and deploy", "Reject"},
    "votes": {"Pause", "Cancel the round", "Reject"},
    "promoted": set(),
    "held": {"Promote anyway", "Retry from here"},
    "rejected": {"Retry from here"},
    "rolled_back": set(),
    "failed": {"Retry", "Retry from here"},
}


@pytest.mark.parametrize("state", list(STATES))
def test_an_admin_is_offered_what_fits_and_a_reviewer_nothing(
    state: str, admin: Client, alice: User, loop_rows: LoopRows
) -> None:
    decided_round_make(loop_rows, state, alice)
    html = admin.get(ROUND).content.decode().split("<main")[1]
    assert set(re.findall(r"<button[^>]*>([^<]+)</button>", html)) == OFFERED[state]
    reader = labeler_make(loop_rows.project, "carol")
    reader.memberships.update(role="reviewer")
    client = Client()
    client.force_login(reader)
    assert "<button" not in client.get(ROUND).content.decode().split("<main")[1]


SERVICES = {
    "pause": lambda item: round_pause(round=item),
    "resume": lambda item: round_resume(round=item),
    "cancel": lambda item: round_cancel(round=item),
    "approve": lambda item: round_approve(round=item, actor=None),
    "reject": lambda item: round_reject(round=item, actor=None),
    "retry": lambda item: round_retry(round=item),
}


def works(act: object, item: Round) -> bool:
    try:
        act(Round.objects.get(pk=item.pk))  # type: ignore[operator]
    except DomainError:
        return False
    return True


@pytest.mark.parametrize("action", list(SERVICES))
@pytest.mark.parametrize("state", list(STATES))
def test_what_is_offered_is_what_the_service_does_not_refuse(
    state: str, action: str, alice: User, loop_rows: LoopRows
) -> None:
    item = decided_round_make(loop_rows, state, alice)
    offered: Actions = round_summary(item).actions
    assert works(SERVICES[action], item) == getattr(offered, action)


@pytest.mark.parametrize("action", list(SERVICES))
def test_a_trial_that_is_paused_is_not_decided(
    action: str, alice: User, loop_rows: LoopRows
) -> None:
    item = decided_round_make(loop_rows, "votes", alice)
    Round.objects.filter(pk=item.pk).update(status="paused")
    item.refresh_from_db()
    offered = getattr(round_summary(item).actions, action)
    assert offered == (action in ("resume", "cancel"))
    assert works(SERVICES[action], item) == offered


@pytest.mark.parametrize("state", list(STATES))
def test_a_round_is_taken_up_again_from_exactly_the_steps_offered(
    state: str, alice: User, loop_rows: LoopRows
) -> None:
    item = decided_round_make(loop_rows, state, alice)
    offered = round_summary(item).actions.retry_steps
    before = {field.attname: getattr(item, field.attname) for field in Round._meta.concrete_fields}
    for step in RoundStep.values:
        Round.objects.filter(pk=item.pk).update(**before)
        did = works(lambda row, step=step: round_retry(round=row, step=step), item)
        assert did == (step in offered), step


def test_a_later_round_leaves_nothing_to_do_with_a_held_one(
    alice: User, loop_rows: LoopRows
) -> None:
    item = decided_round_make(loop_rows, "held", alice)
    Round.objects.filter(pk=item.pk).update(number=3)
    decided = round_summary(Round.objects.get(pk=item.pk)).actions
    assert decided.approve
    Round.objects.filter(project=loop_rows.project, number=1).update(number=4)
    decided = round_summary(Round.objects.get(pk=item.pk)).actions
    assert (decided.approve, decided.retry_steps) == (False, [])
    assert not works(SERVICES["approve"], item)


def test_approving_promotes_with_a_name_and_a_note(
    admin: Client, alice: User, loop_rows: LoopRows
) -> None:
    item = decided_round_make(loop_rows, "approval", alice)
    page = admin.post(f"{ROUND}approve/", {"note": "Read 20 answers."}, follow=True)
    item.refresh_from_db()
    assert (item.decision, item.decided_by) == ("promote", alice)
    assert item.decision_reason == "Approved by alice: Read 20 answers."
    assert "is promoted. Approved by alice: Read 20 answers." in text_of(page.content.decode())
    again = admin.post(f"{ROUND}approve/", follow=True).content.decode()
    assert "round_not_undecided" in again


def test_rejecting_keeps_the_policies_in_use(
    admin: Client, alice: User, loop_rows: LoopRows
) -> None:
    item = decided_round_make(loop_rows, "approval", alice)
    admin.post(f"{ROUND}reject/", {"note": "It flatters."})
    item.refresh_from_db()
    assert (item.decision, item.decision_reason) == ("reject", "Rejected by alice: It flatters.")
    assert not item.deployments.exists()


def test_a_round_pauses_and_goes_on(admin: Client, alice: User, loop_rows: LoopRows) -> None:
    item = decided_round_make(loop_rows, "running", alice)
    assert "Paused" in admin.post(f"{ROUND}pause/", follow=True).content.decode()
    assert "round_not_running" in admin.post(f"{ROUND}pause/", follow=True).content.decode()
    dashboard = text_of(admin.get("/projects/project/").content.decode())
    assert "Round 2 is paused: improve the policy. Resume or cancel it." in dashboard
    admin.post(f"{ROUND}resume/")
    item.refresh_from_db()
    assert item.status == "running"
    assert "round_not_paused" in admin.post(f"{ROUND}resume/", follow=True).content.decode()


def test_a_retry_from_an_earlier_step_keeps_the_replaced_runs_in_sight(
    admin: Client, alice: User, loop_rows: LoopRows
) -> None:
    item = decided_round_make(loop_rows, "held", alice)
    policy_run = Run.objects.get(round=item, step="policy")
    page = admin.post(f"{ROUND}retry/", {"step": "policy"}, follow=True).content.decode()
    assert "Replaced runs (2)" in page
    assert f"Improve the policy, run {policy_run.pk}" in page
    # Steps link to the runs that count now; the policy's is yet to be made.
    assert f'runs/{policy_run.pk}/">Improve the policy</a>' not in page
    refused = admin.post(f"{ROUND}retry/", {"step": "policy"}, follow=True).content.decode()
    assert "round_not_retryable" in refused


def test_only_an_admin_decides(bob: User, loop_rows: LoopRows, charlie: User) -> None:
    item = decided_round_make(loop_rows, "approval")
    for user, status in ((bob, 403), (charlie, 404)):
        client = Client()
        client.force_login(user)
        for action in ("pause", "resume", "cancel", "retry", "approve", "reject"):
            assert client.post(f"{ROUND}{action}/").status_code == status
        assert client.post("/projects/project/rollback/", {"reason": "x"}).status_code == status
        assert client.post("/projects/project/settings/preset/").status_code == status
    item.refresh_from_db()
    assert item.decision == ""


def test_the_policy_in_use_is_rolled_back_with_a_reason(
    admin: Client, alice: User, loop_rows: LoopRows
) -> None:
    item = decided_round_make(loop_rows, "promoted", alice)
    # It came after the policy of round 1.
    Deployment.objects.filter(role="previous").delete()
    page = admin.get("/projects/project/").content.decode()
    assert "Roll back to zz-policy-secret" in page
    shown = re.search(r'name="checkpoint" value="(\d+)"', page)
    assert shown
    address = "/projects/project/rollback/"
    assert "say why" in admin.post(address, {"checkpoint": shown[1]}, follow=True).content.decode()
    stale = admin.post(address, {"checkpoint": "999", "reason": "Bad."}, follow=True)
    assert "nothing_to_roll_back" in stale.content.decode()
    assert Deployment.objects.get(retired_at=None).checkpoint_id == int(shown[1])
    done = admin.post(address, {"checkpoint": shown[1], "reason": "It flatters."}, follow=True)
    assert "zz-policy-secret is in use again." in done.content.decode()
    item.refresh_from_db()
    assert (item.rolled_back_by, item.rollback_reason) == (alice, "It flatters.")
    assert "Roll back to" not in done.content.decode(), "nothing is left to go back to"


def test_the_dashboard_shows_live_policies_by_weight_and_decisions(
    admin: Client, alice: User, loop_rows: LoopRows
) -> None:
    decided_round_make(loop_rows, "promoted", alice)
    page = admin.get("/projects/project/").content.decode()
    # Weights 1 and 0.25: four fifths and one fifth of the answers.
    assert re.findall(r"(\d+%) of the answers", page) == ["80%", "20%"]
    decisions = re.findall(r"Round \d</a></td>.*?</td>\s*<td>(.*?)</td>", page, re.DOTALL)
    assert [text_of(cell) for cell in decisions] == ["Promoted", DASH, DASH]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("approval", "Round 2 waits for a person."),
        ("votes", "Round 2 waits for votes."),
        ("held", "Round 2 deployed nothing."),
    ],
)
def test_the_dashboard_asks_for_what_only_people_can_do(
    state: str, words: str, admin: Client, alice: User, loop_rows: LoopRows
) -> None:
    decided_round_make(loop_rows, state, alice)
    assert words in text_of(admin.get("/projects/project/").content.decode())


def test_gates_are_told_in_words_with_what_they_saw(
    admin: Client, alice: User, loop_rows: LoopRows
) -> None:
    decided_round_make(loop_rows, "held", alice)
    page = admin.get(ROUND).content.decode()
    rows = [
        [text_of(cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
        for row in re.findall(r"<tr>(.*?)</tr>", page.split('class="gates"')[1], re.DOTALL)
    ]
    assert rows[1:6] == [
        ["71.0%", "at least 50.0%", "✓ Passed"],
        ["+0.64", "at least +0.00", "✓ Passed"],
        [DASH, "at least +0.00", f"{DASH} Not measured"],
        ["9 nats", "at most 50 nats", "✓ Passed"],
        [f"2.31{TIMES}", f"at most 2.00{TIMES}", "! Hold"],
    ]
    assert set(TITLES) == set(UNITS) == set(Gates.__dataclass_fields__)


def test_the_round_says_which_checkpoint_was_chosen_and_why(
    admin: Client, alice: User, loop_rows: LoopRows
) -> None:
    item = decided_round_make(loop_rows, "promoted", alice)
    found = round_overoptimization(item)
    assert found is not None
    # KL 4, 9 and 25: roots 2, 3 and 5.
    assert [point.root_kl for point in found.checkpoints] == [2.0, 3.0, 5.0]
    assert [point.name for point in found.checkpoints if point.is_chosen] == ["ppo-2@20"]
    # Best of n against one answer: 0.4 - 0.1, 0.25 - 0.05.
    assert found.best_of_n[1].proxy_gain == pytest.approx(0.3)
    assert found.best_of_n[1].test_gain == pytest.approx(0.2)
    page = text_of(admin.get(ROUND).content.decode())
    assert "ppo-2@20 was chosen: the highest mean test reward, +0.64 over SFT" in page
    assert "Started fromzz-sft-secret" in page


def test_an_evaluation_of_before_candidates_has_no_picture(
    admin: Client, loop_rows: LoopRows, project: Project
) -> None:
    assert round_overoptimization(Round.objects.get(project=project, number=1)) is None
    assert "How far to optimize" not in admin.get("/projects/project/rounds/1/").content.decode()
