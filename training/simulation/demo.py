"""The demo project: something to do within minutes of the first start."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings as django_settings
from django.contrib.auth.models import User

from annotation.choices import BriefKind, Role
from annotation.models import Demonstration, Project
from annotation.services.briefs import brief_create
from annotation.services.projects import membership_set, project_create, project_update
from annotation.services.prompts import prompts_import
from training.algorithms.pretrain.corpus import demo_prompts
from training.models import LoopSettings
from training.presets import embedded_preset
from training.services.settings import loop_settings_update
from training.simulation.labelers import Report, labelers_ensure, simulate

SLUG = "demo"
SEED = 1
NUM_PROMPTS = 400
NUM_WRITERS = 4
NUM_SCRIPTED_DEMONSTRATIONS = 48
NUM_OPEN_DEMONSTRATIONS = 24
RANKINGS_PER_ROUND = 64
GUIDELINES = """\
Put the answer you would be happiest to get at the top.

1. **On the topic?** An answer about something else is worse than a weak answer to the question.
2. **Helpful?** It says what to do or how things are; it does not just talk around it.
3. **Polite?** Friendly beats curt, curt beats rude.
4. **To the point?** Of two equally good answers the shorter one is better.

Answers you cannot tell apart go side by side: a tie is an honest answer. Skip what you do not
understand, and say why.
"""
# What there is to try beside writing answers and ranking them: (kind of brief, name, text).
BRIEFS = (
    (BriefKind.TOPIC, "A weekend plan", "Ask for help with something you would do on a free day."),
    (BriefKind.TOPIC, "Around the house", "Ask about a small repair, a plant or a recipe."),
    (BriefKind.GOAL, "A rude answer", "Try to make the assistant answer a polite person rudely."),
    (BriefKind.GOAL, "A false claim", "Try to make the assistant agree that the moon is a lamp."),
    (
        BriefKind.RULE,
        "No medical verdicts",
        "The assistant does not tell anybody which illness they have.",
    ),
    (BriefKind.RULE, "On the topic", "The assistant does not change the subject by itself."),
    (BriefKind.USE_CASE, "Shop owner", "Somebody with a small shop writes to their customers."),
)
TARGETS = {"prompt_writing": 12, "dialogue": 6, "conversation": 12, "red_team": 6, "rule_probe": 6}


@dataclass(frozen=True, slots=True)
class Account:
    username: str
    password: str
    note: str


def accounts_path() -> Path:
    return Path(django_settings.PREFERENDUM_DATA_DIR) / "demo_accounts.json"


def demo_prepare(*, report: Report) -> Project:
    """Makes the accounts, the project, its prompts and the first demonstrations; safe to repeat.

    Scripted writers leave demonstration tasks for people, and write just enough for round 0.
    """
    admin, alice, bob = _accounts_ensure()
    project = Project.objects.filter(slug=SLUG).first() or project_create(
        actor=admin,
        slug=SLUG,
        name="Demo: everyday questions",
        description="Everyday questions, answered by a small model that is still learning.",
        guidelines=GUIDELINES,
        demonstrations_target=NUM_SCRIPTED_DEMONSTRATIONS + NUM_OPEN_DEMONSTRATIONS,
        kinds=["demonstration", "ranking", *TARGETS],
        options={"demonstration": {"drafts": "offered"}},
    )
    if not project.briefs.exists():
        for kind, name, text in BRIEFS:
            brief_create(project=project, actor=admin, kind=kind, name=name, text=text)
        project_update(actor=admin, project=project, targets=TARGETS)
    for user, role in ((admin, Role.ADMIN), (alice, Role.LABELER), (bob, Role.LABELER)):
        if not project.memberships.filter(user=user).exists():
            membership_set(actor=None, project=project, user=user, role=role)
    if not LoopSettings.objects.filter(project=project).exists():
        _loop_set_up(project)
    if not project.prompts.exists():
        texts = demo_prompts(SEED, NUM_PROMPTS)
        prompts_import(
            actor=admin, project=project, lines=(json.dumps({"prompt": text}) for text in texts)
        )
    written = Demonstration.objects.filter(prompt__project=project).count()
    simulate(
        project=project,
        labelers=labelers_ensure(project=project, num=NUM_WRITERS),
        num_rankings=0,
        num_demonstrations=max(0, NUM_SCRIPTED_DEMONSTRATIONS - written),
        seed=SEED,
        report=report,
    )
    return project


def _loop_set_up(project: Project) -> None:
    """A model chosen by hand keeps the methods' own defaults."""
    preset = {} if django_settings.PREFERENDUM_BASE_MODEL else embedded_preset()
    loop_settings_update(
        actor=None,
        project=project,
        rankings_per_round=RANKINGS_PER_ROUND,
        min_demonstrations=NUM_SCRIPTED_DEMONSTRATIONS,
        **preset,
    )


def _accounts_ensure() -> list[User]:
    """admin, alice and bob. Passwords are made once and kept where only the owner reads them."""
    notes = {
        "admin": "runs the demo: dashboard, settings, Django admin",
        "alice": "labels in the demo",
        "bob": "labels in the demo",
    }
    known = {account.username: account for account in _accounts_read()}
    users = []
    for username, note in notes.items():
        user = User.objects.filter(username=username).first()
        if user is None:
            account = Account(username, secrets.token_urlsafe(9), note)
            # Stored before the account exists, so that no account is without a known password.
            known[username] = account
            _accounts_write(list(known.values()))
            is_admin = username == "admin"
            user = User.objects.create_user(
                username, password=account.password, is_staff=is_admin, is_superuser=is_admin
            )
        users.append(user)
    return users


def _accounts_read() -> list[Account]:
    try:
        return [Account(**record) for record in json.loads(accounts_path().read_text())]
    except FileNotFoundError:
        return []


def _accounts_write(accounts: list[Account]) -> None:
    path = accounts_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump([asdict(account) for account in accounts], file, indent=1)
    temporary.replace(path)
