"""A project whose loop has turned once and is due again, and what a round leaves behind."""

from collections import Counter
from typing import Any
from unittest.mock import patch

from django.contrib.auth.models import User

from annotation.models import Project, Task
from annotation.services.assignments import assignment_claim, assignment_submit
from tests.training.people import demonstrations_make, prompts_make, rank_all
from training.choices import RUN_WAITING, RoundStatus
from training.models import Checkpoint, Deployment, Metric, Round, Run, Sample, Snapshot
from training.services.inline import rounds_work
from training.services.round_starting import round_start
from training.services.rounds import round_advance
from training.services.run_execution import run_execute
from training.services.steps import STEPS

NUM_PROMPTS = 30


def due_make(project: Project, annotator: User, is_sft_due: bool = True) -> None:
    """Round 0 is over, six of its tasks are ranked; the next may start, with SFT or without."""
    prompts = prompts_make(project, NUM_PROMPTS)
    demonstrations_make(project, annotator, prompts[:4])
    round_start(project=project)
    rounds_work(project=project)
    assert rank_all(project, annotator, limit=6) == 6
    if is_sft_due:
        demonstrations_make(project, annotator, prompts[4:8])


def until(round: Round, step: str = "", waiting_for: str = "") -> Round:
    """Works until the round has come to a step, with nothing of it done, or waits for somebody."""
    with patch.dict(STEPS, {step: lambda round: False} if step else {}):
        while (step and round.step != step) or (waiting_for and round.waiting_for != waiting_for):
            round_advance(round_id=round.pk)
            for run in Run.objects.filter(round=round, status__in=RUN_WAITING):
                run_execute(run_id=run.pk)
            round.refresh_from_db()
            assert round.status == RoundStatus.RUNNING, round.error_text
    return round


def round_turn(project: Project) -> Round:
    """The next round from start to end."""
    round = round_start(project=project)
    rounds_work(project=project)
    round.refresh_from_db()
    return round


def rank_for(project: Project, annotator: User, best: str, num: int) -> None:
    """Ranks the next tasks with the answers of the checkpoint of that name before all others."""
    for _ in range(num):
        assignment = assignment_claim(project=project, annotator=annotator, kind="ranking")
        assert assignment is not None
        rows = Sample.objects.filter(completion__tasks=assignment.task)
        names = dict(rows.values_list("completion", "checkpoint__name"))
        order = [[pk] for pk in sorted(names, key=lambda pk: (names[pk] != best, pk))]
        assignment_submit(
            assignment_id=assignment.pk, annotator=annotator, payload={"order": order}
        )


def outcome(round: Round) -> dict[str, Any]:
    """All that a round leaves in the database, without ids and times; prompts by their place."""
    round.refresh_from_db()
    first_prompt = round.project.prompts.order_by("pk").first().pk
    runs = Run.objects.filter(round=round)
    tasks = Task.objects.filter(completions__sample__run__round=round).distinct()
    samples = Sample.objects.filter(run__round=round)
    return {
        "status": (round.status, round.step, round.error_text),
        "decision": (round.decision, round.decision_reason, round.decision_data),
        "chosen": round.chosen.name if round.chosen else None,
        "snapshots": Snapshot.objects.filter(project=round.project).count(),
        "runs": list(runs.order_by("pk").values_list("step", "status", "result")),
        "parents": sorted(
            Run.parents.through.objects.filter(run__round=round).values_list(
                "run__step", "role", "checkpoint__name", "weight"
            )
        ),
        "checkpoints": sorted(
            Checkpoint.objects.filter(run__round=round).values_list("name", "kind", "step")
        ),
        "metrics": sorted(
            Metric.objects.filter(run__round=round).values_list(
                "run__step", "name", "step", "value"
            )
        ),
        "samples": Counter(samples.values_list("run__step", "checkpoint__name", "purpose")),
        "answers": sorted(
            (run, index, prompt - first_prompt, text)
            for run, index, prompt, text in samples.values_list(
                "run__step", "index", "completion__prompt", "completion__text"
            )
        ),
        "tasks": Counter(tasks.values_list("status", "kind", "priority", "strategy")),
        "shown": sorted(
            (prompt - first_prompt, text)
            for prompt, text in tasks.values_list("prompt", "completions__text")
        ),
        "asked": [
            [prompt - first_prompt for prompt in run.prompt_ids] for run in runs.order_by("pk")
        ],
        "open_tasks": Task.objects.filter(project=round.project, status="open").count(),
        "deployments": sorted(
            Deployment.objects.filter(round=round).values_list("role", "checkpoint__name", "weight")
        ),
        "live": Deployment.objects.filter(project=round.project, retired_at__isnull=True).count(),
    }
