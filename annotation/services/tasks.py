from collections.abc import Sequence

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from annotation.choices import TaskStatus
from annotation.errors import InvalidInput
from annotation.judgements import kind_get
from annotation.models import Brief, Completion, Project, Prompt, Task, TaskCompletion
from annotation.services.locks import project_lock
from annotation.services.saving import save_new

DEMONSTRATION = "demonstration"


class CompletionsInvalid(InvalidInput):
    code = "completions_invalid"


@transaction.atomic
def task_create(
    *,
    project: Project,
    kind: str,
    prompt: Prompt | None,
    completions: Sequence[Completion] = (),
    brief: Brief | None = None,
    judgements_wanted: int = 1,
    strategy: str = "",
    strategy_score: float | None = None,
    priority: int = 0,
) -> Task:
    """Queues a task of any kind; completions keep the order given. Raises CompletionsInvalid."""
    _completions_check(project, kind, prompt, completions)
    task = save_new(
        Task(
            project=project,
            kind=kind,
            prompt=prompt,
            brief=brief,
            judgements_wanted=judgements_wanted,
            strategy=strategy,
            strategy_score=strategy_score,
            priority=priority,
        )
    )
    TaskCompletion.objects.bulk_create(
        TaskCompletion(task=task, completion=completion, index=index)
        for index, completion in enumerate(completions)
    )
    return task


@transaction.atomic
def demonstration_tasks_ensure(*, project: Project) -> int:
    """Gives the oldest prompts demonstration tasks until the project's target is met.

    Returns how many were made. Safe to repeat and to run twice at once.
    """
    project = project_lock(project.pk)
    if DEMONSTRATION not in project.kinds:
        return 0
    existing = demonstration_tasks(project)
    num_missing = project.demonstrations_target - existing.count()
    if num_missing <= 0:
        return 0
    prompts = (
        Prompt.objects.filter(project=project, is_active=True)
        .exclude(Exists(existing.filter(prompt=OuterRef("pk"))))
        .order_by("pk")[:num_missing]
    )
    tasks = Task.objects.bulk_create(
        [
            Task(project=project, kind=DEMONSTRATION, prompt=prompt, strategy="sequential")
            for prompt in prompts
        ],
        batch_size=500,
    )
    return len(tasks)


def demonstration_tasks_trim(*, project: Project) -> int:
    """Withdraws the newest unclaimed demonstration tasks beyond the target; returns how many."""
    existing = demonstration_tasks(project)
    num_surplus = existing.count() - project.demonstrations_target
    if num_surplus <= 0:
        return 0
    unclaimed = existing.filter(claims=0, status=TaskStatus.OPEN).order_by("-pk")
    return tasks_withdraw(
        tasks_queryset=unclaimed[:num_surplus],
        reason="The project's number of demonstrations was lowered.",
    )


def demonstration_tasks(project: Project) -> QuerySet[Task]:
    return Task.objects.filter(project=project, kind=DEMONSTRATION).exclude(
        status=TaskStatus.WITHDRAWN
    )


def tasks_withdraw(*, tasks_queryset: QuerySet[Task], reason: str) -> int:
    """Takes the open tasks that nobody has claimed out of the queue; returns how many.

    The queryset may join and slice: the condition is on the tasks' own rows, and so is the update.
    """
    found = list(tasks_queryset.values_list("pk", flat=True))
    return Task.objects.filter(pk__in=found, status=TaskStatus.OPEN, claims=0).update(
        status=TaskStatus.WITHDRAWN, withdrawn_reason=reason[:200]
    )


def _completions_check(
    project: Project, kind: str, prompt: Prompt | None, completions: Sequence[Completion]
) -> None:
    ids = [completion.pk for completion in completions]
    if prompt is not None and prompt.project_id != project.pk:
        raise CompletionsInvalid(f"Prompt {prompt.pk} is not of project {project.slug}.")
    if problem := kind_get(kind).completions_problem(project, len(ids)):
        raise CompletionsInvalid(f"A {kind} task was given {len(ids)} completions; {problem}.")
    if len(set(ids)) != len(ids):
        raise CompletionsInvalid(f"The completions {ids} repeat; each may be there once.")
    if foreign := [c.pk for c in completions if prompt is None or c.prompt_id != prompt.pk]:
        raise CompletionsInvalid(f"Completions {foreign} do not answer the prompt {prompt}.")
