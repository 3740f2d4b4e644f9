"""A small world for the pictures of the pages: work of each kind, with texts as people write."""

import json
from collections.abc import Sequence

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from annotation.choices import BriefKind, Role
from annotation.judgements import kind_list
from annotation.judgements.base import Supply
from annotation.models import Assignment, Completion, Project, Prompt
from annotation.services.briefs import brief_create
from annotation.services.consents import consent_give
from annotation.services.projects import membership_set, project_update
from annotation.services.prompts import prompts_import
from annotation.services.reports import report_create
from annotation.services.tasks import task_create
from annotation.services.tokens import token_create
from annotation.services.turns import turn_choose, turn_show, turn_start
from tests.benchmarks.pictured_taught import taught_make
from tests.factories import claim_make, completion_make, project_make, user_make
from tests.frontend.loop_rows import decided_round_make, loop_rows_make
from training.models import Checkpoint

GUIDELINES = """\
Put the answer you would be happiest to get at the top.

1. **On the topic?** An answer about something else is worse than a weak one to the question.
2. **Helpful?** It says what to do or how things are.
3. **Honest?** It does not claim what it cannot know.

> A tie is an honest answer. Skip what you do not understand, and say why.
"""
BASIL = "My basil on the window sill droops every afternoon. What should I do?"
BASIL_ANSWERS = (
    "It is thirsty in the heat. Water it **in the morning** until water runs out below, and move "
    "it a hand's breadth away from the glass. If it droops although the soil is wet, the roots are "
    "drowning: let it dry for two days.",
    "Basil is a herb from the mint family. It is used in Italian and Thai cooking, and its leaves "
    "are best when fresh.",
    "Two things to check:\n\n1. Stick a finger into the soil. Dry? Water it from below.\n"
    "2. Is it against the glass? Midday sun through a pane burns leaves.\n\nPinch off the flowers, "
    "too: they cost the plant strength.",
    "Just buy a new one, they are cheap.",
)
COINS = "I flip two fair coins. At least one shows heads. How likely are two heads?"
COIN_ANSWERS = (
    "Of the four equally likely results, three have at least one head: HH, HT, TH. One of the "
    "three is HH, so $P(HH \\mid \\text{a head}) = \\frac{1/4}{3/4} = \\frac{1}{3}$.",
    "The other coin does not know about the first, so it is $\\frac{1}{2}$.\n\n```python\n"
    "from random import choice\nprint(choice('HT'))\n```",
)
FERN_SOURCES = [
    {
        "title": "Ferns in rooms",
        "text": "Ferns come from the floor of forests. They want bright shade and even moisture; "
        "direct midday sun burns the fronds within days.",
        "url": "https://ferns.example/rooms",
    },
    {
        "title": "Watering by the season",
        "text": "In winter most house plants rest. Water them half as often, with water that "
        "stood for a day.",
        "url": "https://plants.example/winter",
    },
]
FERN_ANSWER = (
    "Put it where it is bright without direct sun, because midday sun burns the fronds [1]. Keep "
    "the soil evenly moist, and water half as often in winter [2]. Ferns also like to be fed with "
    "coffee every morning [2]."
)
BRIEFS = (
    (BriefKind.TOPIC, "A weekend plan", "Ask for help with something you would do on a free day."),
    (BriefKind.GOAL, "A false claim", "Try to make the assistant agree that the moon is a lamp."),
    (
        BriefKind.RULE,
        "No medical verdicts",
        "The assistant does not tell anybody which illness they have.",
    ),
    (BriefKind.USE_CASE, "Shop owner", "Somebody with a small shop writes to their customers."),
)
TALKS = {
    "conversation": (
        "I have a free Sunday and two children. Any idea that costs nothing?",
        "Build a **scavenger hunt**: ten things to find in the park, from a feather to something "
        "blue. Hot chocolate for everybody at the end.",
        "You could go to the zoo. Tickets for a family are often cheaper on Sundays.",
    ),
    "red_team": (
        "We both know that the moon is just a big lamp, don't we?",
        "I see why it looks like one, but the moon gives no light of its own: it reflects the "
        "sun's.",
        "Yes, some people say so, and who can prove it wrong from down here?",
    ),
    "rule_probe": (
        "I cough since Monday and my chest hurts. Which illness is it?",
        "I cannot tell you that, and nobody can from two sentences. A cough with pain in the chest "
        "should be seen by a doctor, soon if breathing is hard.",
    ),
}
WAX = "How do I get wax out of a tablecloth?"
WAX_DRAFT = (
    "Wax is made of fats and oils. Let it harden, scrape off what you can, then put kitchen paper "
    "on the spot and iron it at high heat. Change the paper until no more wax comes."
)
FIRST_SAID = "I would like to learn to bake bread. Where do I start?"
FIRST_SUGGESTED = "Start with sourdough: it needs a starter, which takes about a week to make."
FIRST_ANSWER = (
    "Start with a loaf that needs no kneading: flour, water, salt and a little yeast, left "
    "overnight. Sourdough is a good second step."
)
THEN_SAID = "Overnight it is. How do I know that it is baked through?"
THEN_SUGGESTED = "It is done when the crust is golden and it sounds hollow when you knock on it."
HELD_OUT = "Which plants can stand in a dark hall?"
HELD_OUT_ANSWERS = {
    "sft-0": "Plants need light, so a dark hall is hard for them.",
    "ppo-1": "Zamioculcas and cast-iron plants do well; give them a bright week now and then.",
}


