"""How often people preferred one policy's answers to another's, without knowing whose they were."""

from collections import defaultdict
from statistics import fmean

from django.db.models import QuerySet

from annotation.choices import TaskStatus
from annotation.models import Project, Ranking, Task
from annotation.selectors.exclusions import judgements_counted
from training.algorithms.measuring.win_rate import WinRate, win_rate
from training.models import Checkpoint, Run, Sample
from training.selectors.answer_kinds import preference_kind_names


def policies_win_rate(
    *,
    project: Project,
    policy: Checkpoint,
    other: Checkpoint,
    run: Run | None = None,
    only_frozen: bool = False,
) -> WinRate:
    """Of the tasks that showed answers of both, each once, when all its judgements are in.

    A task's vote is the share of its (policy, other) pairs that the policy won, ties one half,
    averaged over its rankings. `run`: only tasks of this sampling run. `only_frozen`: only
    rankings that can no longer be taken back.
    """
    rankings = judgements_counted(Ranking.objects.all(), project)
    if only_frozen:
        rankings = rankings.filter(assignment__frozen_at__isnull=False)
    votes = _votes(project, policy, other, run, rankings)
    return win_rate(sum(votes), len(votes))


def _votes(
    project: Project,
    policy: Checkpoint,
    other: Checkpoint,
    run: Run | None,
    rankings: QuerySet[Ranking],
) -> list[float]:
    samples = Sample.objects.filter(checkpoint__in=(policy, other))
    if run is not None:
        samples = samples.filter(run=run)
    kinds = preference_kind_names()
    tasks = Task.objects.filter(project=project, kind__in=kinds, status=TaskStatus.CLOSED)
    for checkpoint in (policy, other):
        shown = samples.filter(checkpoint=checkpoint).values("completion__tasks")
        tasks = tasks.filter(pk__in=shown)
    writers = dict(
        samples.filter(completion__tasks__in=tasks).values_list("completion", "checkpoint")
    )
    votes: dict[int, list[float]] = defaultdict(list)
    for ranking in rankings.filter(task__in=tasks).prefetch_related("items").order_by("pk"):
        ranks: dict[int, list[int]] = defaultdict(list)
        for item in ranking.items.all():
            ranks[writers.get(item.completion_id, 0)].append(item.rank)
        if ranks[policy.pk] and ranks[other.pk]:
            votes[ranking.task_id].append(_share_won(ranks[policy.pk], ranks[other.pk]))
    return [fmean(shares) for shares in votes.values()]


def _share_won(ranks: list[int], other: list[int]) -> float:
    return fmean((a < b) + 0.5 * (a == b) for a in ranks for b in other)
