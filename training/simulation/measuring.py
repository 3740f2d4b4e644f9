"""The loop measured with scripted labelers: does the policy come to be what they prefer?"""

import hashlib
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass

from annotation.models import Demonstration, Project, Ranking
from annotation.services.projects import project_create
from annotation.services.prompts import prompts_import
from training.algorithms.pretrain.corpus import demo_prompts
from training.choices import RoundStatus, RoundStep, SamplePurpose, Trigger
from training.models import LoopSettings, Round, Run, Sample
from training.presets import embedded_preset
from training.selectors.judgements import held_count
from training.selectors.rounds import Headline, round_get
from training.services.base_model import Report, base_checkpoint_get
from training.services.doorbell import doorbell_silenced
from training.services.inline import rounds_work
from training.services.round_control import round_retry
from training.services.round_starting import round_start
from training.services.settings import loop_settings_update
from training.simulation.labelers import labelers_ensure, simulate
from training.simulation.preference import hidden_value

# A few prompts more than rankings: one whose answers are all alike makes no task.
SPARE_PROMPTS = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done for one seed. Equal plans use the same project, so that one can be resumed."""

    seed: int
    num_rankings: int = 600
    num_rounds: int = 2
    num_labelers: int = 8
    num_demonstrations: int = 48
    num_prompts: int = 400

    @property
    def rankings_per_round(self) -> int:
        return self.num_rankings // self.num_rounds

    @property
    def slug(self) -> str:
        """Names the plan, the preset and the base model: other numbers, another project."""
        base = base_checkpoint_get().path
        key = json.dumps([asdict(self), embedded_preset(), base], sort_keys=True)
        return f"measure-{self.seed}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Mean:
    value: float
    error: float
    """Standard error over prompts."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One round of one seed, on prompts that were never trained on."""

    seed: int
    round: int
    num_rankings: int
    headline: Headline
    hidden_policy: Mean
    hidden_reference: Mean
    hidden_gain: Mean


class MeasureFailed(Exception):
    """A round of the measurement did not succeed."""


def plan_work(
    plan: Plan,
    *,
    report: Report,
    report_of: Callable[[Run], Report],
) -> Project:
    """Does whatever of the plan is not done yet, in this process. Raises MeasureFailed."""
    with doorbell_silenced():
        return _plan_work(plan, report, report_of)


def _plan_work(plan: Plan, report: Report, report_of: Callable[[Run], Report]) -> Project:
    project = _project_ensure(plan)
    labelers = labelers_ensure(project=project, num=plan.num_labelers)
    for number in range(plan.num_rounds + 1):
        written = Demonstration.objects.filter(prompt__project=project).count()
        ranked = Ranking.objects.filter(task__project=project).count()
        simulate(
            project=project,
            labelers=labelers,
            num_rankings=max(0, number * plan.rankings_per_round - ranked),
            num_demonstrations=max(0, plan.num_demonstrations - written),
            seed=plan.seed,
            report=report,
        )
        _round_work(project, number, report_of)
    return project


def plan_measure(plan: Plan) -> list[Measured]:
    """The plan's finished rounds that trained a policy."""
    project = Project.objects.get(slug=plan.slug)
    rounds = Round.objects.filter(project=project, status=RoundStatus.SUCCEEDED, number__gte=1)
    return [_measure(plan, item) for item in rounds.select_related("snapshot").order_by("number")]


def _project_ensure(plan: Plan) -> Project:
    project = Project.objects.filter(slug=plan.slug).first()
    if project is None:
        project = project_create(
            actor=None,
            slug=plan.slug,
            name=f"Measurement, seed {plan.seed}",
            demonstrations_target=plan.num_demonstrations + plan.num_labelers,
        )
    if not LoopSettings.objects.filter(project=project).exists():
        loop_settings_update(
            actor=None,
            project=project,
            rankings_per_round=plan.rankings_per_round,
            prompts_per_round=min(plan.num_prompts, plan.rankings_per_round + SPARE_PROMPTS),
            min_demonstrations=plan.num_demonstrations,
            queue_low_water=0,
            auto_start=False,
            seed=plan.seed,
            **embedded_preset(),
        )
    if not project.prompts.exists():
        texts = demo_prompts(plan.seed, plan.num_prompts)
        lines = (json.dumps({"prompt": text}) for text in texts)
        prompts_import(actor=None, project=project, lines=lines)
    return project


def _round_work(project: Project, number: int, report_of: Callable[[Run], Report]) -> None:
    item = Round.objects.filter(project=project, number=number).first()
    if item is None:
        trigger = Trigger.MANUAL if number else Trigger.FIRST
        item = round_start(project=project, trigger=trigger)
    elif item.status in (RoundStatus.FAILED, RoundStatus.CANCELLED):
        item = round_retry(round=item)
    rounds_work(project=project, report_of=report_of)
    item.refresh_from_db()
    if item.status != RoundStatus.SUCCEEDED:
        raise MeasureFailed(
            f"Round {number} of {project.slug} is {item.status} at {item.step}: "
            f"{item.error_code} {item.error_text}"
        )


def _measure(plan: Plan, item: Round) -> Measured:
    headline = round_get(item.project, item.number).headline
    if headline is None or item.snapshot is None:
        raise MeasureFailed(f"Round {item.number} of {plan.slug} measured nothing.")
    run = Run.objects.get(round=item, step=RoundStep.EVALUATE)
    roles = {parent.checkpoint_id: parent.role for parent in run.run_parents.all()}
    values: dict[str, dict[int, list[float]]] = {
        "policy": defaultdict(list),
        "reference": defaultdict(list),
    }
    samples = Sample.objects.filter(run=run, purpose=SamplePurpose.EVALUATION)
    for sample in samples.select_related("completion__prompt"):
        prompt = sample.completion.prompt
        value = hidden_value(prompt.text_last, sample.completion.text)
        values[roles[sample.checkpoint_id]][prompt.pk].append(value)
    means = {role: {pk: statistics.fmean(v) for pk, v in by.items()} for role, by in values.items()}
    shared = sorted(means["policy"].keys() & means["reference"].keys())
    return Measured(
        seed=plan.seed,
        round=item.number,
        num_rankings=held_count(item.snapshot, "rankings"),
        headline=headline,
        hidden_policy=_mean([means["policy"][pk] for pk in shared]),
        hidden_reference=_mean([means["reference"][pk] for pk in shared]),
        hidden_gain=_mean([means["policy"][pk] - means["reference"][pk] for pk in shared]),
    )


def _mean(values: list[float]) -> Mean:
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Mean(statistics.fmean(values), error)
