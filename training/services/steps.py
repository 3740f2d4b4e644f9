"""The steps of a round. Each may be begun any number of times and says whether it is done."""

from collections.abc import Callable
from itertools import islice

from django.db import IntegrityError, transaction
from django.utils import timezone

from training.algorithms.methods import method_list
from training.choices import RoundStep, RunStatus
from training.errors import NoPrompts
from training.models import Deployment, LoopSettings, Round, Run
from training.seeds import seed_derive
from training.services.checkpoints import round_policy_get, run_inputs_resolve
from training.services.configs import method_find
from training.services.queueing import (
    prompts_choose,
    ranking_tasks_queue,
    retired_tasks_withdraw,
)
from training.services.runs import run_create
from training.services.settings import loop_settings_ensure
from training.services.snapshots import HELD_OUT, snapshot_create, snapshot_records

NUM_EVALUATION_PROMPTS = 128


class StepFailed(Exception):
    """The step's run ended without success."""

    def __init__(self, run: Run) -> None:
        super().__init__(run.error_text)
        self.run = run


def freeze(round: Round) -> bool:
    settings = loop_settings_ensure(project=round.project)
    if round.snapshot is None:
        snapshot = snapshot_create(project=round.project, settings=settings)
        # Of two freezes at once the first counts; the other's rows stay for the next round.
        Round.objects.filter(pk=round.pk, snapshot__isnull=True).update(snapshot=snapshot)
    return True


def train(round: Round) -> bool:
    """SFT, reward model, policy and evaluation: a run of the step's method on the snapshot."""
    if round.step == RoundStep.EVALUATE and not _held_out_prompts(round):
        # Every prompt is trained on, so there is nothing to measure with.
        return True
    return _run_is_done(round) or _run_begin(round)


def deploy(round: Round) -> bool:
    """Makes the round's policy the one whose answers people see; retires the one before."""
    checkpoint = round_policy_get(round, loop_settings_ensure(project=round.project))
    try:
        with transaction.atomic():
            if Deployment.objects.filter(round=round).exists():
                return True
            now = timezone.now()
            active = Deployment.objects.filter(project=round.project, retired_at__isnull=True)
            active.update(retired_at=now)
            Deployment.objects.create(project=round.project, checkpoint=checkpoint, round=round)
    except IntegrityError:
        # Deployed by somebody else at the same moment; the constraint let one of us through.
        return Deployment.objects.filter(round=round).exists()
    return True


def queue(round: Round) -> bool:
    """Puts the new policy's answers before people, then takes back what nobody has begun."""
    run = Run.objects.select_related("project").get(round=round, step=RoundStep.SAMPLE)
    num_tasks, num_equal = ranking_tasks_queue(run=run)
    data = {"num_tasks": num_tasks, "num_prompts_with_equal_answers": num_equal}
    Run.objects.filter(pk=run.pk).update(result={**run.result, "queue": data})
    if num_tasks:
        retired_tasks_withdraw(project=round.project)
    return True


STEPS: dict[str, Callable[[Round], bool]] = {
    RoundStep.FREEZE: freeze,
    RoundStep.SFT: train,
    RoundStep.REWARD_MODEL: train,
    RoundStep.POLICY: train,
    RoundStep.EVALUATE: train,
    RoundStep.DEPLOY: deploy,
    RoundStep.SAMPLE: train,
    RoundStep.QUEUE: queue,
}


def step_method(settings: LoopSettings, step: str) -> str:
    """Name of the method that does a step's run."""
    if step == RoundStep.POLICY:
        return settings.policy_method
    stage = {RoundStep.EVALUATE: "evaluate", RoundStep.SAMPLE: "sample"}.get(RoundStep(step), step)
    return method_list(stage)[0].name  # type: ignore[arg-type]


def _run_is_done(round: Round) -> bool:
    """Raises StepFailed when the step's run stopped without success."""
    run = Run.objects.filter(round=round, step=round.step).first()
    if run is not None and run.status in (RunStatus.FAILED, RunStatus.CANCELLED):
        raise StepFailed(run)
    return run is not None and run.status == RunStatus.SUCCEEDED


def _run_begin(round: Round) -> bool:
    if Run.objects.filter(round=round, step=round.step).exists():
        return False
    settings = loop_settings_ensure(project=round.project)
    method = method_find(step_method(settings, round.step))
    seed = seed_derive(settings.seed, "round", round.number, round.step)
    run_create(
        settings=settings,
        step=round.step,
        method=method,
        seed=seed,
        round=round,
        snapshot=round.snapshot,
        parents=run_inputs_resolve(round, settings, method),
        prompts=_prompts(round, settings, seed),
    )
    return False


def _prompts(round: Round, settings: LoopSettings, seed: int) -> list[tuple[int, float | None]]:
    """The prompts a run answers. Evaluation: the first held-out ones by hash, in every round."""
    if round.step == RoundStep.EVALUATE:
        return [(prompt_id, None) for prompt_id in _held_out_prompts(round)]
    if round.step == RoundStep.SAMPLE:
        chosen = prompts_choose(settings=settings, num=settings.num_prompts, seed=seed)
        if not chosen:
            raise NoPrompts(f"{round.project.slug} has no active prompt to answer. Import some.")
        return chosen
    return []


def _held_out_prompts(round: Round) -> list[int]:
    if round.snapshot is None:
        return []
    records = snapshot_records(round.snapshot, "prompts", HELD_OUT)
    return [record["prompt_id"] for record in islice(records, NUM_EVALUATION_PROMPTS)]
