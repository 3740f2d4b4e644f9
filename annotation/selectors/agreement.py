"""How a person's judgements and other people's of the same tasks compare.

Only of tasks that the person has judged for good: nobody is to learn what others said of a task
and then take their own word back.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.utils import timezone

from annotation.choices import AssignmentStatus
from annotation.models import Assignment, EvidenceMark, Project, Ranking, Task, Thumb
from annotation.selectors.exclusions import judgements_counted

# (prompt id, 1.0 when both said the same, else 0.0)
Credit = tuple[int, float]


@dataclass(frozen=True, slots=True)
class SharedJudgements:
    """What one person and each other person said of the same things.

    `pairs`: of two answers that both put in order, whether in the same one. `ties`: of two answers
    that at least one of them tied, whether both did. `marks`: thumbs and evidence, whether equal.
    """

    tasks: set[int] = field(default_factory=set)
    pairs: list[Credit] = field(default_factory=list)
    ties: list[Credit] = field(default_factory=list)
    marks: list[Credit] = field(default_factory=list)


def judgements_shared(user: User, project: Project) -> SharedJudgements:
    """Without the judgements of excluded people. Four queries."""
    shared = SharedJudgements()
    tasks = _tasks_settled(user, project)
    _orders_compare(
        shared, user, judgements_counted(Ranking.objects.filter(task__in=tasks), project)
    )
    for model, verdict in ((Thumb, "is_up"), (EvidenceMark, "is_supported")):
        marks = judgements_counted(model._default_manager.filter(task__in=tasks), project)
        _marks_compare(
            shared, user, marks.values_list("task", "prompt", "annotator", verdict).order_by("pk")
        )
    return shared


def _tasks_settled(user: User, project: Project) -> QuerySet[Task]:
    """Those on which the person's word stands: it is too late to take it back."""
    late = timezone.now() - timedelta(minutes=project.undo_minutes)
    own = Assignment.objects.filter(
        Q(frozen_at__isnull=False) | Q(finished_at__lt=late),
        annotator=user,
        status=AssignmentStatus.SUBMITTED,
        task__project=project,
    )
    return Task.objects.filter(pk__in=own.values("task"))


def _orders_compare(shared: SharedJudgements, user: User, rankings: QuerySet[Ranking]) -> None:
    by_task: dict[int, list[Ranking]] = defaultdict(list)
    for ranking in rankings.prefetch_related("items").order_by("pk"):
        by_task[ranking.task_id].append(ranking)
    for task, own, other in _with_others(by_task, user, lambda ranking: ranking.annotator_id):
        shared.tasks.add(task)
        mine, theirs = _ranks(own), _ranks(other)
        for first, second in combinations(sorted(mine.keys() & theirs.keys()), 2):
            side, their_side = _side(mine, first, second), _side(theirs, first, second)
            credits = shared.pairs if side and their_side else shared.ties
            credits.append((own.prompt_id, float(side == their_side)))


def _marks_compare(shared: SharedJudgements, user: User, marks: Iterable[Any]) -> None:
    by_task: dict[int, list[tuple[int, int, bool]]] = defaultdict(list)
    for task, *mark in marks:
        by_task[task].append(tuple(mark))
    for task, own, other in _with_others(by_task, user, lambda mark: mark[1]):
        shared.tasks.add(task)
        shared.marks.append((own[0], float(own[2] == other[2])))


def _with_others(by_task: dict[int, list[Any]], user: User, annotator_of: Any) -> Iterable[Any]:
    """(task, the person's judgement of it, another person's of it), each other person's once."""
    for task, judgements in by_task.items():
        own = [each for each in judgements if annotator_of(each) == user.pk]
        others = [each for each in judgements if annotator_of(each) != user.pk]
        yield from ((task, mine, other) for mine in own for other in others)


def _ranks(ranking: Ranking) -> dict[int, int]:
    return {item.completion_id: item.rank for item in ranking.items.all()}


def _side(ranks: dict[int, int], first: int, second: int) -> int:
    """-1: the first is better; 1: the second; 0: a tie."""
    return (ranks[first] > ranks[second]) - (ranks[first] < ranks[second])
