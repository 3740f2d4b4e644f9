"""A labeler's own numbers in one project, and why its labelers skipped tasks."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

from django.contrib.auth.models import User
from django.db.models import Count
from django.utils import timezone
from django.utils.functional import Promise

from annotation.choices import AssignmentStatus
from annotation.judgements import kind_get
from annotation.models import Assignment, Project

NUM_DAYS = 14
NUM_SKIP_REASONS = 20


@dataclass(frozen=True, slots=True)
class KindStatistics:
    """`week`: today and the six days before. `median_seconds` of attention, None when unknown."""

    kind: str
    today: int
    week: int
    total: int
    median_seconds: float | None

    @property
    def title(self) -> str | Promise:
        return kind_get(self.kind).title


@dataclass(frozen=True, slots=True)
class DayCount:
    date: date
    count: int


@dataclass(frozen=True, slots=True)
class MyStatistics:
    """`days`: the last two weeks, oldest first. `days_in_a_row` end today, or yesterday while
    nothing was done yet today.
    """

    kinds: list[KindStatistics]
    days: list[DayCount]
    days_in_a_row: int
    total: int


def my_statistics(user: User, project: Project) -> MyStatistics:
    """Of the kinds that the project collects or the person has judged by. One query."""
    submitted = Assignment.objects.filter(
        annotator=user, task__project=project, status=AssignmentStatus.SUBMITTED
    )
    today = timezone.localdate()
    dates: dict[str, list[date]] = {kind: [] for kind in project.kinds}
    seconds: dict[str, list[float]] = defaultdict(list)
    rows = submitted.order_by("pk").values_list("task__kind", "finished_at", "seconds_spent")
    for kind, finished_at, seconds_spent in rows.iterator():
        assert finished_at is not None, "what was submitted has finished"
        dates.setdefault(kind, []).append(timezone.localdate(finished_at))
        if seconds_spent is not None:
            seconds[kind].append(seconds_spent)
    per_day = Counter(day for days in dates.values() for day in days)
    first = today - timedelta(days=NUM_DAYS - 1)
    return MyStatistics(
        kinds=[_of_kind(kind, days, seconds[kind], today) for kind, days in dates.items()],
        days=[DayCount(day, per_day[day]) for day in _days_from(first, NUM_DAYS)],
        days_in_a_row=_days_in_a_row(set(per_day), today),
        total=per_day.total(),
    )


@dataclass(frozen=True, slots=True)
class SkipReason:
    """``kinds``: how many of the skipped tasks were of which kind."""

    reason: str
    num: int
    kinds: dict[str, int]


def skip_reasons(project: Project) -> list[SkipReason]:
    """The most frequent reasons, most frequent first. Two queries."""
    skipped = Assignment.objects.filter(task__project=project, status=AssignmentStatus.SKIPPED)
    counted = skipped.order_by().values("skip_reason").annotate(num=Count("pk"))
    most = dict(
        counted.order_by("-num", "skip_reason").values_list("skip_reason", "num")[:NUM_SKIP_REASONS]
    )
    kinds: dict[str, dict[str, int]] = defaultdict(dict)
    rows = skipped.filter(skip_reason__in=most).order_by().values_list("skip_reason", "task__kind")
    for reason, kind, num in rows.annotate(num=Count("pk")):
        kinds[reason][kind] = num
    return [SkipReason(reason, num, kinds[reason]) for reason, num in most.items()]


def _of_kind(kind: str, days: list[date], seconds: list[float], today: date) -> KindStatistics:
    return KindStatistics(
        kind=kind,
        today=days.count(today),
        week=sum(today - timedelta(days=7) < day <= today for day in days),
        total=len(days),
        median_seconds=median(seconds) if seconds else None,
    )


def _days_from(first: date, num: int) -> list[date]:
    return [first + timedelta(days=offset) for offset in range(num)]


def _days_in_a_row(days: set[date], today: date) -> int:
    last = today if today in days else today - timedelta(days=1)
    num = 0
    while last - timedelta(days=num) in days:
        num += 1
    return num
