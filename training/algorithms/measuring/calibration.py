"""How far a reward model's probabilities can be trusted, and on which pairs it is right.

Pure: judged pairs in, plain JSON out. Ties have no right answer and are left out. Pairs of one
prompt are not independent, so intervals count clusters of prompts (intervals.effective_trials).
"""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, quantiles
from typing import Any

from torch import Tensor

from training.algorithms.measuring.intervals import effective_trials, wilson_interval
from training.algorithms.records import RankedCompletions

NUM_BINS = 10
# More different values of a strength than this are reported by quartile.
MAX_VALUES = 10


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """Two completions of a prompt, one of which people ranked better."""

    prompt_id: Hashable
    log_odds: float
    """Score of the better minus score of the worse one, in log odds."""
    length_difference: int
    """Tokens of the better minus tokens of the worse one."""
    sources: tuple[str, str] | None
    """What wrote the two, in alphabetical order."""
    strength: float | None
    round: int | None

    @property
    def probability(self) -> float:
        """Predicted probability that the better one is better."""
        return 1 / (1 + math.exp(-max(-700.0, self.log_odds)))

    @property
    def correct(self) -> float:
        """1 right, 0 wrong, 1/2 for equal scores."""
        return 0.5 if self.log_odds == 0 else float(self.log_odds > 0)


def judged_pairs(
    scores_per_ranking: Sequence[Tensor], rankings: Sequence[RankedCompletions]
) -> list[JudgedPair]:
    """Of scores [K] per ranking, in log odds (scoring.ranking_scores)."""
    pairs = []
    for row, ranking in zip(scores_per_ranking, rankings, strict=True):
        values = row.tolist()
        lengths, sources = [len(ids) for ids in ranking.completions], ranking.sources
        for i, j in combinations(range(len(values)), 2):
            if ranking.ranks[i] == ranking.ranks[j]:
                continue
            better, worse = (i, j) if ranking.ranks[i] < ranking.ranks[j] else (j, i)
            first, second = sorted((sources[i], sources[j])) if sources else ("", "")
            pairs.append(
                JudgedPair(
                    ranking.prompt_id,
                    values[better] - values[worse],
                    lengths[better] - lengths[worse],
                    (first, second) if sources else None,
                    ranking.strength,
                    ranking.round,
                )
            )
    return pairs


def calibration_report(pairs: Sequence[JudgedPair]) -> dict[str, Any]:
    """Everything of this module about at least one pair, as plain JSON."""
    bins = reliability(pairs)
    return {
        **accuracy(pairs),
        "brier": fmean((1 - pair.probability) ** 2 for pair in pairs),
        "calibration_error": calibration_error(bins),
        "reliability": bins,
        "by_sources": _sliced(
            pairs, lambda p: None if p.sources is None else " | ".join(p.sources)
        ),
        "by_round": _sliced(pairs, lambda p: p.round),
        "by_strength": _by_number(pairs, lambda p: p.strength),
        "by_length_difference": _by_length(pairs),
        "longer": longer(pairs),
    }


def accuracy(pairs: Sequence[JudgedPair]) -> dict[str, float]:
    """Share of pairs whose better completion scores higher, with its 95 % interval."""
    return _share((pair.prompt_id, pair.correct) for pair in pairs)


def reliability(pairs: Sequence[JudgedPair]) -> list[dict[str, float]]:
    """Predicted probability against observed share, in 10 bins of equal width; empty ones left out.

    A pair has no natural first completion, so both orders are looked at: it stands at p with
    outcome 1 and at 1 - p with outcome 0, and the lower five bins mirror the upper five. In any one
    bin every pair stands once (twice at p = 1/2), so the intervals are not narrowed by that.
    """
    entries: dict[int, list[tuple[float, Hashable, float]]] = defaultdict(list)
    for pair in pairs:
        for probability, outcome in ((pair.probability, 1.0), (1 - pair.probability, 0.0)):
            number = min(NUM_BINS - 1, int(probability * NUM_BINS))
            entries[number].append((probability, pair.prompt_id, outcome))
    rows = []
    for number, members in sorted(entries.items()):
        share = _share((prompt_id, outcome) for _, prompt_id, outcome in members)
        rows.append(
            {
                "from": number / NUM_BINS,
                "to": (number + 1) / NUM_BINS,
                "predicted": fmean(probability for probability, _, _ in members),
                "observed": share.pop("accuracy"),
                **share,
            }
        )
    return rows