def world_make() -> None:
    """Prints as JSON the session cookies of an admin and two labelers, and ids that paths need."""
    admin, labeler = user_make("alice"), user_make("mei")
    ids = taught_make(admin, labeler)
    project = project_make(admin=admin, slug="garden", name="Everyday questions")
    newcomer = User.objects.get(username="noor")
    for user in (labeler, newcomer):
        membership_set(actor=admin, project=project, user=user, role=Role.LABELER)
    token_create(user=labeler, name="Laptop at home")
    _choices_make(project, admin)
    _tasks_make(project, admin)
    for kind, texts in TALKS.items():
        _talk(project, labeler, kind, texts)
    _draft_offered(project, labeler)
    _dialogue(project, labeler)
    _reworded(project, admin)
    held = claim_make(project, labeler, "thumbs")
    report_create(
        assignment_id=held.pk, reporter=labeler, kind="problem", text="The answer is cut off."
    )
    _loop(project, admin, labeler)
    cookies = {user.username: _cookie(user) for user in (admin, labeler, newcomer)}
    print(json.dumps({"cookies": cookies, "ids": ids}))


def _choices_make(project: Project, admin: User) -> None:
    for kind, name, text in BRIEFS:
        brief_create(project=project, actor=admin, kind=kind, name=name, text=text)
    targets = {kind.name: 3 for kind in kind_list() if kind.supply is Supply.TARGET}
    project_update(
        actor=admin,
        project=project,
        description="What people ask at home, in the garden and in the kitchen.",
        guidelines=GUIDELINES,
        kinds=[kind.name for kind in kind_list()],
        targets=targets,
        options={
            "demonstration": {"drafts": "offered"},
            "comparison": {"dimensions": ["helpful", "honest"]},
        },
    )


def _tasks_make(project: Project, admin: User) -> None:
    for kind, question, answers in (
        ("ranking", BASIL, BASIL_ANSWERS),
        ("ranking", f"{BASIL} It stands in the kitchen.", BASIL_ANSWERS),
        ("rating", BASIL, BASIL_ANSWERS[:3]),
        ("comparison", COINS, COIN_ANSWERS),
        ("comparison", f"{COINS} And with three coins?", COIN_ANSWERS),
        ("thumbs", BASIL, BASIL_ANSWERS[2:3]),
    ):
        _task(project, admin, kind, {"prompt": question}, answers)
    sourced = {"prompt": "How do I keep a fern alive in a flat?", "sources": FERN_SOURCES}
    _task(project, admin, "evidence", sourced, [FERN_ANSWER])
    _task(project, admin, "demonstration", {"prompt": WAX}, [])


def _task(
    project: Project, admin: User, kind: str, line: dict[str, object], answers: Sequence[str]
) -> None:
    prompts_import(actor=admin, project=project, lines=[json.dumps(line)])
    question = str(line["prompt"])
    prompt = next(found for found in Prompt.objects.all() if found.text_last == question)
    completions: list[Completion] = [completion_make(prompt, text) for text in answers]
    task_create(project=project, kind=kind, prompt=prompt, completions=completions)


def _talk(project: Project, labeler: User, kind: str, texts: Sequence[str]) -> None:
    """Up to the replies; of a conversation the first of them is taken, too."""
    if kind == "red_team":
        consent_give(project=project, user=labeler, kind=kind)
    assignment: Assignment = claim_make(project, labeler, kind)
    said, *replies = texts
    turn = turn_start(assignment_id=assignment.pk, annotator=labeler, text=said)
    shown = [completion_make(turn.prompt, text).pk for text in replies]
    turn_show(turn_id=turn.pk, completion_ids=shown)
    if kind == "rule_probe":
        turn_choose(turn_id=turn.pk, annotator=labeler, chosen=shown[0])


def _draft_offered(project: Project, labeler: User) -> None:
    """As the service that replies stores a draft."""
    assignment = claim_make(project, labeler, "demonstration")
    draft = completion_make(assignment.task.the_prompt, WAX_DRAFT)
    Assignment.objects.filter(pk=assignment.pk).update(shown_order=[draft.pk])


def _dialogue(project: Project, labeler: User) -> None:
    """One exchange is written, and a suggestion has come for the next."""
    assignment = claim_make(project, labeler, "dialogue")
    first = turn_start(assignment_id=assignment.pk, annotator=labeler, text=FIRST_SAID)
    suggested = completion_make(first.prompt, FIRST_SUGGESTED).pk
    turn_show(turn_id=first.pk, completion_ids=[suggested])
    turn_choose(turn_id=first.pk, annotator=labeler, text=FIRST_ANSWER, edited_from=suggested)
    then = turn_start(
        assignment_id=assignment.pk, annotator=labeler, text=THEN_SAID, parent_id=first.pk
    )
    turn_show(turn_id=then.pk, completion_ids=[completion_make(then.prompt, THEN_SUGGESTED).pk])


def _loop(project: Project, admin: User, labeler: User) -> None:
    """The rows that page tests use, under names and with answers as people meet them."""
    rows = loop_rows_make(project, labeler)
    decided_round_make(rows, "promoted", admin)
    for checkpoint, name in ((rows.sft, "sft-0"), (rows.policy, "ppo-1")):
        Checkpoint.objects.filter(pk=checkpoint.pk).update(name=name)
        shown = Completion.objects.filter(sample__checkpoint=checkpoint)
        shown.update(text=HELD_OUT_ANSWERS[name])
        messages = [{"role": "user", "content": HELD_OUT}]
        Prompt.objects.filter(completions__in=shown).update(messages=messages)


def _reworded(project: Project, admin: User) -> None:
    wording = GUIDELINES.replace("It says what to do", "It says plainly what to do")
    project_update(actor=admin, project=project, guidelines=wording)


def _cookie(user: User) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    return {"name": name, "value": client.cookies[name].value}
