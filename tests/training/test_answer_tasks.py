"""A sampling run's answers become tasks of every kind that shows answers."""

from collections import Counter

import pytest
from django.contrib.auth.models import User

from annotation.choices import TaskStatus
from annotation.models import Project, Prompt, Task
from annotation.services.assignments import assignment_claim, assignment_submit
from tests.training.conftest import loop_make
from tests.training.loops import due_make, until
from tests.training.people import demonstrations_make, prompts_make
from training.models import LoopSettings, Round, Run, Sample
from training.services.answer_tasks import answer_tasks_queue
from training.services.inline import rounds_work
from training.services.queueing import queue_top_up
from training.services.round_starting import round_start
from training.services.rounds import round_advance, rounds_tick
from training.services.run_execution import run_execute

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("silence")]

SOURCES = [{"title": "A book", "text": "It says so.", "url": ""}]


def first_round(project: Project, bob: User, kinds: list[str], num_with_sources: int = 0) -> Run:
    """Turns round 0, of six prompts with answers, and returns its sampling run."""
    project.kinds = kinds
    project.save()
    prompts = prompts_make(project, 6)
    sourced = [prompt.pk for prompt in prompts[:num_with_sources]]
    Prompt.objects.filter(pk__in=sourced).update(sources=SOURCES)
    demonstrations_make(project, bob, prompts[:4])
    rounds_tick()
    rounds_work(project=project)
    return Run.objects.get(project=project, step="sample")


def made(project: Project) -> Counter[tuple[str, int]]:
    """How many open tasks there are of each kind and number of answers shown."""
    tasks = Task.objects.filter(project=project, status="open").exclude(kind="demonstration")
    return Counter((task.kind, task.completions.count()) for task in tasks)


def test_kinds_that_show_several_answers_take_turns_over_the_prompts(
    project: Project, bob: User, small: LoopSettings
) -> None:
    project.judgements_per_task = 3
    run = first_round(project, bob, ["demonstration", "ranking", "thumbs", "comparison", "rating"])
    # 6 prompts with 4 answers each: every prompt has one task of three kinds, 24 answers a thumb.
    expected = {("ranking", 4): 2, ("comparison", 2): 2, ("rating", 4): 2, ("thumbs", 1): 24}
    assert made(project) == expected
    assert run.result["queue"] == {"num_tasks": 30, "num_prompts_with_equal_answers": 0}
    several = Task.objects.filter(kind__in=["ranking", "comparison", "rating"])
    assert several.values("prompt").distinct().count() == 6
    assert set(several.values_list("judgements_wanted", flat=True)) == {3}


def test_repeating_makes_nothing_twice_even_when_other_kinds_are_collected_by_then(
    project: Project, bob: User, small: LoopSettings
) -> None:
    run = first_round(project, bob, ["demonstration", "ranking", "comparison"])
    before = made(project)
    assert before == {("ranking", 4): 3, ("comparison", 2): 3}
    assert answer_tasks_queue(run=run) == (6, 0)
    project.kinds = ["demonstration", "comparison", "ranking", "rating"]
    project.save()
    assert answer_tasks_queue(run=Run.objects.get(pk=run.pk)) == (6, 0)
    assert made(project) == before


def test_evidence_is_asked_only_of_prompts_with_sources(
    project: Project, bob: User, small: LoopSettings
) -> None:
    first_round(project, bob, ["demonstration", "comparison", "evidence"], num_with_sources=2)
    # Comparisons show 2 answers, so 2 are drawn: 2 prompts with sources have 4.
    assert made(project) == {("comparison", 2): 6, ("evidence", 1): 4}
    tasks = Task.objects.filter(kind="evidence")
    assert all(task.the_prompt.sources for task in tasks)


def test_alone_evidence_has_only_prompts_with_sources_answered(
    project: Project, bob: User, small: LoopSettings
) -> None:
    run = first_round(project, bob, ["demonstration", "evidence"], num_with_sources=2)
    assert len(run.prompt_ids) == 2
    assert made(project) == {("evidence", 1): 2}


def test_few_prompts_with_sources_do_not_keep_the_queue_low(
    project: Project, bob: User, small: LoopSettings
) -> None:
    first_round(project, bob, ["demonstration", "ranking", "evidence"], num_with_sources=1)
    LoopSettings.objects.update(queue_low_water=5, rankings_per_round=1000)
    # 6 rankings are enough; of evidence there are but 4 tasks, and will not be more.
    assert made(project) == {("ranking", 4): 6, ("evidence", 1): 4}
    assert queue_top_up(project=project) is None
    Task.objects.filter(kind="ranking").update(status=TaskStatus.CLOSED)
    run = queue_top_up(project=project)
    assert run is not None
    run_execute(run_id=run.pk)
    assert made(project)["ranking", 4] == 6


def compare_for(project: Project, annotator: User, best: str, num: int) -> None:
    for _ in range(num):
        assignment = assignment_claim(project=project, annotator=annotator, kind="comparison")
        assert assignment is not None
        rows = Sample.objects.filter(completion__tasks=assignment.task)
        names = dict(rows.values_list("checkpoint__name", "completion"))
        payload = {"preferred": names[best], "strength": 2}
        assignment_submit(assignment_id=assignment.pk, annotator=annotator, payload=payload)


def test_a_trial_is_voted_on_by_comparisons_where_the_project_collects_them(
    project: Project, bob: User, inline: None
) -> None:
    loop = loop_make(project)
    loop.prompts_per_round = loop.trial_votes = 12
    loop.save()
    due_make(project, bob, is_sft_due=False)
    Task.objects.filter(project=project, status="open").update(status="withdrawn")
    project.kinds = ["demonstration", "thumbs", "comparison", "ranking"]
    project.save()
    trial = until(round_start(project=Project.objects.get()), waiting_for="votes")
    tasks = Task.objects.filter(project=project, status="open", kind="comparison")
    assert tasks.count() == 12
    for task in tasks:
        rows = Sample.objects.filter(completion__tasks=task)
        assert sorted(rows.values_list("checkpoint__name", flat=True)) == ["ppo-1", "sft-0"]
    assert not Task.objects.filter(project=project, status="open", kind="ranking").exists()
    # All won: 8 votes are enough, as in test_trial.
    compare_for(project, bob, "ppo-1", 8)
    for _ in range(2):
        round_advance(round_id=trial.pk)
    decided = Round.objects.get(pk=trial.pk)
    assert decided.decision == "promote"
    assert "won 8 of 8 votes" in decided.decision_reason


def test_a_trial_does_not_wait_for_kinds_that_are_no_votes(
    project: Project, bob: User, inline: None
) -> None:
    loop = loop_make(project)
    due_make(project, bob, is_sft_due=False)
    loop.prompts_per_round = 4
    loop.trial_votes = 1000
    loop.save()
    Task.objects.filter(project=project, status="open").update(status="withdrawn")
    project.kinds = ["demonstration", "thumbs", "comparison", "ranking"]
    project.save()
    trial = until(round_start(project=Project.objects.get()), waiting_for="votes")
    compare_for(project, bob, "ppo-1", 4)
    assert Task.objects.filter(project=project, status="open", kind="thumbs").exists()
    for _ in range(2):
        round_advance(round_id=trial.pk)
    assert Round.objects.get(pk=trial.pk).decision == "hold"
