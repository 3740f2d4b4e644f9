"""Plain functions that make rows for tests; each names only what its caller cares about."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from django.contrib.auth.models import User

from annotation.choices import Origin, Role
from annotation.judgements import kind_get
from annotation.models import (
    AIJudgement,
    AILabeler,
    AIRevision,
    Assignment,
    Brief,
    Completion,
    Conversation,
    Demonstration,
    Principle,
    Project,
    Prompt,
    Ranking,
    Task,
    Thumb,
    Turn,
)
from annotation.services.assignments import assignment_claim, assignment_submit
from annotation.services.briefs import brief_create
from annotation.services.consents import consent_give
from annotation.services.principles import principle_create
from annotation.services.projects import membership_set, project_create, project_update
from annotation.services.prompts import content_hash
from annotation.services.tasks import task_create
from annotation.services.turns import turn_choose, turn_show, turn_start

_numbers = count(1)


def user_make(username: str | None = None, **fields: Any) -> User:
    return User.objects.create_user(
        username or f"user{next(_numbers)}", password="correct horse", **fields
    )


def project_make(*, admin: User | None = None, slug: str | None = None, **fields: Any) -> Project:
    slug = slug or f"project-{next(_numbers)}"
    return project_create(actor=admin, slug=slug, name=fields.pop("name", slug), **fields)


def labeler_make(project: Project, username: str | None = None) -> User:
    user = user_make(username)
    membership_set(actor=None, project=project, user=user, role=Role.LABELER)
    return user


def prompt_make(project: Project, text: str | None = None) -> Prompt:
    text = text or f"Prompt {next(_numbers)}?"
    messages = [{"role": "user", "content": text}]
    return Prompt.objects.create(
        project=project, messages=messages, content_hash=content_hash(messages)
    )


def completion_make(prompt: Prompt, text: str | None = None) -> Completion:
    text = f"Answer {next(_numbers)}." if text is None else text
    return Completion.objects.create(prompt=prompt, text=text, origin=Origin.MODEL)


def task_of(prompt: Prompt, completions: Sequence[Completion], kind: str = "ranking") -> Task:
    """A task that shows these answers to as many people as the project wants."""
    return task_create(
        project=prompt.project,
        kind=kind,
        prompt=prompt,
        completions=completions,
        judgements_wanted=prompt.project.judgements_per_task,
        strategy="random",
    )


def ranking_task_make(
    project: Project,
    *,
    num_completions: int = 3,
    judgements_wanted: int | None = None,
    prompt: Prompt | None = None,
) -> Task:
    prompt = prompt or prompt_make(project)
    task = task_of(prompt, [completion_make(prompt) for _ in range(num_completions)])
    if judgements_wanted is not None:
        Task.objects.filter(pk=task.pk).update(judgements_wanted=judgements_wanted)
        task.refresh_from_db()
    return task


def demonstration_task_make(project: Project, prompt: Prompt | None = None) -> Task:
    prompt = prompt or prompt_make(project)
    return task_create(project=project, kind="demonstration", prompt=prompt)


def thumbs_task_make(project: Project, prompt: Prompt | None = None) -> Task:
    prompt = prompt or prompt_make(project)
    completions = [completion_make(prompt)]
    return task_create(project=project, kind="thumbs", prompt=prompt, completions=completions)


def answers_task_make(
    project: Project, kind: str, *, num_completions: int, prompt: Prompt | None = None
) -> Task:
    prompt = prompt or prompt_make(project)
    completions = [completion_make(prompt) for _ in range(num_completions)]
    return task_create(project=project, kind=kind, prompt=prompt, completions=completions)


def claim_make(project: Project, annotator: User, kind: str | None = None) -> Assignment:
    assignment = assignment_claim(project=project, annotator=annotator, kind=kind)
    assert assignment is not None, "nothing to claim"
    return assignment


def demonstration_make(
    project: Project, annotator: User, text: str = "A good answer.", prompt: Prompt | None = None
) -> Demonstration:
    """Makes a demonstration task, claims the oldest open one and submits it."""
    demonstration_task_make(project, prompt)
    assignment = claim_make(project, annotator, "demonstration")
    return assignment_submit(
        assignment_id=assignment.pk, annotator=annotator, payload={"text": text}
    )


def ranking_make(
    project: Project,
    annotator: User,
    *,
    places: Sequence[Sequence[int]] = ((0,), (1, 2)),
    prompt: Prompt | None = None,
) -> Ranking:
    """Makes a ranking task, claims the oldest open one and submits it.

    ``places`` groups the task's completion indices, best first.
    """
    ranking_task_make(project, num_completions=sum(len(group) for group in places), prompt=prompt)
    assignment = claim_make(project, annotator, "ranking")
    ids = completion_ids(assignment.task)
    return assignment_submit(
        assignment_id=assignment.pk,
        annotator=annotator,
        payload={"order": [[ids[index] for index in group] for group in places]},
    )


def thumb_make(
    project: Project, annotator: User, *, is_up: bool = True, prompt: Prompt | None = None
) -> Thumb:
    """Makes a thumbs task, claims the oldest open one and submits it; the project collects it."""
    if "thumbs" not in project.kinds:
        project_update(actor=None, project=project, kinds=[*project.kinds, "thumbs"])
    thumbs_task_make(project, prompt)
    assignment = claim_make(project, annotator, "thumbs")
    return assignment_submit(
        assignment_id=assignment.pk, annotator=annotator, payload={"is_up": is_up}
    )


def completion_ids(task: Task) -> list[int]:
    """In the task's own order, not in the one shown."""
    return list(task.task_completions.order_by("index").values_list("completion_id", flat=True))


