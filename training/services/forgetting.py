"""Forgetting a labeler: their work is taken out, and a round trains again without it."""

from dataclasses import dataclass

from django.contrib.auth.models import User

from annotation.errors import DomainError
from annotation.models import Exclusion, Project
from annotation.services.exclusions import labeler_exclude
from training.choices import Trigger
from training.models import Round
from training.selectors.lineage import labeler_lineage
from training.services.round_starting import round_start


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What was done: `round` is None when none was needed or `refusal` says why none started."""

    exclusion: Exclusion
    round: Round | None = None
    refusal: DomainError | None = None


def labeler_forget(
    *, project: Project, user: User, actor: User | None, reason: str, retrain: bool = True
) -> Forgetting:
    """Excludes the person and starts a round on what is left, if a model learned from them.

    The exclusion stays whether or not the round can start: it may be started later, by forgetting
    them again. Raises what labeler_exclude does.
    """
    exclusion = labeler_exclude(project=project, user=user, actor=actor, reason=reason)
    if not retrain or not labeler_lineage(project, user).checkpoints:
        return Forgetting(exclusion)
    try:
        return Forgetting(
            exclusion, round_start(project=project, actor=actor, trigger=Trigger.FORGET)
        )
    except DomainError as refusal:
        return Forgetting(exclusion, refusal=refusal)
