"""Forgetting a labeler in a loop that has turned: one round later nothing in use knew them."""

import pytest
from django.contrib.auth.models import User

from annotation.models import Project, Ranking
from tests.factories import labeler_make
from tests.training.people import demonstrations_make, prompts_make, rank_all
from training.choices import RoundStatus, Trigger
from training.errors import RoundAlreadyRunning
from training.models import Checkpoint, LoopSettings, Round
from training.selectors.lineage import checkpoints_affected, sft_is_affected
from training.selectors.loop import deployed_checkpoint_get, requirement_get
from training.services.forgetting import labeler_forget
from training.services.inline import rounds_work
from training.services.rounds import rounds_tick

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("file_database", "silence"),
]


@pytest.fixture
def dora(project: Project) -> User:
    return labeler_make(project, "dora")


@pytest.fixture
def turned(project: Project, bob: User, dora: User, small: LoopSettings) -> Project:
    """Rounds 0 and 1 are over; both people wrote two demonstrations and ranked three times."""
    prompts = prompts_make(project, 30)
    demonstrations_make(project, bob, prompts[:2])
    demonstrations_make(project, dora, prompts[2:4])
    rounds_tick()
    rounds_work(project=project)
    assert rank_all(project, bob, limit=3) == rank_all(project, dora, limit=3) == 3
    rounds_tick()
    rounds_work(project=project)
    assert Round.objects.filter(status=RoundStatus.SUCCEEDED).count() == 2
    return project


def test_one_round_later_nothing_in_use_learned_from_the_forgotten(
    turned: Project, alice: User, bob: User, dora: User, small: LoopSettings
) -> None:
    old = set(Checkpoint.objects.filter(project=turned).values_list("pk", flat=True))
    done = labeler_forget(project=turned, user=bob, actor=alice, reason="Random clicks")
    assert done.round is not None, done.refusal
    assert (done.round.number, done.round.trigger) == (2, Trigger.FORGET)
    assert done.round.started_by == alice
    # No new ranking was needed; the three that Bob gave are not new when he comes back, either.
    assert requirement_get(turned, small).have == 0
    assert checkpoints_affected(turned) == old
    again = labeler_forget(project=turned, user=bob, actor=alice, reason="Random clicks")
    assert isinstance(again.refusal, RoundAlreadyRunning)
    assert again.exclusion == done.exclusion

    rounds_work(project=turned)
    done.round.refresh_from_db()
    assert (done.round.status, done.round.error_text) == (RoundStatus.SUCCEEDED, "")
    assert done.round.steps[:2] == ["freeze", "sft"]
    assert done.round.snapshot is not None
    rankings = done.round.snapshot.assignments.filter(task__kind="ranking")
    taught_by = set(rankings.values_list("annotator", flat=True))
    assert taught_by == {dora.pk}
    # Old models keep their marks; the new ones have none, and one of them is in use.
    assert checkpoints_affected(turned) == old
    deployed = deployed_checkpoint_get(turned)
    assert deployed is not None
    assert deployed.run is not None
    assert deployed.run.round == done.round
    assert not sft_is_affected(turned)
    assert Ranking.objects.filter(annotator=bob).count() == 3
