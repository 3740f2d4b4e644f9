"""What a sampling run is told to choose from, and what its tasks say chose them."""

import json

import pytest
from django.contrib.auth.models import User

from annotation.models import Project, Prompt, Task
from tests.training.people import demonstrations_make, prompts_make, rank_all
from training.algorithms.methods import method_get
from training.choices import RoundStep
from training.errors import ConfigInvalid
from training.models import Checkpoint, Deployment, LoopSettings, Round, Run
from training.services.answer_tasks import answer_tasks_queue
from training.services.asking import prompts_asked, sampling_plan
from training.services.configs import run_config
from training.services.deployments import policies_live
from training.services.inline import rounds_work
from training.services.queueing import queue_top_up
from training.services.rounds import rounds_tick
from training.services.run_execution import run_execute
from training.services.settings import loop_settings_update
from training.services.snapshots import HELD_OUT, prompt_split

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("silence")]


@pytest.fixture
def active(project: Project, bob: User, small: LoopSettings) -> LoopSettings:
    """A project that asks by disagreement, after a round without and one with a reward model."""
    small.strategy = "disagreement"
    small.random_share = 0.25
    small.candidates_per_prompt = 7
    small.gates = {}
    small.save()
    demonstrations_make(project, bob, prompts_make(project, 60)[:4])
    rounds_tick()
    rounds_work(project=project)
    rank_all(project, bob)
    rounds_tick()
    rounds_work(project=project)
    small.refresh_from_db()
    return small


@pytest.fixture
def planned(project: Project, small: LoopSettings) -> LoopSettings:
    """A project that asks by disagreement, with rows for a policy in use and a reward model."""
    small.strategy = "disagreement"
    prompts_make(project, 20)
    for kind, config in (("policy", {}), ("reward_model", {"num_heads": 10})):
        run = Run.objects.create(
            project=project, step=kind, method=kind, queue="train", seed=1, config=config
        )
        made = Checkpoint.objects.create(project=project, run=run, kind=kind, name=kind, path=kind)
        if kind == "policy":
            Deployment.objects.create(project=project, checkpoint=made)
    return small


def _sample_run(project: Project, number: int) -> Run:
    return Run.objects.get(project=project, round__number=number, step=RoundStep.SAMPLE)


def _tasks(run: Run) -> dict[int, tuple[str, float | None]]:
    tasks = Task.objects.filter(kind="ranking", completions__sample__run=run).distinct()
    return {task.prompt_id: (task.strategy, task.strategy_score) for task in tasks}


def test_a_strategy_chooses_from_a_pool_and_tasks_say_what_chose_them(
    project: Project, active: LoopSettings
) -> None:
    # 1. Before there is a reward model, chance asks.
    run = _sample_run(project, 0)
    assert (run.config["selection"], run.config["num_candidates"]) == ("none", 0)
    assert set(run.run_parents.values_list("role", flat=True)) == {"policy"}
    assert list(_tasks(run).values()) == [("random", None)] * 6

    # 2. Then three prompts are drawn for each of the 6 wanted, held-out ones in proportion.
    run = _sample_run(project, 1)
    assert len(run.prompts) == 18
    hashes = dict(Prompt.objects.values_list("pk", "content_hash"))
    share = sum(prompt_split(content, 20) == HELD_OUT for content in hashes.values()) / 60
    held_out = [pk for pk in run.prompt_ids if prompt_split(hashes[pk], 20) == HELD_OUT]
    assert abs(len(held_out) - 18 * share) <= 0.5
    names = ("selection", "num_candidates", "num_prompts", "random_share")
    assert [run.config[name] for name in names] == ["disagreement", 7, 6, 0.25]
    assert run.config["num_completions"] == project.completions_per_task
    reward_model = run.run_parents.get(role="reward_model").checkpoint
    assert reward_model.run == Run.objects.get(round__number=1, step=RoundStep.REWARD_MODEL)
    assert reward_model.run.config["num_heads"] == 10

    # 3. Tasks are made of what was asked. The stub asks about the first one by chance.
    asked = run.result["data"]["asked"]
    expected = {item["prompt_id"]: (item["strategy"], item["score"]) for item in asked}
    assert _tasks(run) == prompts_asked(run) == expected
    assert [name for name, _ in expected.values()] == ["random"] + ["disagreement"] * 5
    assert all(score is not None for name, score in expected.values() if name != "random")
    assert run.samples.count() == 6 * project.completions_per_task

    # 4. A prompt with answers that was not asked gets no task.
    Task.objects.filter(completions__sample__run=run).delete()
    run.result["data"]["asked"] = asked[:2]
    run.save(update_fields=["result"])
    assert answer_tasks_queue(run=run) == (2, 0)
    assert list(_tasks(run)) == [item["prompt_id"] for item in asked[:2]]


def test_the_queue_is_topped_up_by_the_strategy_too(
    project: Project, active: LoopSettings, bob: User
) -> None:
    LoopSettings.objects.update(queue_low_water=4, rankings_per_round=1000)
    rank_all(project, bob)
    run = queue_top_up(project=project)
    assert run is not None
    assert (len(run.prompts), run.config["num_prompts"]) == (24, 8)
    run_execute(run_id=run.pk)
    found = _tasks(run)
    assert len(found) == 8
    assert sorted(strategy for strategy, _ in found.values()) == ["disagreement"] * 7 + ["random"]


