"""What to ask people next: the plan of a sampling run, and what chose each prompt of one.

Chance chooses where a strategy cannot: in a trial, whose votes must not depend on what the reward
model thinks, where people see one answer at a time, and while the project has no reward model with
the ensemble that the strategy reads.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Count, Max, QuerySet

from annotation.choices import TaskStatus
from annotation.models import Project, Prompt, Task
from annotation.selectors.prompts import prompts_askable
from training.choices import CheckpointKind, RoundStep, SamplePurpose
from training.models import Checkpoint, LoopSettings, Run, Sample
from training.selectors.answer_kinds import (
    answer_kind_names,
    kinds_of_answers,
    takes_every_prompt,
)
from training.services.best_of_n import answering_method
from training.services.configs import run_config
from training.services.settings import run_settings
from training.services.snapshots import HELD_OUT, TRAIN, split_of
from training.strategies import strategy_get
from training.strategies.base import NO_SELECTION, PromptCandidate, Strategy

RANDOM = "random"
CANDIDATES_FACTOR = 2


def sampling_plan(
    *,
    settings: LoopSettings,
    policies: Mapping[str, tuple[Checkpoint, float]],
    num: int,
    seed: int,
    is_trial: bool = False,
) -> dict[str, Any]:
    """Values of run_create for asking about `num` prompts: method, parents, weights and so on.

    `policies`: {role: (checkpoint, weight)}. "prompts" is empty when the project has none to ask.
    """
    strategy = strategy_get(settings.strategy)
    method, selecting = answering_method(settings)
    if selecting is not None:
        return {
            "method": method,
            "parents": {"policy": policies["policy"][0], "reward_model": selecting},
            "prompts": prompts_choose(settings=settings, num=num, seed=seed),
        }
    num_shown = run_config(settings, method)["num_completions"]
    can_select = num_shown >= 2 and not is_trial
    reward_model = _reward_model(settings, strategy) if can_select else None
    parents = {role: checkpoint for role, (checkpoint, _) in policies.items()}
    plan: dict[str, Any] = {
        "method": method,
        "parents": parents,
        "weights": {role: weight for role, (_, weight) in policies.items()},
    }
    if reward_model is None:
        return plan | {"prompts": prompts_choose(settings=settings, num=num, seed=seed)}
    pool = prompts_choose(settings=settings, num=strategy.pool_factor * num, seed=seed)
    extra = {
        "selection": strategy.selection,
        "num_candidates": max(
            settings.candidates_per_prompt or CANDIDATES_FACTOR * num_shown, num_shown
        ),
        "num_prompts": num,
        "random_share": settings.random_share,
    }
    return plan | {
        "parents": parents | {"reward_model": reward_model},
        "prompts": pool,
        "extra": extra,
    }


def prompts_choose(
    *, settings: LoopSettings, num: int, seed: int
) -> list[tuple[int, float | None]]:
    """`num` prompts by the project's strategy, trained-on and held-out ones in proportion."""
    sides: dict[str, list[PromptCandidate]] = {TRAIN: [], HELD_OUT: []}
    for split, candidate in _candidates(settings):
        sides[split].append(candidate)
    total = sum(len(side) for side in sides.values())
    if total == 0:
        return []
    num = min(num, total)
    num_held_out = round(num * len(sides[HELD_OUT]) / total)
    strategy, rng = strategy_get(settings.strategy), random.Random(seed)
    choices = [
        *strategy.choose(sides[TRAIN], num - num_held_out, rng),
        *strategy.choose(sides[HELD_OUT], num_held_out, rng),
    ]
    rng.shuffle(choices)
    return [(choice.prompt_id, choice.score) for choice in choices]


def prompts_asked(run: Run) -> dict[int, tuple[str, float | None]]:
    """{prompt: (what chose it, with which score)} of a succeeded sampling run."""
    # From the row: who registers a result holds the run as it was before.
    result = Run.objects.values_list("result", flat=True).get(pk=run.pk)
    asked = (result.get("data") or {}).get("asked")
    if asked is not None:
        return {item["prompt_id"]: (item["strategy"], item["score"]) for item in asked}
    strategy = strategy_get(run_settings(run).strategy)
    # An active strategy that could not select has drawn its prompts by chance.
    name = strategy.name if strategy.selection == NO_SELECTION else RANDOM
    return {prompt_id: (name, score) for prompt_id, score in run.prompts}


def _reward_model(settings: LoopSettings, strategy: Strategy) -> Checkpoint | None:
    """The project's newest reward model if the strategy's selection can read it."""
    if strategy.selection == NO_SELECTION:
        return None
    made = Checkpoint.objects.filter(
        project=settings.project,
        kind=CheckpointKind.REWARD_MODEL,
        run__step=RoundStep.REWARD_MODEL,
        run__superseded_at__isnull=True,
    )
    newest = made.select_related("run").order_by("-pk").first()
    if newest is None or newest.run is None:
        return None
    if strategy.needs_ensemble and not newest.run.config.get("num_heads"):
        return None
    return newest


def _candidates(settings: LoopSettings) -> Iterator[tuple[str, PromptCandidate]]:
    """(side of the split, candidate) of the prompts that may be asked about, in import order."""
    project = settings.project
    asked = Sample.objects.filter(run__project=project, purpose=SamplePurpose.RANKING)
    last_rounds = dict(
        asked.order_by()
        .values_list("completion__prompt")
        .annotate(last=Max("run__round__number"))
        .values_list("completion__prompt", "last")
    )
    num_tasks = dict(
        Task.objects.filter(project=project, kind__in=answer_kind_names())
        .exclude(status=TaskStatus.WITHDRAWN)
        .order_by()
        .values_list("prompt")
        .annotate(num=Count("pk"))
        .values_list("prompt", "num")
    )
    prompts = prompts_askable(project).select_related("opening").order_by("pk")
    for prompt in _taken(project, prompts.defer("messages", "opening__messages")):
        pk = prompt.pk
        candidate = PromptCandidate(pk, num_tasks.get(pk, 0), last_rounds.get(pk))
        yield split_of(prompt, settings.held_out_percent), candidate


def _taken(project: Project, prompts: QuerySet[Prompt]) -> Iterator[Prompt]:
    """The prompts that some collected kind takes; without any kind, all."""
    kinds = kinds_of_answers(project)
    takes_all = not kinds or any(takes_every_prompt(kind) for kind in kinds)
    for prompt in prompts.iterator():
        if takes_all or kinds_of_answers(project, prompt):
            yield prompt
