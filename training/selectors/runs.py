"""Runs and their curves."""

from collections import defaultdict

from django.db.models import QuerySet

from annotation.models import Project
from training.models import Metric, Round, Run

MAX_POINTS = 1000


def run_list(project: Project) -> QuerySet[Run]:
    """Newest first, ready for a list page: no query per row."""
    return (
        Run.objects.filter(project=project)
        .select_related("round", "snapshot")
        .prefetch_related("checkpoints", "run_parents__checkpoint")
        .order_by("-pk")
    )


def round_run_get(round: Round, step: str) -> Run | None:
    """The run that does a step of the round now; those it replaced are history."""
    return Run.objects.filter(round=round, step=step, superseded_at__isnull=True).first()


def run_curves(run: Run) -> dict[str, list[tuple[int, float]]]:
    """{metric: [(step, value), ...]} by step; a long curve is thinned to about MAX_POINTS."""
    curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
    rows = Metric.objects.filter(run=run).order_by("name", "step")
    for name, step, value in rows.values_list("name", "step", "value"):
        curves[name].append((step, value))
    return {name: points[:: len(points) // MAX_POINTS + 1] for name, points in curves.items()}
