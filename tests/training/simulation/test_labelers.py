"""Scripted labelers are ordinary accounts: the same services, the same rows."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from annotation.models import Assignment, Completion, Demonstration, Project, Ranking
from tests.factories import (
    completion_make,
    demonstration_task_make,
    project_make,
    prompt_make,
    ranking_task_make,
    task_of,
)
from training.simulation.labelers import agreement_measure, labelers_ensure, simulate

pytestmark = pytest.mark.django_db


def tasks_make(project: Project) -> None:
    for number in range(12):
        prompt = prompt_make(project, f"How do I water plant {number}?")
        demonstration_task_make(project, prompt)
        # The same texts in every project: they are part of what a labeler's answer depends on.
        texts = ("Water it.", "Who knows?", f"Plant {number} needs water twice a week.", "Ugh.")
        task_of(prompt, [completion_make(prompt, text) for text in texts])


def judged(project: Project) -> list:
    """What was said, without the numbers that another database would give."""
    text_of = dict(Completion.objects.values_list("pk", "text"))
    rankings = Ranking.objects.filter(task__project=project).order_by("prompt__content_hash")
    written = Demonstration.objects.filter(prompt__project=project)
    return [
        *(
            (r.annotator.username, [sorted(text_of[pk] for pk in group) for group in r.order])
            for r in rankings
        ),
        *sorted(written.values_list("annotator__username", "completion__text")),
    ]


def play(project: Project, seed: int) -> None:
    done = simulate(
        project=project,
        labelers=labelers_ensure(project=project, num=3),
        num_rankings=10,
        num_demonstrations=4,
        seed=seed,
    )
    assert (done.num_rankings, done.num_demonstrations, done.ran_dry) == (10, 4, False)


def test_the_same_seed_says_the_same(project: Project) -> None:
    other, third = project_make(), project_make()
    for each in (project, other, third):
        tasks_make(each)
    play(project, 1)
    play(other, 1)
    play(third, 2)
    assert judged(project) == judged(other)
    assert judged(project) != judged(third)


def test_labelers_stop_when_there_is_nothing_left(project: Project) -> None:
    tasks_make(project)
    done = simulate(
        project=project,
        labelers=labelers_ensure(project=project, num=2),
        num_rankings=100,
        num_demonstrations=0,
        seed=1,
    )
    assert done.ran_dry
    # Twelve tasks; a skipped one goes to the other labeler.
    assert done.num_rankings == 12
    assert not Assignment.objects.filter(status="active").exists()


def test_agreement_counts_pairs_that_both_order(project: Project) -> None:
    assert agreement_measure(project).num_pairs == 0
    for number in range(30):
        prompt = prompt_make(project, f"How do I water plant {number}?")
        ranking_task_make(project, num_completions=3, judgements_wanted=2, prompt=prompt)
    done = simulate(
        project=project,
        labelers=labelers_ensure(project=project, num=4),
        num_rankings=60,
        num_demonstrations=0,
        seed=1,
    )
    agreement = agreement_measure(project)
    # Two rankings of three answers without ties: three pairs each.
    assert agreement.num_pairs == 3 * (done.num_rankings - 30)
    assert 0.0 < agreement.share <= 1.0


def test_the_command_tells_what_was_done(project: Project) -> None:
    tasks_make(project)
    out = StringIO()
    options = {"project": project.slug, "labelers": 2, "rankings": 5, "demonstrations": 3}
    call_command("simulate_labelers", **options, stdout=out)
    assert "3 demonstrations, 5 rankings and" in out.getvalue()
    with pytest.raises(CommandError, match="no project 'nowhere'"):
        call_command("simulate_labelers", project="nowhere")
