"""Win rates: an interval that may be watched vote by vote, and votes from people's rankings."""

import math
import random
from functools import cache
from itertools import accumulate

import pytest
from django.contrib.auth.models import User

from annotation.models import Completion, Project, Task
from annotation.services.assignments import assignment_claim, assignment_submit
from tests.factories import completion_make, labeler_make, prompt_make, task_of
from training.algorithms.measuring.win_rate import win_interval, win_rate
from training.algorithms.methods import method_get
from training.models import Checkpoint, LoopSettings, Run, Sample
from training.selectors.win_rates import policies_win_rate
from training.services.runs import run_create

NUM_VOTES = 120
NUM_SEQUENCES = 1000


@pytest.mark.parametrize("num", [1, 2, 10, 100])
def test_the_bound_of_nothing_but_wins_in_closed_form(num: int) -> None:
    # B(n + 1, 1) = 1 / (n + 1), so the ratio 1 / ((n + 1) p^n) is 20 at p = (20 (n + 1))^(-1 / n):
    # 0.025 after one vote, 0.583 after ten.
    low, high = win_interval(num, num)
    assert low == pytest.approx((20 * (num + 1)) ** (-1 / num), abs=1e-9)
    assert high == 1.0
    low, high = win_interval(0, num)
    assert low == 0.0
    assert high == pytest.approx(1 - (20 * (num + 1)) ** (-1 / num), abs=1e-9)


def test_the_bounds_of_one_win_in_two_and_of_one_tie_in_closed_form() -> None:
    # B(2, 2) = 1/6: 1 / (6 p (1 - p)) = 20, p (1 - p) = 1/120, p = (1 ± sqrt(1 - 4/120)) / 2
    root = math.sqrt(1 - 4 / 120)
    assert win_interval(1, 2) == pytest.approx(((1 - root) / 2, (1 + root) / 2), abs=1e-9)
    # B(3/2, 3/2) = pi / 8: pi / (8 sqrt(p (1 - p))) = 20, p (1 - p) = (pi / 160)^2
    root = math.sqrt(1 - 4 * (math.pi / 160) ** 2)
    assert win_interval(0.5, 1) == pytest.approx(((1 - root) / 2, (1 + root) / 2), abs=1e-9)


def test_another_level_and_no_votes() -> None:
    # 1 / (2 p) = 10 at alpha = 0.1
    assert win_interval(1, 1, alpha=0.1)[0] == pytest.approx(0.05)
    assert win_interval(0, 0) == (0.0, 1.0)
    assert win_rate(0, 0).share == 0.5


@pytest.mark.parametrize(("wins", "num"), [(3, 10), (2.5, 7), (60, 100)])
def test_swapping_the_policies_mirrors_the_interval(wins: float, num: int) -> None:
    low, high = win_interval(wins, num)
    assert win_interval(num - wins, num) == pytest.approx((1 - high, 1 - low), abs=1e-9)
    assert low < wins / num < high


@cache
def interval(twice_wins: int, num: int) -> tuple[float, float]:
    return win_interval(twice_wins / 2, num)


def wilson(twice_wins: int, num: int) -> tuple[float, float]:
    """For one look at a number of votes fixed beforehand (Wilson 1927), at 95 %."""
    z, share = 1.959964, twice_wins / 2 / num
    center = (share + z**2 / (2 * num)) / (1 + z**2 / num)
    half = z / (1 + z**2 / num) * math.sqrt(share * (1 - share) / num + z**2 / (4 * num**2))
    return center - half, center + half


def share_always_covered(bounds, votes: list[list[int]], rate: float) -> float:
    """Of sequences of votes (0, 1 or 2 halves): the rate was inside at each and every look."""
    covered = 0
    for sequence in votes:
        looks = enumerate(accumulate(sequence), start=1)
        covered += all(low <= rate <= high for low, high in (bounds(s, n) for n, s in looks))
    return covered / len(votes)


@pytest.mark.parametrize("rate", [0.5, 0.7])
def test_the_true_rate_is_inside_at_all_looks_at_once(rate: float) -> None:
    draw = random.Random(4)
    votes = [[2 * (draw.random() < rate) for _ in range(NUM_VOTES)] for _ in range(NUM_SEQUENCES)]
    # 95 % and more; the standard error over 1,000 sequences is 0.7 %.
    assert share_always_covered(interval, votes, rate) >= 0.95
    # The interval for one planned look is left behind at some look far more often than 5 %.
    assert share_always_covered(wilson, votes, rate) < 0.85


def test_ties_and_half_won_votes_are_covered_too() -> None:
    draw = random.Random(5)
    kinds = [0, 1, 1, 2]
    votes = [[draw.choice(kinds) for _ in range(NUM_VOTES)] for _ in range(300)]
    assert share_always_covered(interval, votes, 0.5) >= 0.95


