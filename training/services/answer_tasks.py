"""From a sampling run's answers to tasks of every kind that shows answers."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, cycle, zip_longest

from django.db import transaction
from django.db.models import QuerySet

from annotation.judgements.base import JudgementKind, Supply
from annotation.models import Completion, Prompt, Task
from annotation.services.tasks import task_create
from training.models import Run, Sample
from training.selectors.answer_kinds import kinds_of_answers, kinds_of_several, trial_kind
from training.services.asking import prompts_asked

PROMPTS_PER_TRANSACTION = 16
TRIAL_PRIORITY = 1


@dataclass(frozen=True, slots=True)
class Answered:
    """A prompt of a run, its answers without equal ones, and the kind that shows several of them.

    `answers`: those of different policies in turns, so that the first few are not all of one.
    `kind`: None when they are all equal, or the project collects no such kind.
    """

    prompt: Prompt
    answers: list[Completion]
    kind: JudgementKind | None
    strategy: str
    score: float | None


def answer_tasks_queue(*, run: Run, is_trial: bool = False) -> tuple[int, int]:
    """Makes the tasks of a sampling run's answers, of the kinds that the project collects.

    Each prompt has one task of a kind that shows several answers: where there are several such
    kinds, each in turn; in a trial always the one that people vote by. Kinds that show one answer
    have a task for each. Safe to repeat: what has its task is left alone. Returns (tasks the run
    has now, prompts whose answers were all equal, which cannot be compared).
    """
    found = _answered(run, is_trial)
    for start in range(0, len(found), PROMPTS_PER_TRANSACTION):
        with transaction.atomic():
            # One maker of this run's tasks at a time, and none once the run is replaced.
            current = Run.objects.select_for_update().filter(pk=run.pk, superseded_at=None)
            if current.first() is None:
                break
            _tasks_make(run, found[start : start + PROMPTS_PER_TRANSACTION], is_trial)
    num_equal = sum(len(item.answers) < 2 for item in found) if kinds_of_several(run.project) else 0
    return _tasks_of(run).distinct().count(), num_equal


def _answered(run: Run, is_trial: bool) -> list[Answered]:
    """In the order in which they were answered."""
    asked = prompts_asked(run)
    by_prompt: dict[int, list[Sample]] = defaultdict(list)
    samples = Sample.objects.filter(run=run).select_related("completion__prompt")
    for sample in samples.order_by("index"):
        if sample.completion.prompt_id in asked:
            by_prompt[sample.completion.prompt_id].append(sample)
    turns = _turns(run, is_trial)
    found = []
    for prompt_id, drawn in by_prompt.items():
        answers = _in_turns(_distinct(drawn))
        kind = next(turns, None) if len(answers) >= 2 else None
        found.append(Answered(answers[0].prompt, answers, kind, *asked[prompt_id]))
    return found


def _turns(run: Run, is_trial: bool) -> Iterator[JudgementKind]:
    kinds = kinds_of_several(run.project)
    voting = trial_kind(run.project) if is_trial else None
    return cycle([voting] if voting else kinds)


def _tasks_make(run: Run, found: list[Answered], is_trial: bool) -> None:
    tasks = _tasks_of(run).filter(prompt__in=[item.prompt.pk for item in found])
    known = list(tasks.values_list("kind", "prompt", "completions"))
    several = {kind.name for kind in kinds_of_several(run.project)}
    compared = {prompt_id for kind, prompt_id, _ in known if kind in several}
    shown = {(kind, completion) for kind, _, completion in known}
    priority = TRIAL_PRIORITY if is_trial else 0
    for item in found:
        if item.kind is not None and item.prompt.pk not in compared:
            num_shown = item.kind.num_completions(run.project)
            _task_make(run, item.kind, item, item.answers[:num_shown], priority)
        for kind in kinds_of_answers(run.project, item.prompt):
            if kind.supply is Supply.ANSWER:
                for answer in item.answers:
                    if (kind.name, answer.pk) not in shown:
                        _task_make(run, kind, item, [answer], priority)


def _task_make(
    run: Run, kind: JudgementKind, item: Answered, answers: list[Completion], priority: int
) -> None:
    task_create(
        project=run.project,
        kind=kind.name,
        prompt=item.prompt,
        completions=answers,
        judgements_wanted=run.project.judgements_per_task,
        strategy=item.strategy,
        strategy_score=item.score,
        priority=priority,
    )


def _tasks_of(run: Run) -> QuerySet[Task]:
    return Task.objects.filter(project=run.project, completions__sample__run=run)


def _distinct(samples: Iterable[Sample]) -> dict[int, list[Completion]]:
    """{checkpoint: its answers}, the first of each text; white space at the ends is not seen."""
    texts: set[str] = set()
    answers: dict[int, list[Completion]] = defaultdict(list)
    for sample in samples:
        text = sample.completion.text.strip()
        if text not in texts:
            texts.add(text)
            answers[sample.checkpoint_id].append(sample.completion)
    return answers


def _in_turns(answers: Mapping[int, list[Completion]]) -> list[Completion]:
    rows = zip_longest(*answers.values())
    return [answer for answer in chain.from_iterable(rows) if answer is not None]