def calibration_error(bins: Sequence[dict[str, float]]) -> float:
    """Mean of |predicted - observed| over the bins of `reliability`, weighted by their pairs.

    Expected calibration error, Naeini et al. 2015. Noise alone makes it positive.
    """
    total = sum(row["num_pairs"] for row in bins)
    return sum(abs(row["predicted"] - row["observed"]) * row["num_pairs"] for row in bins) / total


def longer(pairs: Sequence[JudgedPair]) -> dict[str, float] | None:
    """How often people, and the model, prefer the longer completion; None if none is longer."""
    unequal = [pair for pair in pairs if pair.length_difference]
    if not unequal:
        return None
    return {
        "num_pairs": float(len(unequal)),
        "chosen_share": fmean(float(pair.length_difference > 0) for pair in unequal),
        "scored_higher_share": fmean(
            pair.correct if pair.length_difference > 0 else 1 - pair.correct for pair in unequal
        ),
    }


def _share(trials: Iterable[tuple[Hashable, float]]) -> dict[str, float]:
    """Of (cluster, success) trials: their share with Wilson's interval at the effective number."""
    clusters: dict[Hashable, list[float]] = defaultdict(list)
    for cluster, success in trials:
        clusters[cluster].append(success)
    correct, totals = [sum(c) for c in clusters.values()], [len(c) for c in clusters.values()]
    share, effective = sum(correct) / sum(totals), effective_trials(correct, totals)
    low, high = wilson_interval(share, effective)
    return {
        "accuracy": share,
        "low": low,
        "high": high,
        "num_pairs": float(sum(totals)),
        "effective_pairs": effective,
    }


def _sliced(pairs: Sequence[JudgedPair], key: Callable[[JudgedPair], Any]) -> list[dict[str, Any]]:
    """Accuracy by key, in the order of the keys; pairs without one are left out."""
    slices: dict[Any, list[JudgedPair]] = defaultdict(list)
    for pair in pairs:
        if (value := key(pair)) is not None:
            slices[value].append(pair)
    return [{"slice": value, **accuracy(slices[value])} for value in sorted(slices)]


def _by_number(
    pairs: Sequence[JudgedPair], key: Callable[[JudgedPair], float | None]
) -> list[dict[str, Any]]:
    """Accuracy by value, or by quartile when there are many; "from" and "to" are its range."""
    known = [(value, pair) for pair in pairs if (value := key(pair)) is not None]
    values = [value for value, _ in known]
    ends = sorted(set(values))
    if len(ends) > MAX_VALUES:
        ends = sorted({*quantiles(values, n=4, method="inclusive"), ends[-1]})
    rows, low = [], -math.inf
    for high in ends:
        members = [(value, pair) for value, pair in known if low < value <= high]
        if members:
            inside = [value for value, _ in members]
            row = accuracy([pair for _, pair in members])
            rows.append({"from": min(inside), "to": max(inside), **row})
        low = high
    return rows


def _by_length(pairs: Sequence[JudgedPair]) -> list[dict[str, Any]]:
    """Quartiles of |length difference| in tokens; in each also who prefers the longer one."""
    rows = _by_number(pairs, lambda pair: float(abs(pair.length_difference)))
    for row in rows:
        inside = [p for p in pairs if row["from"] <= abs(p.length_difference) <= row["to"]]
        row["longer"] = longer(inside)
    return rows