def principle_make(project: Project, text: str = "Be kind.", name: str | None = None) -> Principle:
    return principle_create(
        project=project, actor=None, name=name or f"principle {next(_numbers)}", text=text
    )


def ai_labeler_make(project: Project, **fields: Any) -> AILabeler:
    """A server that is asked nothing until a run is started."""
    name = fields.pop("name", f"judge {next(_numbers)}")
    user = user_make(f"ai-{next(_numbers)}", is_active=False)
    fields = {"kind": "endpoint", "config": {"server_url": "http://judge:1"}} | fields
    return AILabeler.objects.create(project=project, user=user, name=name, **fields)


def ai_judgement_make(
    labeler: AILabeler,
    first: Completion,
    second: Completion,
    probability: float,
    setting_hash: str = "setting",
) -> AIJudgement:
    """P(first is better); stored with the older completion first, as the table demands."""
    if first.pk > second.pk:
        first, second, probability = second, first, 1 - probability
    return AIJudgement.objects.create(
        ai_labeler=labeler,
        prompt=first.prompt,
        first=first,
        second=second,
        probability=probability,
        order_gap=0.1,
        is_hard=False,
        principles=[],
        setting_hash=setting_hash,
        run_id=1,
    )


def ai_revision_make(
    labeler: AILabeler, prompt: Prompt, revision: str = "A kinder answer."
) -> AIRevision:
    return AIRevision.objects.create(
        ai_labeler=labeler,
        prompt=prompt,
        principle=principle_make(labeler.project).version,
        step=0,
        initial="An answer.",
        critique="It is not kind.",
        revision=revision,
        run_id=next(_numbers),
    )


def brief_make(project: Project, kind: str = "rule", text: str = "Be brief.") -> Brief:
    return brief_create(
        project=project, actor=None, kind=kind, name=f"brief {next(_numbers)}", text=text
    )


def talk_begin(project: Project, annotator: User, kind: str, **options: Any) -> Assignment:
    """Claims a new task of a kind that talks, with whatever it takes to be given one."""
    judgement_kind = kind_get(kind)
    briefs = project.briefs.filter(kind=judgement_kind.brief_kind, is_active=True)
    if judgement_kind.needs_brief and not briefs.exists():
        brief_make(project, str(judgement_kind.brief_kind))
    if kind not in project.kinds:
        project_update(actor=None, project=project, kinds=[*project.kinds, kind])
    project_update(
        actor=None,
        project=project,
        targets=project.targets | {kind: project.targets.get(kind, 0) + 1},
        options=project.options | {kind: project.options.get(kind, {}) | options},
    )
    if judgement_kind.needs_consent:
        consent_give(project=project, user=annotator, kind=kind)
    return claim_make(project, annotator, kind)


def turn_make(
    assignment: Assignment, text: str = "Hello?", *, parent: Turn | None = None, again: bool = False
) -> Turn:
    return turn_start(
        assignment_id=assignment.pk,
        annotator=assignment.annotator,
        text=text,
        parent_id=parent and parent.pk,
        again=again,
    )


def replies_make(turn: Turn, num: int = 2) -> list[Completion]:
    """As the live policies would: the same order as made, whatever the order shown."""
    replies = [completion_make(turn.prompt) for _ in range(num)]
    turn_show(turn_id=turn.pk, completion_ids=[reply.pk for reply in replies])
    return replies


def exchange_make(
    assignment: Assignment, text: str = "Hello?", *, parent: Turn | None = None, num: int = 2
) -> Turn:
    """A turn with replies, of which the first is chosen; of red teaming the last is the worst."""
    turn = turn_make(assignment, text, parent=parent)
    replies = replies_make(turn, num)
    worst = replies[-1].pk if assignment.task.kind == "red_team" else None
    return turn_choose(
        turn_id=turn.pk,
        annotator=assignment.annotator,
        chosen=replies[0].pk,
        most_harmful=worst,
    )


def conversation_make(project: Project, annotator: User, text: str = "Hello?") -> Conversation:
    """Two turns long, two replies to each, and handed in."""
    assignment = talk_begin(project, annotator, "conversation")
    exchange_make(assignment, "And then?", parent=exchange_make(assignment, text))
    return assignment_submit(assignment_id=assignment.pk, annotator=annotator, payload={})
