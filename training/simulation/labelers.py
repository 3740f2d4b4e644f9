"""Scripted labelers: ordinary accounts that write and rank through the services people use."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

from django.contrib.auth.models import User

from annotation.choices import Role
from annotation.errors import Conflict
from annotation.models import Assignment, Completion, Membership, Project, Ranking
from annotation.services.assignments import assignment_claim, assignment_skip, assignment_submit
from annotation.services.projects import membership_set
from training.algorithms.pretrain.corpus import ideal_answer
from training.choices import RoundStatus
from training.models import Round
from training.simulation.preference import DEFAULT_SCALE, hidden_value, ranking_draw

SKIP_SHARE = 0.02
SKIP_REASON = "I do not understand the question."
WAIT_SECONDS = 1.0

# (done, total, message)
Report = Callable[[int, int, str], None]


@dataclass(slots=True)
class Simulated:
    """What was done. `ran_dry`: it ended because nothing was left to do."""

    num_rankings: int = 0
    num_demonstrations: int = 0
    num_skips: int = 0
    ran_dry: bool = False


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over tasks ranked by two people or more: pairs that both order, and how many alike."""

    num_pairs: int
    num_alike: int

    @property
    def share(self) -> float:
        return self.num_alike / self.num_pairs if self.num_pairs else float("nan")


def labelers_ensure(*, project: Project, num: int) -> list[User]:
    """The accounts scripted-01, scripted-02, ... as labelers of the project. Nobody can log in."""
    labelers = []
    for number in range(1, num + 1):
        user, created = User.objects.get_or_create(username=f"scripted-{number:02}")
        if created:
            user.set_unusable_password()
            user.save(update_fields=["password"])
        if not Membership.objects.filter(project=project, user=user).exists():
            membership_set(actor=None, project=project, user=user, role=Role.LABELER)
        labelers.append(user)
    return labelers


def simulate(
    *,
    project: Project,
    labelers: list[User],
    num_rankings: int | None,
    num_demonstrations: int,
    seed: int,
    scale: float = DEFAULT_SCALE,
    per_minute: float | None = None,
    until_round: int | None = None,
    patience_seconds: float = 0.0,
    report: Report = lambda done, total, message: None,
) -> Simulated:
    """First demonstrations, then rankings; None for as many as come until the round is over.

    What a labeler answers depends on the seed, their name and the texts only. When nothing is
    left to do, waits `patience_seconds` for new tasks, then returns.
    """
    done = Simulated()
    total = num_demonstrations + (num_rankings or 0)
    turn = random.Random(f"{seed} turns")
    dry_since: float | None = None
    while True:
        kind = _kind_next(done, num_rankings, num_demonstrations)
        if kind is None or (until_round is not None and _is_over(project, until_round)):
            return done
        worked = _turn(project, turn.choice(labelers), kind, seed, scale, done)
        if not worked:
            worked = any(_turn(project, user, kind, seed, scale, done) for user in labelers)
        message = f"{done.num_demonstrations} demonstrations, {done.num_rankings} rankings"
        if worked:
            dry_since = None
            if per_minute:
                time.sleep(60 / per_minute)
        else:
            dry_since = dry_since or time.monotonic()
            if time.monotonic() - dry_since >= patience_seconds:
                done.ran_dry = True
                return done
            message += ", waiting for tasks"
            time.sleep(WAIT_SECONDS)
        report(done.num_demonstrations + done.num_rankings, total, message)


def agreement_measure(project: Project) -> Agreement:
    """Ties count for neither side: a pair is compared when both people order it."""
    by_task: dict[int, list[dict[int, int]]] = {}
    rankings = Ranking.objects.filter(task__project=project).prefetch_related("items")
    for ranking in rankings.order_by("pk"):
        ranks = {item.completion_id: item.rank for item in ranking.items.all()}
        by_task.setdefault(ranking.task_id, []).append(ranks)
    num_pairs = num_alike = 0
    for ranks_of in by_task.values():
        for one, other in combinations(ranks_of, 2):
            for a, b in combinations(sorted(one), 2):
                product = (one[a] - one[b]) * (other[a] - other[b])
                num_pairs += product != 0
                num_alike += product > 0
    return Agreement(num_pairs, num_alike)


def _kind_next(done: Simulated, num_rankings: int | None, num_demonstrations: int) -> str | None:
    if done.num_demonstrations < num_demonstrations:
        return "demonstration"
    if num_rankings is None or done.num_rankings < num_rankings:
        return "ranking"
    return None


def _is_over(project: Project, number: int) -> bool:
    rounds = Round.objects.filter(project=project, number__gte=number)
    return rounds.exclude(status=RoundStatus.RUNNING).exists()


def _turn(
    project: Project,
    labeler: User,
    kind: str,
    seed: int,
    scale: float,
    done: Simulated,
) -> bool:
    """One assignment of one labeler; False when there is none for them."""
    assignment = assignment_claim(project=project, annotator=labeler, kind=kind)
    if assignment is None:
        return False
    prompt = assignment.task.the_prompt
    texts = dict(Completion.objects.filter(pk__in=assignment.shown_order).values_list("pk", "text"))
    # In the order of the texts, so that neither ids nor the order shown matter to the draw.
    ids = sorted(texts, key=lambda pk: (texts[pk], pk))
    contents = "\n".join([prompt.content_hash, *(texts[pk] for pk in ids)])
    rng = random.Random(f"{seed}\n{labeler.username}\n{kind}\n{contents}")
    try:
        if rng.random() < SKIP_SHARE:
            _skip(assignment, labeler)
            done.num_skips += 1
        elif kind == "demonstration":
            _submit(assignment, labeler, {"text": ideal_answer(prompt.text_last, rng)})
            done.num_demonstrations += 1
        else:
            values = [hidden_value(prompt.text_last, texts[pk]) for pk in ids]
            groups = ranking_draw(values, scale, rng)
            order = [[ids[place] for place in group] for group in groups]
            _submit(assignment, labeler, {"order": order})
            done.num_rankings += 1
    except Conflict:
        # The lease ran out while the machine was asleep; the next claim offers it again.
        return True
    return True


def _skip(assignment: Assignment, labeler: User) -> None:
    assignment_skip(assignment_id=assignment.pk, annotator=labeler, reason=SKIP_REASON)


def _submit(assignment: Assignment, labeler: User, payload: dict) -> None:
    assignment_submit(assignment_id=assignment.pk, annotator=labeler, payload=payload)
