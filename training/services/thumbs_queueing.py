"""A policy's answers as thumbs tasks: one task for each answer."""

from collections.abc import Mapping

from django.db import transaction

from annotation.models import Completion, Task
from annotation.services.tasks import THUMBS, task_create
from training.models import Run


def thumbs_tasks_queue(
    *,
    run: Run,
    chosen: Mapping[int, tuple[str, float | None]],
    answers: list[list[Completion]],
    priority: int = 0,
) -> int:
    """Makes a thumbs task of each answer of a sampling run, where the project collects thumbs.

    `chosen`: what chose each prompt and with which score; `answers`: of each prompt, no two alike.
    Safe to repeat: an answer that has its task is left alone. Returns how many tasks the run has
    now.
    """
    if THUMBS not in run.project.kinds:
        return 0
    for completions in answers:
        with transaction.atomic():
            # One maker of this run's tasks at a time.
            Run.objects.select_for_update().get(pk=run.pk)
            done = set(
                Task.objects.filter(kind=THUMBS, completions__in=completions).values_list(
                    "completions", flat=True
                )
            )
            for completion in completions:
                if completion.pk not in done:
                    strategy, score = chosen[completion.prompt_id]
                    task_create(
                        project=run.project,
                        kind=THUMBS,
                        prompt=completion.prompt,
                        completions=[completion],
                        judgements_wanted=run.project.judgements_per_task,
                        strategy=strategy,
                        strategy_score=score,
                        priority=priority,
                    )
    tasks = Task.objects.filter(project=run.project, kind=THUMBS, completions__sample__run=run)
    return tasks.count()
