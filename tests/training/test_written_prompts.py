"""When models are asked what labelers wrote as prompts."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from annotation.models import Assignment, Project, Prompt
from annotation.services.assignments import assignment_submit
from annotation.services.exclusions import labeler_exclude
from annotation.services.projects import project_update
from tests.factories import claim_make
from training.models import LoopSettings
from training.services.asking import prompts_choose
from training.services.snapshots import snapshot_create, snapshot_records

pytestmark = pytest.mark.django_db


@pytest.fixture
def write(project: Project, bob: User) -> Callable[[str], Prompt]:
    project_update(
        actor=None, project=project, kinds=["prompt_writing"], targets={"prompt_writing": 9}
    )

    def make(text: str) -> Prompt:
        assignment = claim_make(project, bob, "prompt_writing")
        payload = {"form": "plain", "use_case": "other", "text": text}
        assignment_submit(assignment_id=assignment.pk, annotator=bob, payload=payload)
        return Prompt.objects.get(written_as__assignment=assignment)

    return make


def asked(settings: LoopSettings) -> set[int]:
    return {pk for pk, _ in prompts_choose(settings=settings, num=10, seed=1)}


def frozen(project: Project, settings: LoopSettings) -> set[int]:
    snapshot = snapshot_create(project=project, settings=settings)
    return {
        record["prompt_id"]
        for side in ("train", "held_out")
        for record in snapshot_records(snapshot, "prompts", side)
    }


def test_what_its_writer_can_take_back_is_asked_of_no_model(
    write: Callable[[str], Prompt], project: Project, small: LoopSettings
) -> None:
    """It would be gone while a run answers it."""
    first = write("What do bees eat?")
    assert asked(small) == set()
    past = timezone.now() - timedelta(minutes=project.undo_minutes, seconds=1)
    Assignment.objects.update(finished_at=past)
    second = write("What do wasps eat?")
    assert asked(small) == {first.pk}
    # A snapshot ends the taking back, so it holds both.
    assert frozen(project, small) == {first.pk, second.pk}
    assert asked(small) == {first.pk, second.pk}


def test_what_an_excluded_labeler_wrote_is_learned_on_no_more(
    write: Callable[[str], Prompt], project: Project, alice: User, bob: User, small: LoopSettings
) -> None:
    written = write("What do bees eat?")
    assert frozen(project, small) == {written.pk}
    labeler_exclude(project=project, user=bob, actor=alice, reason="withdrawn")
    assert frozen(project, small) == set()
    assert asked(small) == set()
