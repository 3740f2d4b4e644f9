"""A project whose rounds have learned from people, for the pictures: rows alone, made up."""

import math
from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from annotation.choices import Role
from annotation.models import AILabeler, Assignment, Completion, Project, Prompt
from annotation.services.assignments import assignment_submit, judgements_freeze
from annotation.services.projects import membership_set
from tests.factories import (
    ai_judgement_make,
    ai_labeler_make,
    ai_revision_make,
    claim_make,
    completion_ids,
    principle_make,
    project_make,
    prompt_make,
    ranking_task_make,
    user_make,
)
from tests.training.family import Family, family_make, sampled
from training.choices import Decision, SamplePurpose
from training.models import Checkpoint, Deployment, LoopSettings, Metric, Round, Run, Sample
from training.selectors.ai_feedback import setting_hash

NUM_SHARED = 24
NUM_DAYS = 9


def taught_make(admin: User, labeler: User) -> dict[str, int]:
    """Gives the ids that the pictures' paths need, by name."""
    project = project_make(admin=admin, slug="taught", name="Plants and animals")
    other = user_make("noor")
    for user in (labeler, other):
        membership_set(actor=admin, project=project, user=user, role=Role.LABELER)
    LoopSettings.objects.create(project=project)
    family = family_make(project, labeler, other)
    _promoted(family)
    _votes(family, other)
    _shared(family, labeler, other)
    judgements_freeze(project=project)
    _spread_over_days(labeler)
    _run_shown(family.models["ppo-2"].run)
    _ai_feedback(project, labeler)
    return {
        "labeler": labeler.pk,
        "sampled": _sampled(family),
        "run": family.models["ppo-2"].run.pk,
    }


def _promoted(family: Family) -> None:
    """A first policy, then one by the test reward, then two of which the last is in use."""
    Deployment.objects.all().delete()
    used = {0: "sft-0", 1: "ppo-1", 2: "ppo-2", 3: "kto-4"}
    for number, name in used.items():
        round = Round.objects.get(project=family.project, number=number)
        retired_at = timezone.now() if number < max(used) else None
        Deployment.objects.create(
            project=family.project,
            checkpoint=family.models[name],
            round=round,
            retired_at=retired_at,
        )
        if number:
            Round.objects.filter(pk=round.pk).update(
                decision=Decision.PROMOTE, decided_at=timezone.now()
            )
    gain = {"metrics": {"evaluate/test_gain": 0.42, "evaluate/test_gain_error": 0.09}}
    evaluated = family.models["ppo-1"].run
    Run.objects.create(
        project=family.project,
        round=evaluated.round,
        step="evaluate",
        method="evaluate",
        queue="train",
        status=evaluated.status,
        seed=1,
        code_version=evaluated.code_version,
        snapshot=evaluated.snapshot,
        result=gain,
    )


def _votes(family: Family, annotator: User) -> None:
    """The newest policy won 17 of 24 against the one before."""
    policy, before = family.models["kto-4"], family.models["ppo-2"]
    for number in range(24):
        winner, loser = (before, policy) if number < 7 else (policy, before)
        task = ranking_task_make(family.project, num_completions=2, judgements_wanted=1)
        won, lost = completion_ids(task)
        for completion, checkpoint in ((won, winner), (lost, loser)):
            # The answer whose lineage is shown has index 0.
            _sample(completion, checkpoint, index=number + 1)
        _rank(family.project, annotator, [[won], [lost]], seconds_spent=20)


def _sample(completion_id: int, checkpoint: Checkpoint, index: int) -> None:
    Sample.objects.create(
        completion_id=completion_id,
        checkpoint=checkpoint,
        run=checkpoint.run,
        index=index,
        settings={},
        seed=1,
        num_tokens=2,
        finished=True,
        purpose=SamplePurpose.RANKING,
    )


def _shared(family: Family, labeler: User, other: User) -> None:
    """Both judged these, and the last round learned from them."""
    learned = []
    for number in range(NUM_SHARED):
        task = ranking_task_make(family.project, num_completions=2, judgements_wanted=2)
        best, worst = completion_ids(task)
        for user in (labeler, other):
            order = [[best], [worst]] if user == labeler or number % 5 else [[worst], [best]]
            learned.append(_rank(family.project, user, order, seconds_spent=20 + number))
    family.snapshots[3].assignments.add(*learned)


def _sampled(family: Family) -> int:
    completion = sampled(family, "ppo-2")
    messages = [{"role": "user", "content": "Why do my tomatoes split?"}]
    Prompt.objects.filter(completions=completion).update(messages=messages)
    Completion.objects.filter(pk=completion).update(
        text="They drink too much at once. Water them a little every day, not a lot on Sundays."
    )
    return completion


def _rank(
    project: Project, annotator: User, order: list[list[int]], seconds_spent: int
) -> Assignment:
    assignment = claim_make(project, annotator, "ranking")
    payload = {"order": order, "seconds_spent": seconds_spent}
    assignment_submit(assignment_id=assignment.pk, annotator=annotator, payload=payload)
    return assignment


def _spread_over_days(labeler: User) -> None:
    for number, item in enumerate(Assignment.objects.filter(annotator=labeler).order_by("pk")):
        days = timedelta(days=min(number % 5, number % NUM_DAYS))
        Assignment.objects.filter(pk=item.pk).update(finished_at=timezone.now() - days)


def _run_shown(run: Run) -> None:
    """A run of PPO with its times, its settings and its curves."""
    now = timezone.now()
    Run.objects.filter(pk=run.pk).update(
        started_at=now - timedelta(minutes=42),
        finished_at=now,
        config={"learning_rate": 1e-5, "kl_coefficient": 0.05, "num_steps": 40, "batch_size": 64},
    )
    for step in range(1, 41):
        done = step / 40
        ripple = 0.05 * math.sin(1.7 * step)
        values = {
            "policy/reward": 1.4 * (1 - math.exp(-3 * done)) + ripple,
            "policy/kl_to_reference": 9 * done**1.5 + ripple,
            "policy/entropy": 2.1 - 0.5 * done + ripple,
        }
        for name, value in values.items():
            Metric.objects.create(run=run, name=name, step=step, value=value)


def _ai_feedback(project: Project, labeler: User) -> None:
    principle_make(project, "Choose the answer that says plainly what to do.", "plain")
    judge = ai_labeler_make(project, name="The judge")
    _revision(project, judge)
    hash = setting_hash(judge)
    rankings = labeler.assignments.filter(task__project=project, task__kind="ranking")
    for number, item in enumerate(rankings.order_by("pk")):
        better, worse = (row.completion for row in item.ranking.items.order_by("rank")[:2])
        ai_judgement_make(judge, better, worse, 0.2 if number % 6 == 5 else 0.8, hash)


def _revision(project: Project, judge: AILabeler) -> None:
    revision = ai_revision_make(
        judge,
        prompt_make(project, "My neighbor's cat sleeps in my flower bed. What can I do?"),
        "Talk with your neighbor first: most people do not know. Short sticks between the plants "
        "make the bed less comfortable without hurting the cat.",
    )
    revision.principle.principle.name = "kind"
    revision.principle.principle.save()
    revision.initial = "Spray it with cold water whenever you see it. It will learn."
    revision.critique = "It frightens an animal that does not know better, and spares the neighbor."
    revision.save()
