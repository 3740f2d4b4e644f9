"""A sign that is wrong is found before the policy reaches a labeler: whole rounds, real stages."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User

from annotation.models import Project, Task
from annotation.services.assignments import assignment_claim, assignment_submit
from tests.factories import completion_ids, completion_make, task_of
from tests.training.loops import round_turn
from tests.training.people import prompts_make
from training.choices import RoundStatus
from training.models import Checkpoint, LoopSettings, Round, Run, Sample
from training.services import snapshots
from training.services.checkpoints import deployment_get
from training.services.run_process import MetricsReader

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.usefixtures("silence"),
]
NUM_RANKINGS = 60
OVERRIDES = {
    "reward_model": {
        "learning_rate": 3e-3, "batch_size": 8, "num_epochs": 3, "min_train_rankings": 2,
    },
    "rloo": {
        "num_steps": 24, "batch_size": 48, "completions_per_prompt": 4, "learning_rate": 3e-3,
        "max_new_tokens": 8, "kl_coefficient": 0.02, "kl_target": None,
    },
}  # fmt: skip


@pytest.fixture
def stages_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real stages in this process, where a test can turn a sign."""
    import torch

    from training.algorithms.entry import run_folder

    torch.set_num_threads(1)

    def attempt(run: Run, folder: Path, *args: object) -> int:
        code = run_folder(run.method, str(folder))
        MetricsReader(run, folder).ingest()
        return code

    monkeypatch.setattr("training.services.run_execution._attempt", attempt)


@pytest.fixture
def judged(project: Project, bob: User, loop: LoopSettings, stages_here: None) -> Project:
    """The base model is in use, and people who like the letter a have ranked sixty pairs."""
    loop.min_demonstrations = 0
    loop.rankings_per_round = 2
    loop.policy_method = "rloo"
    loop.overrides = OVERRIDES
    loop.save()
    prompts = prompts_make(project, NUM_RANKINGS)
    assert round_turn(project).status == RoundStatus.SUCCEEDED
    Task.objects.filter(project=project).update(status="withdrawn")
    for number, prompt in enumerate(prompts):
        worse, better = "qzj"[number % 3] * 3 + "xk" * (number % 2), "a" * (2 + number % 4)
        task_of(prompt, [completion_make(prompt, text) for text in (worse, better)])
        assignment = assignment_claim(project=project, annotator=bob, kind="ranking")
        first, second = completion_ids(assignment.task)
        assignment_submit(
            assignment_id=assignment.pk, annotator=bob, payload={"order": [[second], [first]]}
        )
    return project


def nobody_sees_it(round: Round) -> None:
    assert deployment_get(round.project_id).checkpoint.kind == "base"
    assert not round.deployments.exists()
    written = Sample.objects.filter(run__round=round, purpose="ranking")
    assert not written.exists()
    assert not Task.objects.filter(completions__sample__run__round=round).exists()
    assert not Task.objects.filter(project=round.project, status="open").exists()


def test_a_reward_model_of_inverted_rankings_is_held_before_any_policy(
    judged: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is trained on is turned around, what is held out is not."""
    right = snapshots._records

    def inverted(*arguments):
        records, lineage = right(*arguments)
        for record in records["rankings"]:
            if record["split"] == snapshots.TRAIN:
                record["ranks"] = [3 - rank for rank in record["ranks"]]
        return records, lineage

    monkeypatch.setattr(snapshots, "_records", inverted)
    round = round_turn(judged)
    assert (round.status, round.error_text) == (RoundStatus.SUCCEEDED, "")
    assert (round.step, round.decision) == ("calibrate", "hold")
    (gate,) = round.decision_data["gates"]
    assert gate["gate"] == "min_pair_accuracy"
    # It has learned well what it was told: nearly every held-out pair is the wrong way round.
    assert gate["value"] < 0.2
    assert not Run.objects.filter(round=round, step="policy").exists()
    nobody_sees_it(round)


def test_a_policy_that_works_against_its_score_is_halted(
    judged: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.algorithms.rloo import loop

    right = loop.completion_rewards
    monkeypatch.setattr(
        loop, "completion_rewards", lambda rollout, scores, beta: right(rollout, -scores, beta)
    )
    round = round_turn(judged)
    assert (round.status, round.step) == (RoundStatus.FAILED, "policy")
    assert round.error_code == "training_halted"
    assert "A sign is wrong somewhere" in round.error_text
    # The reward model was in order.
    (gate,) = round.decision_data["gates"]
    assert (gate["status"], gate["value"]) == ("passed", pytest.approx(1.0, abs=0.2))
    assert not Checkpoint.objects.filter(project=judged, kind="policy").exists()
    nobody_sees_it(round)


def test_a_policy_that_learned_the_wrong_way_round_is_stopped_by_its_measurement(
    judged: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sign turned after the objective is measured, which no trend can tell from bad luck."""
    from training.algorithms.rloo import loop

    LoopSettings.objects.update(test_reward_model=True, held_out_percent=40)
    right = loop.rloo_advantages
    monkeypatch.setattr(loop, "rloo_advantages", lambda *args: -right(*args))
    round = round_turn(judged)
    assert (round.status, round.error_text) == (RoundStatus.SUCCEEDED, "")
    # Which of the two depends on the answers drawn, and those on the ids of the rows.
    assert (round.step, round.decision in ("hold", "reject")) == ("decide", True)
    gates = {item["gate"]: item for item in round.decision_data["gates"]}
    assert gates["min_pair_accuracy"]["status"] == "passed"
    assert gates["min_test_gain"]["status"] == round.decision
    assert gates["min_test_gain"]["value"] < 0
    nobody_sees_it(round)