def test_every_policy_in_use_draws_candidates(project: Project, planned: LoopSettings) -> None:
    policy = policies_live(project)["policy"][0]
    policies = {"policy": (policy, 1.0), "previous": (policy, 0.4)}
    plan = sampling_plan(settings=planned, policies=policies, num=5, seed=3)
    assert set(plan["parents"]) == {"policy", "previous", "reward_model"}
    assert plan["weights"] == {"policy": 1.0, "previous": 0.4}
    assert plan["extra"]["num_prompts"] == 5
    assert plan == sampling_plan(settings=planned, policies=policies, num=5, seed=3)


def test_votes_of_a_trial_are_asked_for_by_chance(project: Project, planned: LoopSettings) -> None:
    policies = policies_live(project)
    plan = sampling_plan(settings=planned, policies=policies, num=5, seed=3, is_trial=True)
    assert "extra" not in plan
    assert "reward_model" not in plan["parents"]
    assert len(plan["prompts"]) == 5


def test_a_reward_model_without_heads_asks_about_nothing_but_best_answers(
    project: Project, planned: LoopSettings
) -> None:
    run = Run.objects.get(step=RoundStep.REWARD_MODEL)
    Run.objects.filter(pk=run.pk).update(config={**run.config, "num_heads": 0})
    for strategy, selection in (
        ("disagreement", None),
        ("thompson", None),
        ("top_two", "top_two"),
        ("sequential", None),
    ):
        planned.strategy = strategy
        plan = sampling_plan(settings=planned, policies=policies_live(project), num=5, seed=3)
        assert plan.get("extra", {}).get("selection") == selection
        assert len(plan["prompts"]) == (15 if selection else 5)


def test_where_people_see_one_answer_at_a_time_chance_asks(
    project: Project, planned: LoopSettings
) -> None:
    project.kinds = ["thumbs"]
    planned.project = project
    planned.overrides = {"sample": {"num_completions": 1}}
    plan = sampling_plan(settings=planned, policies=policies_live(project), num=5, seed=3)
    assert "extra" not in plan


def test_a_reward_model_gets_heads_for_a_strategy_that_reads_them(small: LoopSettings) -> None:
    method = method_get("reward_model")
    heads = {}
    for strategy in ("random", "disagreement", "thompson", "top_two"):
        small.strategy = strategy
        heads[strategy] = run_config(small, method)["num_heads"]
    assert heads == {"random": 0, "disagreement": 10, "thompson": 10, "top_two": 0}
    small.strategy = "thompson"
    small.overrides = {"reward_model": {"num_heads": 32}}
    assert run_config(small, method)["num_heads"] == 32


def test_fewer_candidates_than_are_shown_are_never_drawn(
    project: Project, planned: LoopSettings
) -> None:
    policies = policies_live(project)
    drawn = []
    for wanted in (0, 1, 12):
        planned.candidates_per_prompt = wanted
        plan = sampling_plan(settings=planned, policies=policies, num=5, seed=3)
        drawn.append(plan["extra"]["num_candidates"])
    shown = project.completions_per_task
    assert drawn == [2 * shown, shown, 12]


def test_a_project_without_a_reward_model_cannot_ask_it(
    project: Project, small: LoopSettings
) -> None:
    fields = {"policy_method": "dpo", "reward_model": "none"}
    for strategy in ("disagreement", "thompson", "top_two"):
        with pytest.raises(ConfigInvalid, match="random, sequential"):
            loop_settings_update(actor=None, project=project, strategy=strategy, **fields)
    loop_settings_update(actor=None, project=project, strategy="sequential", **fields)
    small.refresh_from_db()
    assert (small.strategy, small.reward_model) == ("sequential", "none")


@pytest.mark.slow
def test_the_real_stages_ask_where_the_reward_model_is_unsure(
    project: Project, bob: User, loop: LoopSettings
) -> None:
    loop.strategy, loop.weight_reference, loop.random_share = "disagreement", 1.0, 0.5
    # On six rankings chance decides what a gate sees.
    loop.gates = {"min_pair_accuracy": None, "min_test_gain": None, "max_gain_gap": None}
    loop.save()
    demonstrations_make(project, bob, prompts_make(project, 30)[:4])
    for _ in range(2):
        rounds_tick()
        rounds_work(project=project)
        last = Round.objects.filter(project=project).latest("number")
        assert last.error_text == ""
        rank_all(project, bob, limit=6)
    run = _sample_run(project, 1)
    assert run.config["selection"] == "disagreement", last.decision_reason
    lines = (run.folder / "data" / "prompts.jsonl").read_text().splitlines()
    roles = {record["prompt_id"]: record["roles"] for record in map(json.loads, lines)}
    checkpoints = {parent.role: parent.checkpoint for parent in run.run_parents.all()}
    assert set(checkpoints) == {"policy", "reference", "reward_model"}
    num = run.config["num_candidates"]
    for sample in run.samples.select_related("completion"):
        role = roles[sample.completion.prompt_id][sample.index % num]
        assert sample.checkpoint == checkpoints[role]
    assert _tasks(run) == prompts_asked(run)
    assert {strategy for strategy, _ in _tasks(run).values()} == {"random", "disagreement"}
