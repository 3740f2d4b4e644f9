"""What a round goes through, by the project's settings and what it has."""

from annotation.models import Project
from training.algorithms.methods import method_get
from training.choices import RewardModelUse, RoundStep, RunStatus
from training.models import Deployment, LoopSettings, Run
from training.selectors.judgements import judgements_new_count, kinds_counted
from training.selectors.lineage import sft_is_affected

FIRST_STEPS = (RoundStep.DEPLOY, RoundStep.SAMPLE, RoundStep.QUEUE)
# Votes on the new policy come before its deployment, so its answers do, too.
TRIAL_STEPS = (RoundStep.SAMPLE, RoundStep.QUEUE, RoundStep.VERDICT, RoundStep.DEPLOY)


def round_plan(project: Project, settings: LoopSettings) -> list[str]:
    """The steps of the next round, in order; a first one deploys the reference as it is."""
    steps = [RoundStep.FREEZE]
    if _sft_is_due(project, settings):
        steps.append(RoundStep.SFT)
    if not Deployment.objects.filter(project=project, retired_at__isnull=True).exists():
        return [str(step) for step in (*steps, *FIRST_STEPS)]
    if settings.reward_model != RewardModelUse.NONE:
        steps += [RoundStep.REWARD_MODEL, RoundStep.CALIBRATE]
    if method_get(settings.policy_method).stage != "policy":
        # The reward model selects among the reference's answers: there is no policy to measure.
        return [str(step) for step in (*steps, *FIRST_STEPS)]
    if settings.test_reward_model:
        steps.append(RoundStep.TEST_REWARD_MODEL)
    steps += [RoundStep.POLICY, RoundStep.EVALUATE, RoundStep.DECIDE]
    steps += TRIAL_STEPS if settings.trial_votes else FIRST_STEPS
    return [str(step) for step in steps]


def _sft_is_due(project: Project, settings: LoopSettings) -> bool:
    """At first, again when as many demonstrations came as the first time, and when the SFT learned
    from somebody whose work was withdrawn.
    """
    if sft_is_affected(project):
        return True
    if settings.min_demonstrations == 0:
        return False
    last = (
        Run.objects.filter(
            project=project,
            step=RoundStep.SFT,
            status=RunStatus.SUCCEEDED,
            superseded_at__isnull=True,
        )
        .order_by("-pk")
        .first()
    )
    kinds = kinds_counted("demonstrations")
    num_new = judgements_new_count(project, kinds, last.snapshot if last else None)
    return num_new >= settings.min_demonstrations
