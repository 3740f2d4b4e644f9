"""The steps of a round. Each may be begun any number of times and says whether it is done."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from training.algorithms.methods import method_list
from training.choices import RoundStep, RunStatus
from training.errors import NoPrompts
from training.models import Checkpoint, LoopSettings, Round, Run
from training.seeds import seed_derive
from training.selectors.runs import round_run_get
from training.services.answer_tasks import answer_tasks_queue
from training.services.asking import sampling_plan
from training.services.checkpoints import (
    deployment_get,
    round_policy_get,
    run_inputs_resolve,
    step_values,
)
from training.services.configs import method_find, run_config
from training.services.decisions import policy_check, reward_model_check, trial_check
from training.services.deployments import policies_live, retired_tasks_apply, round_deploy
from training.services.runs import run_create
from training.services.settings import round_settings
from training.services.snapshots import HELD_OUT, snapshot_create, snapshot_records

NUM_EVALUATION_PROMPTS = 128


class StepFailed(Exception):
    """The step's run ended without success."""

    def __init__(self, run: Run) -> None:
        super().__init__(run.error_text)
        self.run = run


def freeze(round: Round) -> bool:
    if round.snapshot is None:
        snapshot = snapshot_create(project=round.project, settings=round_settings(round))
        # Of two freezes at once the first counts; the other's rows stay for the next round.
        Round.objects.filter(pk=round.pk, snapshot__isnull=True).update(snapshot=snapshot)
    return True


def train(round: Round) -> bool:
    """Whatever a run does: the step's method on the snapshot, once."""
    if _has_nothing_to_read(round):
        return True
    return _run_is_done(round) or _run_begin(round)


def deploy(round: Round) -> bool:
    """Makes the round's policy the one in use, with the company its settings give it."""
    settings = round_settings(round)
    round_deploy(round=round, settings=settings)
    if is_trial(round):
        retired_tasks_apply(project=round.project, rule=settings.retired_tasks)
    return True


def queue(round: Round) -> bool:
    """Puts the answers before people, then deals with those of retired policies."""
    run = Run.objects.select_related("project").get(
        round=round, step=RoundStep.SAMPLE, superseded_at__isnull=True
    )
    if round.rolled_back_at is not None:
        return True
    is_trial_run = is_trial(round)
    num_tasks, num_equal = answer_tasks_queue(run=run, is_trial=is_trial_run)
    data = {"num_tasks": num_tasks, "num_prompts_with_equal_answers": num_equal}
    Run.objects.filter(pk=run.pk).update(result={**run.result, "queue": data})
    if num_tasks and not is_trial_run:
        retired_tasks_apply(project=round.project, rule=round_settings(round).retired_tasks)
    return True


STEPS: dict[str, Callable[[Round], bool]] = {
    RoundStep.FREEZE: freeze,
    RoundStep.SFT: train,
    RoundStep.REWARD_MODEL: train,
    RoundStep.CALIBRATE: reward_model_check,
    RoundStep.TEST_REWARD_MODEL: train,
    RoundStep.POLICY: train,
    RoundStep.EVALUATE: train,
    RoundStep.DECIDE: policy_check,
    RoundStep.DEPLOY: deploy,
    RoundStep.SAMPLE: train,
    RoundStep.QUEUE: queue,
    RoundStep.VERDICT: trial_check,
}


def step_method(settings: LoopSettings, step: str) -> str:
    """Name of the method that does a step's run."""
    if step == RoundStep.POLICY:
        return settings.policy_method
    stages = {RoundStep.TEST_REWARD_MODEL: "reward_model"}
    return method_list(stages.get(RoundStep(step), step))[0].name  # type: ignore[arg-type]


def is_trial(round: Round) -> bool:
    return RoundStep.VERDICT in round.steps


def _has_nothing_to_read(round: Round) -> bool:
    """Measuring needs what was held out; without it the round goes on unmeasured."""
    if round.step == RoundStep.EVALUATE:
        return not _held_out_prompts(round)
    if round.step == RoundStep.TEST_REWARD_MODEL and round.snapshot is not None:
        config = run_config(round_settings(round), method_find("reward_model"))
        have = round.snapshot.manifest["rankings"][HELD_OUT]
        return bool(have < config["min_train_rankings"])
    return False


def _run_is_done(round: Round) -> bool:
    """Raises StepFailed when the step's run stopped without success."""
    run = round_run_get(round, round.step)
    if run is not None and run.status in (RunStatus.FAILED, RunStatus.CANCELLED):
        raise StepFailed(run)
    return run is not None and run.status == RunStatus.SUCCEEDED


def _run_begin(round: Round) -> bool:
    if round_run_get(round, round.step) is not None:
        return False
    settings = round_settings(round)
    seed = seed_derive(settings.seed, "round", round.number, round.step)
    values: dict[str, Any] = {}
    if round.step == RoundStep.SAMPLE:
        values = _sampling(round, settings, seed)
    else:
        method = method_find(step_method(settings, round.step))
        extra = step_values(round, settings, method)
        parents = run_inputs_resolve(round, settings, method, extra)
        values = {"method": method, "parents": parents, "extra": extra}
        if round.step == RoundStep.EVALUATE:
            # The first held-out ones by hash, in every round.
            values["prompts"] = [(prompt_id, None) for prompt_id in _held_out_prompts(round)]
    run_create(
        settings=settings,
        step=round.step,
        seed=seed,
        round=round,
        snapshot=round.snapshot,
        **values,
    )
    return False


def _sampling(round: Round, settings: LoopSettings, seed: int) -> dict[str, Any]:
    """What the sampling run draws: from the live policies, in a trial from the two on trial."""
    plan = sampling_plan(
        settings=settings,
        policies=_policies(round, settings),
        num=settings.num_prompts,
        seed=seed,
        is_trial=is_trial(round),
    )
    if not plan["prompts"]:
        raise NoPrompts(f"{round.project.slug} has no active prompt to answer. Import some.")
    return plan


def _policies(round: Round, settings: LoopSettings) -> dict[str, tuple[Checkpoint, float]]:
    previous = deployment_get(round.project_id)
    if is_trial(round) and previous is not None:
        policy = round_policy_get(round, settings)
        return {"policy": (policy, 1.0), "previous": (previous.checkpoint, 1.0)}
    return policies_live(round.project)


def _held_out_prompts(round: Round) -> list[int]:
    if round.snapshot is None:
        return []
    records = snapshot_records(round.snapshot, "prompts", HELD_OUT)
    return [record["prompt_id"] for record in islice(records, NUM_EVALUATION_PROMPTS)]
