"""One world from its first label to its last policy, in an installation of its own."""

import json
import random
import statistics
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings

from annotation.models import Project, Ranking
from annotation.services.projects import project_create
from annotation.services.prompts import prompts_import
from training.choices import RoundStatus, RoundStep, Trigger
from training.models import Checkpoint, Round, Run
from training.selectors.judgements import held_count
from training.services.inline import rounds_work
from training.services.round_starting import round_start
from training.services.run_process import json_read, process_start, stderr_tail
from training.services.settings import loop_settings_update
from training.simulation.labelers import Report, agreement_measure
from training.simulation.world.api_labelers import accounts_open, labels_collect
from training.simulation.world.gold import Gold
from training.simulation.world.language import Language
from training.simulation.world.plan import POLICY, REWARD_MODEL, Plan
from training.simulation.world.population import population_draw

SLUG = "world"
NUM_CALIBRATING = 400
"""Pairs of base answers by which the labelers' noise is set."""
ALL_GATES_OFF = {
    "min_pair_accuracy": None,
    "min_test_gain": None,
    "min_gain_over_previous": None,
    "max_gain_gap": None,
    "max_kl": None,
    "max_length_ratio": None,
    "max_retention_rise": None,
    "min_win_rate": None,
}
REFERENCE = "reference"


class WorldFailed(Exception):
    """A round of the world did not succeed."""


def world_work(plan: Plan, report: Report = lambda done, total, message: None) -> dict[str, Any]:
    """Does the whole plan and returns its result, plain values. Raises WorldFailed, ApiRefused.

    The installation must be empty: project, people and prompts are made here.
    """
    language = Language(plan.language)
    gold = Gold(language, plan.gold, plan.seed)
    pool, measured = prompts_draw(language, plan)
    project = _project_make(plan, pool)
    people = population_draw(
        plan.population, base_differences(language, gold, plan.seed), plan.seed
    )
    labelers = accounts_open(project=project, population=people)
    rounds = []
    _round_do(project, Trigger.FIRST)
    for number, num_rankings in enumerate(plan.rankings_by_round(), start=1):
        labels_collect(labelers, gold, num_rankings, plan.seed, report)
        _settings_for_round(project, plan, number)
        done = _round_do(project, Trigger.MANUAL)
        rounds.append(_round_measure(done, plan, gold, measured))
    return {
        "plan": plan.as_json(),
        "num_rankings": Ranking.objects.count(),
        "agreement": agreement_measure(project).share if plan.overlap > 1 else None,
        "rounds": rounds,
    }


