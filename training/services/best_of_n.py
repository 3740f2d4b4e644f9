"""A loop that trains no policy: the reference answers, and the reward model selects."""

from training.algorithms.methods import Method, method_list
from training.choices import CheckpointKind, RoundStep
from training.models import Checkpoint, LoopSettings
from training.services.configs import method_find


def answering_method(settings: LoopSettings) -> tuple[Method, Checkpoint | None]:
    """What draws the answers that people see, and the reward model that it selects them by.

    A method that selects does so by the newest reward model of a round that deployed; until there
    is one, answers are drawn plainly.
    """
    chosen = method_find(settings.policy_method)
    reward_model = _reward_model(settings) if chosen.stage == "select" else None
    if reward_model is None:
        (plain,) = method_list("sample")
        return plain, None
    return chosen, reward_model


def _reward_model(settings: LoopSettings) -> Checkpoint | None:
    made = Checkpoint.objects.filter(
        project=settings.project_id,
        kind=CheckpointKind.REWARD_MODEL,
        run__step=RoundStep.REWARD_MODEL,
        run__superseded_at__isnull=True,
        # One that failed its gate deployed nothing.
        run__round__deployments__isnull=False,
    )
    return made.order_by("-pk").first()
