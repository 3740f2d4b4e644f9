"""The whole loop on the tiny model, with the real stages, in this process."""

import pytest
from django.contrib.auth.models import User

from annotation.models import Project, Ranking, Task
from tests.training.people import demonstrations_make, prompts_make, rank_all
from training.choices import RoundStatus
from training.models import Checkpoint, Deployment, LoopSettings, Metric, Round, Run, Sample
from training.selectors.answers import answers_checkpoints, answers_side_by_side
from training.selectors.judgements import held_count
from training.selectors.lineage import completion_get_origin
from training.selectors.rounds import round_get
from training.services.inline import rounds_work
from training.services.rounds import rounds_tick

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def test_demonstrations_become_a_policy_whose_answers_are_ranked_into_the_next_one(
    project: Project, bob: User, loop: LoopSettings, silence: None
) -> None:
    # Six rankings in no order of merit teach nothing: what is tested is the way, not a verdict.
    loop.gates = {"min_pair_accuracy": None, "max_gain_gap": None, "min_test_gain": None}
    loop.save()
    prompts = prompts_make(project, 20)
    demonstrations_make(project, bob, prompts[:4])
    rounds_tick()
    rounds_work(project=project)
    first = Round.objects.get(project=project)
    assert (first.number, first.status, first.error_text) == (0, RoundStatus.SUCCEEDED, "")
    deployed = Deployment.objects.get(project=project, retired_at__isnull=True).checkpoint
    assert deployed.name == "sft-0"
    assert Task.objects.filter(project=project, kind="ranking", status="open").count() == 6

    assert rank_all(project, bob) == 6
    rounds_tick()
    rounds_work(project=project)
    second = Round.objects.get(project=project, number=1)
    assert (second.status, second.error_text) == (RoundStatus.SUCCEEDED, "")

    # The new policy's own answers are the open tasks, and nobody else's.
    policy = Checkpoint.objects.get(project=project, kind="policy")
    assert policy.name == "ppo-1"
    open_tasks = Task.objects.filter(project=project, kind="ranking", status="open")
    assert open_tasks.count() == 6
    shown = Sample.objects.filter(completion__tasks__in=open_tasks)
    assert set(shown.values_list("checkpoint", flat=True)) == {policy.pk}

    # Every completion knows its policy, every policy its rankings.
    origin = completion_get_origin(project, shown.first().completion_id)
    ancestry = {entry["checkpoint"]: entry for entry in origin["ancestry"]}
    assert next(iter(ancestry)) == "ppo-1"
    assert {"sft-0", "reward_model-1"} < set(ancestry)
    assert ancestry["reward_model-1"]["num_rankings"] == 6
    assert ancestry["reward_model-1"]["role"] == "reward_model"
    assert held_count(second.snapshot, "rankings") == Ranking.objects.count() == 6

    headline = round_get(project, 1).headline
    assert headline is not None
    assert headline.reward_policy is not None
    assert headline.kl_to_reference is not None
    names = [checkpoint.name for checkpoint in answers_checkpoints(project)]
    assert names == ["sft-0", "ppo-1"]
    rows = answers_side_by_side(project, limit=3)
    assert rows
    assert all(answer is not None for row in rows for answer in row.answers)
    assert Metric.objects.filter(run__method="ppo").exists()
    assert set(Run.objects.values_list("status", flat=True)) == {"succeeded"}
    assert all(run.code_version and run.config for run in Run.objects.all())
