from training.choices import RoundStatus
from training.models import Round


class StepLeft(Exception):
    """The round was stopped or taken elsewhere while a slow worker was still at its step."""


def step_hold(round: Round) -> None:
    """Keeps the round running and at its step until the transaction ends, or raises StepLeft.

    What a step stores is stored under it, so that a worker that arrives late stores nothing.
    """
    here = Round.objects.filter(pk=round.pk, status=RoundStatus.RUNNING, step=round.step)
    if here.select_for_update(no_key=True).first() is None:
        raise StepLeft(f"Round {round.number} has left {round.step}.")
