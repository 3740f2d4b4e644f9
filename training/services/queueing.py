"""From policies to people: which prompts a policy answers, and its answers as tasks."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from annotation.choices import TaskStatus
from annotation.models import Completion, Project, Task
from annotation.services.tasks import RANKING, ranking_task_create
from training.choices import RUN_ACTIVE, RoundStatus, RoundStep, RunStatus
from training.models import LoopSettings, Round, Run, Sample
from training.seeds import seed_derive
from training.services.asking import KINDS, prompts_asked, sampling_plan
from training.services.checkpoints import deployment_get
from training.services.deployments import policies_live
from training.services.runs import run_create
from training.services.settings import loop_settings_ensure
from training.services.thumbs_queueing import thumbs_tasks_queue

PROMPTS_PER_TRANSACTION = 16
PAUSE_AFTER_NO_TASK = timedelta(minutes=10)


def ranking_tasks_queue(*, run: Run, priority: int = 0) -> tuple[int, int]:
    """Makes one ranking task of each prompt's distinct answers of a sampling run.

    Also a thumbs task of each of them; both only where the project collects that kind. Safe to
    repeat: what has its task is left alone. Returns (tasks the run has now, prompts whose answers
    were all equal, which cannot be ranked).
    """
    chosen = prompts_asked(run)
    by_prompt: dict[int, list[Completion]] = defaultdict(list)
    samples = Sample.objects.filter(run=run).select_related("completion__prompt")
    for sample in samples.order_by("index"):
        if sample.completion.prompt_id in chosen:
            by_prompt[sample.completion.prompt_id].append(sample.completion)
    distinct = {prompt_id: _distinct(found) for prompt_id, found in by_prompt.items()}
    num_thumbs = thumbs_tasks_queue(
        run=run, chosen=chosen, answers=list(distinct.values()), priority=priority
    )
    if RANKING not in run.project.kinds:
        return num_thumbs, 0
    rankable = [prompt_id for prompt_id, found in distinct.items() if len(found) >= 2]
    for start in range(0, len(rankable), PROMPTS_PER_TRANSACTION):
        with transaction.atomic():
            # One maker of this run's tasks at a time, and none once the run is replaced.
            current = Run.objects.select_for_update().filter(pk=run.pk, superseded_at=None)
            if current.first() is None:
                break
            done = set(_tasks_of(run).values_list("prompt_id", flat=True))
            for prompt_id in rankable[start : start + PROMPTS_PER_TRANSACTION]:
                if prompt_id in done:
                    continue
                strategy, score = chosen[prompt_id]
                ranking_task_create(
                    project=run.project,
                    prompt=distinct[prompt_id][0].prompt,
                    completions=distinct[prompt_id][: run.project.completions_per_task],
                    strategy=strategy,
                    strategy_score=score,
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
        plan = sampling_plan(
            settings=settings,
            policies=policies_live(project),
            num=2 * settings.queue_low_water,
            seed=seed,
        )
        if not plan["prompts"]:
            return None
        return run_create(settings=settings, step=RoundStep.SAMPLE, seed=seed, **plan)


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
