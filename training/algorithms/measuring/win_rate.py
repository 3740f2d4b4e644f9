"""How often one policy's answers win against another's, with an interval that may be watched.

An ordinary interval holds at one look planned in advance. Who looks after every vote and stops when
he likes what he sees needs one that holds at all looks at once: a confidence sequence. Plain
Python.
"""

import math
from dataclasses import dataclass

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class WinRate:
    """`wins` of `num` votes, a tie or a half-won vote counts its share; low and high at 95 %."""

    wins: float
    num: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """1/2 without any vote."""
        return self.wins / self.num if self.num else 0.5


def win_rate(wins: float, num: int, alpha: float = ALPHA) -> WinRate:
    """The win rate with the bounds of `win_interval`."""
    return WinRate(wins, num, *win_interval(wins, num, alpha))


def win_interval(wins: float, num: int, alpha: float = ALPHA) -> tuple[float, float]:
    """Contains the true rate p at every number of votes at once, with probability 1 - alpha.

    The p at which Robbins' mixture (Ann. Math. Stat. 41, 1970), the likelihood ratio of all rates
    under a uniform prior against p, B(1 + S, 1 + n - S) / (p^S (1 - p)^(n - S)), stays below
    1 / alpha. Ville's inequality bounds it for ever. Votes between 0 and 1 are covered, too: a
    vote x enters as (q/p)^x ((1-q)/(1-p))^(1-x), convex in x, so that its mean under p is at most
    that of a coin, 1. Votes must be independent given the past.
    """
    if num == 0:
        return 0.0, 1.0
    center = wins / num
    return _bound(wins, num, center, 0.0, alpha), _bound(wins, num, center, 1.0, alpha)


def _bound(wins: float, num: int, center: float, end: float, alpha: float) -> float:
    """Where the mixture reaches 1 / alpha between the center, its minimum, and the end."""
    if center == end:
        return end
    inside, outside = center, end
    for _ in range(60):
        middle = (inside + outside) / 2
        if _log_mixture(wins, num, middle) < -math.log(alpha):
            inside = middle
        else:
            outside = middle
    return inside


def _log_mixture(wins: float, num: int, p: float) -> float:
    losses = num - wins
    log_beta = math.lgamma(1 + wins) + math.lgamma(1 + losses) - math.lgamma(2 + num)
    return log_beta - _log_power(p, wins) - _log_power(1 - p, losses)


def _log_power(base: float, exponent: float) -> float:
    if exponent == 0:
        return 0.0
    return exponent * math.log(base) if base > 0 else -math.inf