def test_the_interval_closes_in_on_the_rate() -> None:
    widths = [high - low for low, high in (win_interval(0.7 * n, n) for n in (10, 100, 1000))]
    # As sqrt(log n / n): from 100 to 1,000 votes by sqrt(10 * log 100 / log 1000) = 2.6 or more.
    assert widths[0] > widths[1] > 2.5 * widths[2]
    assert win_interval(700, 1000)[0] > 0.64


# ---- votes from rankings


@pytest.fixture
def run(small: LoopSettings, silence: None) -> Run:
    return run_make(small)


def run_make(loop: LoopSettings) -> Run:
    return run_create(settings=loop, step="sample", method=method_get("sample"), seed=1)


@pytest.fixture
def policies(small: LoopSettings, silence: None) -> tuple[Checkpoint, Checkpoint]:
    """The new one and the one in use."""
    new, old = (
        Checkpoint.objects.create(
            project=small.project, run=run_make(small), kind="policy", name=name, path=name
        )
        for name in ("new", "old")
    )
    return new, old


def written(run: Run, task: Task, writers: list[Checkpoint | None]) -> None:
    """Says which policy wrote each of the task's answers; None: a person."""
    start = Sample.objects.filter(run=run).count()
    answers = Completion.objects.filter(tasks=task).order_by("task_completions__index")
    for place, (answer, writer) in enumerate(zip(answers, writers, strict=True)):
        if writer is not None:
            Sample.objects.create(
                completion=answer, checkpoint=writer, run=run, index=start + place, settings={},
                seed=1, num_tokens=3, finished=True, purpose="ranking",
            )  # fmt: skip


def asked(run: Run, writers: list[Checkpoint | None]) -> Task:
    prompt = prompt_make(run.project)
    task = task_of(prompt, [completion_make(prompt) for _ in writers])
    written(run, task, writers)
    return task


def ranked(task: Task, annotator: User, groups: list[list[int]]) -> None:
    """Places of the answers, best first; the task must be the next one open."""
    assignment = assignment_claim(project=task.project, annotator=annotator, kind="ranking")
    assert assignment is not None
    assert assignment.task == task
    ids = list(task.task_completions.order_by("index").values_list("completion_id", flat=True))
    order = [[ids[place] for place in group] for group in groups]
    assignment_submit(assignment_id=assignment.pk, annotator=annotator, payload={"order": order})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("groups", "wins"),
    [
        # new, new, old, old at ranks 1, 3, 2, 4: it wins (1,2), (1,4), (3,4) and loses (3,2).
        ([[0], [2], [1], [3]], 3 / 4),
        ([[0], [1], [2], [3]], 1.0),
        ([[2], [3], [0], [1]], 0.0),
        # All tied: half of each pair.
        ([[0, 1, 2, 3]], 1 / 2),
        # The first of each tied at the top, the others tied below: 1/2, 1, 0, 1/2.
        ([[0, 2], [1, 3]], 1 / 2),
        # 0 tied with 2, then 3, then 1: 1/2, 1, 0, 0.
        ([[0, 2], [3], [1]], 3 / 8),
    ],
)
def test_a_vote_is_the_share_of_pairs_won(
    run: Run, policies: tuple[Checkpoint, Checkpoint], bob: User, groups, wins: float
) -> None:
    new, old = policies
    ranked(asked(run, [new, new, old, old]), bob, groups)
    result = policies_win_rate(project=run.project, policy=new, other=old, run=run)
    assert (result.wins, result.num) == (pytest.approx(wins), 1)
    mirrored = policies_win_rate(project=run.project, policy=old, other=new)
    assert mirrored.wins == pytest.approx(1 - wins)


@pytest.mark.django_db
def test_only_closed_tasks_of_the_run_with_answers_of_both_count_once_each(
    run: Run, policies: tuple[Checkpoint, Checkpoint], small: LoopSettings, bob: User
) -> None:
    new, old = policies
    project = run.project
    Project.objects.filter(pk=project.pk).update(judgements_per_task=2)
    project.refresh_from_db()
    run.project.refresh_from_db()
    dora = labeler_make(project)
    # Both judged it, one for each policy: one vote of 1/2.
    first = asked(run, [new, old])
    ranked(first, bob, [[0], [1]])
    ranked(first, dora, [[1], [0]])
    # Only one of two has judged it: not in yet.
    half = asked(run, [new, old])
    ranked(half, bob, [[0], [1]])
    # Of one policy alone, or with a person's answer: no vote.
    for writers in ([new, new], [new, None]):
        alone = asked(run, writers)
        ranked(alone, bob, [[0], [1]])
        Task.objects.filter(pk=alone.pk).update(status="closed")
    # Won in another run: counts only when no run is asked about.
    elsewhere = asked(run_make(small), [new, old])
    ranked(elsewhere, bob, [[0], [1]])
    Task.objects.filter(pk=elsewhere.pk).update(status="closed")
    result = policies_win_rate(project=project, policy=new, other=old, run=run)
    assert (result.wins, result.num) == (0.5, 1)
    overall = policies_win_rate(project=project, policy=new, other=old)
    assert (overall.wins, overall.num) == (1.5, 2)
    assert (overall.low, overall.high) == win_interval(1.5, 2)