def prompts_draw(language: Language, plan: Plan) -> tuple[list[str], list[str]]:
    """The project's prompts, and others on which gold is measured, as many about each topic."""
    rng = random.Random(f"prompts {plan.seed}")
    num_measured = max(1, plan.num_measured // (4 * len(language.topics)))
    pool, measured = [], []
    for topic in language.topics:
        texts = language.prompts(topic)
        rng.shuffle(texts)
        measured += texts[:num_measured]
        pool.append(texts[num_measured : num_measured + _num_prompts(language, plan, topic)])
    return [text for texts in pool for text in texts], measured


def _num_prompts(language: Language, plan: Plan, topic: str) -> int:
    if plan.hard_share is None:
        return plan.num_prompts // len(language.topics)
    is_hard = topic in language.hard_topics
    share = plan.hard_share if is_hard else 1 - plan.hard_share
    return round(plan.num_prompts * share / len(
        language.hard_topics if is_hard else language.easy_topics
    ))  # fmt: skip


def base_differences(language: Language, gold: Gold, seed: int) -> list[float]:
    """Differences of gold value between two answers to one prompt, as the base model gives them."""
    rng = random.Random(f"differences {seed}")
    differences = []
    for _ in range(NUM_CALIBRATING):
        topic = rng.choice(language.topics)
        prompt = language.prompts(topic)[0]
        values = [gold.value(prompt, language.answer(topic, rng)) for _ in range(2)]
        differences.append(values[0] - values[1])
    return differences


def _project_make(plan: Plan, pool: list[str]) -> Project:
    project = project_create(
        actor=None,
        slug=SLUG,
        name=f"World {plan.seed}",
        judgements_per_task=plan.overlap,
        completions_per_task=plan.num_completions,
        kinds=["ranking"],
    )
    prompts_import(actor=None, project=project, lines=(json.dumps({"prompt": t}) for t in pool))
    num_words = plan.language.max_words
    _settings_for_round(project, plan, 0)
    loop_settings_update(
        actor=None,
        project=project,
        min_demonstrations=0,
        queue_low_water=0,
        auto_start=False,
        seed=plan.seed,
        held_out_percent=plan.held_out_percent,
        test_reward_model=plan.test_reward_model,
        policy_method="rloo",
        policy_start=plan.policy_start,
        strategy=plan.strategy,
        random_share=plan.random_share,
        gates=ALL_GATES_OFF,
        sampling={"temperature": 1.0, "max_new_tokens": num_words + 2},
    )
    return project


def _settings_for_round(project: Project, plan: Plan, number: int) -> None:
    """Before round `number`: tasks for the labels to come after it, and its KL penalty."""
    coming = [*plan.rankings_by_round(), plan.overlap][number]
    policy = POLICY | {"num_steps": plan.num_steps, "num_candidates": plan.num_candidates}
    if plan.kl_coefficients and number:
        policy["kl_coefficient"] = plan.kl_coefficients[number - 1]
    num_tokens = 2 * plan.language.max_words + 16
    loop_settings_update(
        actor=None,
        project=project,
        rankings_per_round=max(1, coming),
        # A few more: one whose answers are all alike makes no task.
        prompts_per_round=-(-coming // plan.overlap) + max(2, coming // 20),
        overrides={
            "rloo": policy | {"max_prompt_tokens": 32} | plan.policy,
            "reward_model": REWARD_MODEL | {"max_tokens": num_tokens} | plan.reward_model,
            "evaluate": {"completions_per_prompt": 2, "batch_rows": 256},
            "sample": {"batch_rows": 256},
        },
    )


def _round_do(project: Project, trigger: Trigger) -> Round:
    item = round_start(project=project, trigger=trigger)
    rounds_work(project=project)
    item.refresh_from_db()
    if item.status != RoundStatus.SUCCEEDED:
        raise WorldFailed(
            f"Round {item.number} is {item.status} at {item.step}: "
            f"{item.error_code} {item.error_text}"
        )
    return item


def _round_measure(item: Round, plan: Plan, gold: Gold, prompts: list[str]) -> dict[str, Any]:
    """What the product measured of the round's checkpoints, and their gold value beside it."""
    evaluation = Run.objects.get(round=item, step=RoundStep.EVALUATE)
    told = evaluation.result["data"]
    checkpoints = {
        parent.role: parent.checkpoint
        for parent in evaluation.run_parents.select_related("checkpoint")
    }
    asked = {REFERENCE: checkpoints[REFERENCE]} | {
        each["role"]: checkpoints[each["role"]] for each in told["candidates"]
    }
    values = gold_values(asked, gold, prompts, plan, f"round-{item.number}")
    kept = ("role", "step", "kl", "proxy_gain", "proxy_gain_error", "test_gain", "test_gain_error")
    return {
        "round": item.number,
        "num_rankings": held_count(item.snapshot, "rankings"),
        "pair_accuracy": evaluation.result["metrics"].get("evaluate/pair_accuracy"),
        "chosen": told["chosen"],
        "reference": _summary(values[REFERENCE], gold),
        "candidates": [
            {name: each.get(name) for name in kept} | _summary(values[each["role"]], gold)
            for each in told["candidates"]
        ],
    }


def gold_values(
    checkpoints: dict[str, Checkpoint], gold: Gold, prompts: list[str], plan: Plan, name: str
) -> dict[str, list[tuple[str, float]]]:
    """(topic, gold value) of fresh answers of each checkpoint, which the loop never sees.

    Raises WorldFailed.
    """
    folder = Path(django_settings.PREFERENDUM_DATA_DIR) / "measured" / name
    (folder / "data").mkdir(parents=True)
    roles = [role for role in checkpoints for _ in range(4)]
    document = {
        "method": "sample",
        "config": {
            "num_completions": len(roles),
            "max_new_tokens": plan.language.max_words + 2,
            "max_resamples": 0,
            "batch_rows": 256,
        },
        "seed": plan.seed,
        "inputs": {role: str(Path(each.location).absolute()) for role, each in checkpoints.items()},
    }
    (folder / "run.json").write_text(json.dumps(document))
    records = [
        {
            "prompt_id": number,
            "prompt": [{"role": "user", "content": text}],
            "split": "held_out",
            "roles": roles,
        }
        for number, text in enumerate(prompts)
    ]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "data" / "prompts.jsonl").write_text(lines)
    with process_start("sample", folder) as process:
        process.wait()
    if json_read(folder / "result.json") is None:
        raise WorldFailed(f"Gold was not measured: {stderr_tail(folder)}")
    values: dict[str, list[tuple[str, float]]] = {role: [] for role in checkpoints}
    for line in (folder / "samples.jsonl").read_text().splitlines():
        sample = json.loads(line)
        prompt = prompts[sample["prompt_id"]]
        value = gold.value(prompt, sample["text"])
        values[sample["role"]].append((gold.language.topic_of(prompt), value))
    return values


def _summary(values: list[tuple[str, float]], gold: Gold) -> dict[str, float | None]:
    """Mean gold value over all topics alike, over easy and over hard ones."""
    easy = [value for topic, value in values if topic in gold.language.easy_topics]
    hard = [value for topic, value in values if topic in gold.language.hard_topics]
    return {
        "gold": statistics.fmean(value for _, value in values),
        "gold_easy": statistics.fmean(easy) if easy else None,
        "gold_hard": statistics.fmean(hard) if hard else None,
    }
