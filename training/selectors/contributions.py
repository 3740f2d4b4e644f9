"""What became of a person's judgements, in words for that person."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.models import Project
from annotation.selectors.agreement import judgements_shared
from annotation.selectors.exclusions import exclusion_get
from training.algorithms.measuring.win_rate import WinRate
from training.choices import (
    ROUND_OPEN,
    ROUND_STOPPED,
    Decision,
    DeploymentRole,
)
from training.models import Deployment
from training.selectors.ai_feedback import Agreement, agreement_of
from training.selectors.lineage import labeler_lineage
from training.selectors.rounds import RoundSummary, round_list
from training.selectors.win_rates import policies_win_rate

# With fewer the share says nothing, and might say what one other person thinks.
MIN_SHARED_TASKS = 5
RUNNING, STOPPED, FIRST, LEARNED = "running", "stopped", "first", "learned"
PROMOTED, HELD, REJECTED, ROLLED_BACK = "promoted", "held", "rejected", "rolled_back"
OUTCOMES = (RUNNING, FIRST, LEARNED, PROMOTED, HELD, REJECTED, ROLLED_BACK, STOPPED)
DECIDED = {Decision.PROMOTE: PROMOTED, Decision.HOLD: HELD, Decision.REJECT: REJECTED}


@dataclass(frozen=True, slots=True)
class Contribution:
    """A round that learned from the person: `num_mine` of the `num_total` judgements it froze.

    `outcome` is running, first (a first policy, in use as it is), learned (a later one that nothing
    had to decide on), promoted, held, rejected, rolled_back or stopped. `win_rate`: of a promoted
    policy against the one before, by people's blind votes; None without any. `test_gain`: where
    there are no votes, what the test reward model measured over the reference model, with its
    standard error.
    """

    round: int
    outcome: str
    num_mine: int
    num_total: int
    win_rate: WinRate | None
    test_gain: float | None
    test_gain_error: float | None

    @property
    def share(self) -> float:
        return self.num_mine / self.num_total

    @property
    def sentence(self) -> str:
        return f"{self._part_sentence()} {self._outcome_sentence()}"

    def _part_sentence(self) -> str:
        words = ngettext(
            "%(mine)s judgement of yours was part of the %(total)s that taught round %(round)s.",
            "%(mine)s judgements of yours were part of the %(total)s that taught round %(round)s.",
            self.num_mine,
        )
        return words % {"mine": self.num_mine, "total": self.num_total, "round": self.round}

    def _outcome_sentence(self) -> str:
        if self.win_rate is not None:
            return _(
                "Its policy won %(share)s of %(num)s blind comparisons against the one before "
                "(between %(low)s and %(high)s, with 95%% confidence)."
            ) % {
                "share": f"{self.win_rate.share:.0%}",
                "num": self.win_rate.num,
                "low": f"{self.win_rate.low:.0%}",
                "high": f"{self.win_rate.high:.0%}",
            }
        if self.test_gain is not None:
            return _(
                "Its policy is in use. On prompts that nobody trained on it gained %(gain)s reward "
                "over the reference model (standard error %(error)s)."
            ) % {"gain": f"{self.test_gain:+.2f}", "error": f"{self.test_gain_error or 0:.2f}"}
        return str(_outcome_words()[self.outcome])


@dataclass(frozen=True, slots=True)
class AgreementSeen:
    """Pairwise agreement on strict pairs: of two answers that both people put in order.

    `ties`: of pairs that at least one of them tied, where both did. `marks`: equal thumbs and
    evidence marks. Each None without any; the intervals are clustered by prompt.
    """

    num_tasks: int
    pairs: Agreement | None
    ties: Agreement | None
    marks: Agreement | None


@dataclass(frozen=True, slots=True)
class Contributions:
    """Newest round first. `agreement`: None below MIN_SHARED_TASKS tasks judged by others, too."""

    excluded: bool
    rounds: list[Contribution]
    agreement: AgreementSeen | None


def contributions_get(user: User, project: Project) -> Contributions:
    """What one person's judgements changed, and how far others agree with them."""
    return Contributions(
        excluded=exclusion_get(project, user) is not None,
        rounds=_contributions(user, project),
        agreement=agreement_with_others(user, project),
    )


def agreement_with_others(user: User, project: Project) -> AgreementSeen | None:
    shared = judgements_shared(user, project)
    if len(shared.tasks) < MIN_SHARED_TASKS:
        return None
    pairs, ties, marks = (
        agreement_of(credits) if credits else None
        for credits in (shared.pairs, shared.ties, shared.marks)
    )
    return AgreementSeen(len(shared.tasks), pairs, ties, marks)


def _contributions(user: User, project: Project) -> list[Contribution]:
    shares = {
        number: (sum(share.judgements.values()), share.total)
        for share in labeler_lineage(project, user).snapshots
        for number in share.rounds
    }
    rounds = [item for item in round_list(project) if item.number in shares]
    return [_contribution(project, item, *shares[item.number]) for item in rounds]


def _contribution(
    project: Project, item: RoundSummary, num_mine: int, num_total: int
) -> Contribution:
    outcome = _outcome(project, item)
    win = _win_rate(project, item) if outcome == PROMOTED else None
    headline = item.headline if outcome == PROMOTED and win is None else None
    return Contribution(
        round=item.number,
        outcome=outcome,
        num_mine=num_mine,
        num_total=num_total,
        win_rate=win,
        test_gain=headline.test_gain if headline else None,
        test_gain_error=headline.test_gain_error if headline else None,
    )


def _outcome(project: Project, item: RoundSummary) -> str:
    if item.rolled_back_at is not None:
        return ROLLED_BACK
    if item.status in ROUND_OPEN:
        return RUNNING
    if item.status in ROUND_STOPPED:
        return STOPPED
    if item.decision:
        return DECIDED[Decision(item.decision)]
    primary = Deployment.objects.filter(project=project, role=DeploymentRole.PRIMARY)
    return LEARNED if primary.filter(round__number__lt=item.number).exists() else FIRST


def _win_rate(project: Project, item: RoundSummary) -> WinRate | None:
    """Of the policy that the round brought into use against the one that was in use until then."""
    primary = Deployment.objects.filter(project=project, role=DeploymentRole.PRIMARY)
    brought = primary.filter(round=item.id).select_related("checkpoint").first()
    if brought is None:
        return None
    before = primary.filter(pk__lt=brought.pk).select_related("checkpoint").order_by("-pk").first()
    if before is None or before.checkpoint_id == brought.checkpoint_id:
        return None
    win = policies_win_rate(project=project, policy=brought.checkpoint, other=before.checkpoint)
    return win if win.num else None


def _outcome_words() -> dict[str, str]:
    return {
        RUNNING: _("It is still under way."),
        STOPPED: _("It stopped before it was done; the next round learns from them again."),
        FIRST: _("Its policy is the first that people got to judge."),
        LEARNED: _("What it learned was put to use."),
        PROMOTED: _("Its policy was put to use."),
        HELD: _("Its policy was held back: the checks could not tell that it is better."),
        REJECTED: _("Its policy was turned down, and the one before stayed in use."),
        ROLLED_BACK: _("Its policy was put to use and taken back later."),
    }
