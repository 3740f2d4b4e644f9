"""What people do in the tests of the loop, through the services they use."""

from collections.abc import Sequence

from django.contrib.auth.models import User

from annotation.models import Project, Prompt
from annotation.services.assignments import assignment_claim, assignment_submit
from tests.factories import completion_ids, demonstration_make, prompt_make


def prompts_make(project: Project, num: int) -> list[Prompt]:
    return [prompt_make(project, f"question {number}?") for number in range(num)]


def demonstrations_make(project: Project, annotator: User, prompts: Sequence[Prompt]) -> None:
    for prompt in prompts:
        demonstration_make(project, annotator, f"yes {prompt.pk}", prompt)


def rank_all(project: Project, annotator: User, limit: int = 1000) -> int:
    """Ranks the open tasks in the order their completions were made; returns how many."""
    for done in range(limit):
        assignment = assignment_claim(project=project, annotator=annotator, kind="ranking")
        if assignment is None:
            return done
        order = [[pk] for pk in completion_ids(assignment.task)]
        assignment_submit(
            assignment_id=assignment.pk, annotator=annotator, payload={"order": order}
        )
    return limit


def thumb_all(project: Project, annotator: User, limit: int = 1000) -> int:
    """Approves of every second open thumbs task, in the order made; returns how many there were."""
    for done in range(limit):
        assignment = assignment_claim(project=project, annotator=annotator, kind="thumbs")
        if assignment is None:
            return done
        assignment_submit(
            assignment_id=assignment.pk, annotator=annotator, payload={"is_up": done % 2 == 0}
        )
    return limit
