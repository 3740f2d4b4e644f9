"""`manage.py round`: the same services, told in sentences."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError

from annotation.models import Project
from tests.frontend.loop_rows import LoopRows, decided_round_make, loop_rows_make
from training.models import Deployment, Round

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("silence")]


@pytest.fixture
def rows(project: Project, bob: User) -> LoopRows:
    return loop_rows_make(project, bob)


def say(action: str, **options: str) -> str:
    out = StringIO()
    call_command("round", action, project="project", stdout=out, **options)
    return out.getvalue().strip()


def test_a_round_is_paused_resumed_and_cancelled(rows: LoopRows) -> None:
    item = decided_round_make(rows, "running")
    assert say("pause") == "Round 2 is paused. Its run saves its state and waits."
    assert say("resume") == "Round 2 goes on."
    assert say("cancel") == "Round 2 is cancelled. Labels are kept."
    item.refresh_from_db()
    assert item.status == "cancelled"
    assert say("retry", step="reward_model") == "Round 2 goes on: Train the reward model."


def test_a_held_round_is_promoted_with_a_note(rows: LoopRows) -> None:
    decided_round_make(rows, "held")
    assert say("approve", note="Long is fine.") == (
        "Round 2: ppo-2@20 is promoted. Approved: Long is fine."
    )


def test_a_waiting_round_is_rejected(rows: LoopRows) -> None:
    decided_round_make(rows, "approval")
    words = "Round 2: ppo-2@20 is rejected, and the policies in use stay. Rejected."
    assert say("reject") == words


def test_the_status_tells_decision_gates_and_live_policies(rows: LoopRows) -> None:
    decided_round_make(rows, "promoted")
    lines = say("status").splitlines()
    assert lines[0] == "Round 3 needs 64 new rankings; there are 0, so 64 are missing."
    assert lines[1] == "Round 2: Promoted. ppo-2@20 is promoted. All 3 gates let it through."
    assert "  passed: KL to the reference." in lines[5]
    # Weights 1 and 0.25.
    assert lines[-2:] == [
        "In use: ppo-2@20, 80% of the answers.",
        "Previous policy: zz-policy-secret, 20% of the answers.",
    ]


def test_the_policy_in_use_is_rolled_back(rows: LoopRows) -> None:
    decided_round_make(rows, "promoted")
    Deployment.objects.filter(role="previous").delete()
    assert say("rollback", note="It flatters.") == "zz-policy-secret is in use again."
    assert Round.objects.get(number=2).rollback_reason == "It flatters."
    with pytest.raises(CommandError, match="nothing_to_roll_back"):
        say("rollback")


def test_refusals_keep_their_words_and_code(project: Project) -> None:
    with pytest.raises(CommandError, match=r"Round 0 needs 16 new demonstrations.*not_enough"):
        say("start")
    with pytest.raises(CommandError, match="project has no round yet"):
        say("pause")
    with pytest.raises(CommandError, match="no project 'nowhere'"):
        call_command("round", "status", project="nowhere")
