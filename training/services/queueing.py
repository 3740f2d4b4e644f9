"""From policies to people: which prompts a policy answers, and its answers as tasks."""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta

from django.db import transaction
from django.db.models import Count, Max, QuerySet
from django.utils import timezone

from annotation.choices import TaskStatus
from annotation.models import Completion, Project, Prompt, Task
from annotation.services.tasks import RANKING, THUMBS, ranking_task_create
from training.algorithms.methods import method_list
from training.choices import RUN_ACTIVE, RoundStatus, RoundStep, RunStatus, SamplePurpose
from training.models import LoopSettings, Round, Run, Sample
from training.seeds import seed_derive
from training.services.checkpoints import deployment_get
from training.services.deployments import policies_live
from training.services.runs import run_create
from training.services.settings import loop_settings_ensure
from training.services.snapshots import HELD_OUT, TRAIN, prompt_split
from training.services.thumbs_queueing import thumbs_tasks_queue
from training.strategies import strategy_get
from training.strategies.base import PromptCandidate

# The kinds of task that show a policy's answers.
KINDS = (RANKING, THUMBS)
PROMPTS_PER_TRANSACTION = 16
PAUSE_AFTER_NO_TASK = timedelta(minutes=10)


def prompts_choose(
    *, settings: LoopSettings, num: int, seed: int
) -> list[tuple[int, float | None]]:
    """`num` prompts by the project's strategy, trained-on and held-out ones in proportion."""
    sides: dict[str, list[PromptCandidate]] = {TRAIN: [], HELD_OUT: []}
    for content_hash, candidate in _candidates(settings.project):
        sides[prompt_split(content_hash, settings.held_out_percent)].append(candidate)
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


def _candidates(project: Project) -> Iterator[tuple[str, PromptCandidate]]:
    """(content hash, candidate) of every active prompt, in import order."""
    asked = Sample.objects.filter(run__project=project, purpose=SamplePurpose.RANKING)
    last_rounds = dict(
        asked.order_by()
        .values_list("completion__prompt")
        .annotate(last=Max("run__round__number"))
        .values_list("completion__prompt", "last")
    )
    num_tasks = dict(
        Task.objects.filter(project=project, kind__in=KINDS)
        .exclude(status=TaskStatus.WITHDRAWN)
        .order_by()
        .values_list("prompt")
        .annotate(num=Count("pk"))
        .values_list("prompt", "num")
    )
    prompts = Prompt.objects.filter(project=project, is_active=True).order_by("pk")
    for pk, content_hash in prompts.values_list("pk", "content_hash"):
        yield content_hash, PromptCandidate(pk, num_tasks.get(pk, 0), last_rounds.get(pk))


def ranking_tasks_queue(*, run: Run, priority: int = 0) -> tuple[int, int]:
    """Makes one ranking task of each prompt's distinct answers of a sampling run.

    Also a thumbs task of each of them; both only where the project collects that kind. Safe to
    repeat: what has its task is left alone. Returns (tasks the run has now, prompts whose answers
    were all equal, which cannot be ranked).
    """
    settings = loop_settings_ensure(project=run.project)
    scores = dict(run.prompts)
    by_prompt: dict[int, list[Completion]] = defaultdict(list)
    samples = Sample.objects.filter(run=run).select_related("completion__prompt")
    for sample in samples.order_by("index"):
        by_prompt[sample.completion.prompt_id].append(sample.completion)
    distinct = {prompt_id: _distinct(found) for prompt_id, found in by_prompt.items()}
    num_thumbs = thumbs_tasks_queue(
        run=run, settings=settings, answers=list(distinct.values()), priority=priority
    )
    if RANKING not in run.project.kinds:
        return num_thumbs, 0
    rankable = [prompt_id for prompt_id, found in distinct.items() if len(found) >= 2]
    for start in range(0, len(rankable), PROMPTS_PER_TRANSACTION):
        with transaction.atomic():
            # One maker of this run's tasks at a time.
            Run.objects.select_for_update().get(pk=run.pk)
            done = set(_tasks_of(run).values_list("prompt_id", flat=True))
            for prompt_id in rankable[start : start + PROMPTS_PER_TRANSACTION]:
                if prompt_id in done:
                    continue
                ranking_task_create(
                    project=run.project,
                    prompt=distinct[prompt_id][0].prompt,
                    completions=distinct[prompt_id][: run.project.completions_per_task],
                    strategy=settings.strategy,
                    strategy_score=scores.get(prompt_id),
                    priority=priority,
                )
    return num_thumbs + _tasks_of(run).count(), len(distinct) - len(rankable)


def queue_top_up(*, project: Project) -> Run | None:
    """Has the deployed policy answer more prompts when a queue of its answers runs low.

    Waits while other answers are on their way. Safe to call at any time and twice.
    """
    settings = loop_settings_ensure(project=project)
    if not settings.queue_low_water or not project.is_active:
        return None
    if deployment_get(project.pk) is None or not _is_low(project, settings.queue_low_water):
        return None
    with transaction.atomic():
        LoopSettings.objects.select_for_update().get(pk=settings.pk)
        if _answers_coming(project) or _last_top_up_failed(project):
            return None
        number = _top_ups(project).count()
        seed = seed_derive(settings.seed, "top-up", number)
        prompts = prompts_choose(settings=settings, num=2 * settings.queue_low_water, seed=seed)
        if not prompts:
            return None
        (method,) = method_list("sample")
        policies = policies_live(project)
        return run_create(
            settings=settings,
            step=RoundStep.SAMPLE,
            method=method,
            seed=seed,
            parents={role: checkpoint for role, (checkpoint, _) in policies.items()},
            weights={role: weight for role, (_, weight) in policies.items()},
            prompts=prompts,
        )


def _is_low(project: Project, mark: int) -> bool:
    """Whether one of the kinds that the project collects has fewer open tasks than the mark."""
    tasks = Task.objects.filter(project=project, status=TaskStatus.OPEN)
    return any(tasks.filter(kind=kind).count() < mark for kind in KINDS if kind in project.kinds)


def _top_ups(project: Project) -> QuerySet[Run]:
    return Run.objects.filter(project=project, round__isnull=True, step=RoundStep.SAMPLE)


def _answers_coming(project: Project) -> bool:
    topping_up = _top_ups(project).filter(status__in=RUN_ACTIVE)
    steps = (RoundStep.DEPLOY, RoundStep.SAMPLE, RoundStep.QUEUE)
    in_round = Round.objects.filter(project=project, status=RoundStatus.RUNNING, step__in=steps)
    return topping_up.exists() or in_round.exists()


def _last_top_up_failed(project: Project) -> bool:
    """The last one brought no task, moments ago: the next one would be no luckier."""
    last = _top_ups(project).order_by("-pk").first()
    if last is None or last.finished_at is None:
        return False
    if last.finished_at < timezone.now() - PAUSE_AFTER_NO_TASK:
        return False
    tasks = Task.objects.filter(completions__sample__run=last)
    return last.status != RunStatus.SUCCEEDED or not tasks.exists()


def _tasks_of(run: Run) -> QuerySet[Task]:
    return Task.objects.filter(
        project=run.project, kind=RANKING, completions__sample__run=run
    ).distinct()


def _distinct(completions: Iterable[Completion]) -> list[Completion]:
    """The first completion of each text; white space at the ends is nothing a reader sees."""
    first: dict[str, Completion] = {}
    for completion in completions:
        first.setdefault(completion.text.strip(), completion)
    return list(first.values())
