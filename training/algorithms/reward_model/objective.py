"""How this run's rankings become a loss; settled before the first step. Pure."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from training.algorithms.records import RankedCompletions
from training.algorithms.reward_model import RewardModelConfig

# A higher measured flip rate says that nothing can be learned, or that too few were measured.
MAX_FLIP_RATE = 0.4


@dataclass(frozen=True, slots=True)
class Objective:
    config: RewardModelConfig
    label_smoothing: float
    mean_strength: float
    """Of the training rankings whose strength is known; stands in for the others' weight."""

    def margin(self, ranking: RankedCompletions) -> float:
        """By how much the better completion must lead; 0 when the strength is unknown."""
        if self.config.strength != "margin":
            return 0.0
        return self.config.margin_scale * (ranking.strength or 0.0)

    def weight(self, ranking: RankedCompletions) -> float:
        """The batch's loss is a mean with these weights: equal ones change nothing."""
        if self.config.strength != "weight":
            return ranking.weight
        known = self.mean_strength if ranking.strength is None else ranking.strength
        return ranking.weight * known


def objective_make(
    config: RewardModelConfig, train: Sequence[RankedCompletions], flips: "RepeatedJudgements"
) -> Objective:
    known = [ranking.strength for ranking in train if ranking.strength is not None]
    measured = min(flips.flip_rate, MAX_FLIP_RATE)
    smoothing = measured if config.label_smoothing is None else config.label_smoothing
    return Objective(config, smoothing, fmean(known) if known else 1.0)


@dataclass(frozen=True, slots=True)
class RepeatedJudgements:
    """Two completions of a prompt that several rankings decide: how often two of them disagree."""

    num_judgement_pairs: int
    num_disagreements: int

    @property
    def flip_rate(self) -> float:
        """Probability e that one judgement is the wrong way round: 2 e (1 - e) disagree.

        Judgements are taken as independent and equally reliable. 0 without repeated judgements,
        1/2 when disagreement is no rarer than between coins.
        """
        if self.num_judgement_pairs == 0:
            return 0.0
        disagreement = self.num_disagreements / self.num_judgement_pairs
        return (1 - math.sqrt(max(0.0, 1 - 2 * disagreement))) / 2


def judgements_compare(rankings: Sequence[RankedCompletions]) -> RepeatedJudgements:
    """Over all pairs of rankings of the same two completions; ties say neither."""
    votes: dict[tuple[tuple[int, ...], ...], list[int]] = defaultdict(lambda: [0, 0])
    for ranking in rankings:
        prompt, completions = tuple(ranking.prompt_ids), list(map(tuple, ranking.completions))
        for i, j in combinations(range(len(completions)), 2):
            if completions[i] == completions[j] or ranking.ranks[i] == ranking.ranks[j]:
                continue
            first, second = sorted((completions[i], completions[j]))
            better = completions[i if ranking.ranks[i] < ranking.ranks[j] else j]
            votes[prompt, first, second][better == second] += 1
    return RepeatedJudgements(
        sum(math.comb(a + b, 2) for a, b in votes.values()), sum(a * b for a, b in votes.values())
    )


def tie_log_nu_start(rankings: Sequence[RankedCompletions]) -> float:
    """log nu at which equal scores tie as often as the training pairs do.

    P(tie) at d = 0 is nu / (2 + nu). Half a tie is added, so that no ties at all stay finite. A
    pair with a probability is no tie.
    """
    ranks = [ranking.ranks for ranking in rankings if ranking.probability is None]
    num_pairs = sum(math.comb(len(row), 2) for row in ranks)
    num_ties = sum(a == b for row in ranks for a, b in combinations(row, 2))
    share = (num_ties + 0.5) / (num_pairs + 1)
    return math.log(2 * share / (1 - share))


def adam_scalar(memory: dict[str, float], gradient: float, rate: float) -> dict[str, float]:
    """One step of Adam (Kingma and Ba 2015, betas 0.9 and 0.999) on memory["value"].

    memory also holds the running "mean" and "square" of the gradient and the number of "steps".
    Plain floats, so that the value is trained alike in every process and resumes bit by bit.
    """
    steps = memory.get("steps", 0.0) + 1
    mean = 0.9 * memory.get("mean", 0.0) + 0.1 * gradient
    square = 0.999 * memory.get("square", 0.0) + 0.001 * gradient**2
    size = math.sqrt(square / (1 - 0.999**steps)) + 1e-5
    value = memory["value"] - rate * mean / (1 - 0.9**steps) / size
    return {"value": value, "mean": mean, "square": square, "steps": steps}
