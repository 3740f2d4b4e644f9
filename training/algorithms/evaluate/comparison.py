"""Policies compared by their answers to the same prompts. Pure; plain values in and out.

"proxy" is the reward model that policies are trained against, "test" one that none was trained
against. Numbers of a prompt's answers are averaged first, so that prompts are the units of means
and standard errors; a gain is over the reference, prompt by prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from training.algorithms.formulas.selection import best_of_n_kl, expected_value_of_best
from training.algorithms.measuring.intervals import mean_and_error

CANDIDATE = "candidate_"


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one policy: a number per prompt in proxy, test and kl. None: not measured."""

    role: str
    proxy: list[float] | None
    test: list[float] | None
    kl: list[float]
    """to the reference, nats"""
    length_tokens: float
    finished_share: float
    retention_loss: float | None
    """nats per token"""

    @property
    def step(self) -> int | None:
        """Of an earlier candidate, from its role; None for every other role."""
        number = self.role.removeprefix(CANDIDATE)
        return int(number) if number != self.role else None


def per_prompt(values: Sequence[float], size: int) -> list[float]:
    """Means of consecutive groups of `size` values."""
    return [fmean(values[start : start + size]) for start in range(0, len(values), size)]


def entry(measures: Measures, reference: Measures) -> dict[str, Any]:
    """One row of a table of policies, as plain JSON."""
    row: dict[str, Any] = {"role": measures.role, "step": measures.step}
    for name, own, other in (
        ("proxy", measures.proxy, reference.proxy),
        ("test", measures.test, reference.test),
    ):
        row[name], row[f"{name}_error"] = _mean_and_error(own)
        row[f"{name}_gain"], row[f"{name}_gain_error"] = _mean_and_error(_paired(own, other))
    row["kl"], row["kl_error"] = mean_and_error(measures.kl)
    for name in ("length_tokens", "finished_share", "retention_loss"):
        row[name] = getattr(measures, name)
    return row


def chosen_role(candidates: Sequence[Measures]) -> str:
    """The candidate of the highest mean test reward, of equals that of the smaller KL.

    Without a test reward model the last one: nothing else tells them apart that was not trained on.
    """
    last = candidates[-1]
    if last.test is None:
        return last.role
    return max(candidates, key=lambda each: (fmean(each.test or ()), -fmean(each.kl))).role


def comparison_metrics(
    policy: Measures, reference: Measures, previous: Measures | None
) -> dict[str, float]:
    """evaluate/* of the chosen policy, without what was not measured, nor the gain gap."""
    metrics: dict[str, float] = {"evaluate/num_prompts": float(len(policy.kl))}
    for role, each in (("policy", policy), ("reference", reference)):
        metrics |= _with_error(f"reward_{role}", each.proxy)
        metrics[f"evaluate/length_tokens_{role}"] = each.length_tokens
        metrics[f"evaluate/finished_share_{role}"] = each.finished_share
        if each.retention_loss is not None:
            metrics[f"evaluate/retention_loss_{role}"] = each.retention_loss
    metrics |= _with_error("kl_to_reference", policy.kl)
    gains = _paired(policy.proxy, reference.proxy)
    metrics |= _with_error("reward_gain", gains) | _with_error("proxy_gain", gains)
    if gains is not None:
        wins = [(gain > 0) + 0.5 * (gain == 0) for gain in gains]
        metrics["evaluate/reward_win_share"] = fmean(wins)
    metrics |= _with_error("test_gain", _paired(policy.test, reference.test))
    if previous is not None:
        metrics |= _with_error("gain_over_previous", _paired(policy.test, previous.test))
    if policy.step is not None:
        metrics["evaluate/chosen_step"] = float(policy.step)
    return metrics


def gain_gap_metrics(
    policy: Measures,
    reference: Measures,
    proxy_scores: Sequence[float],
    test_scores: Sequence[float],
) -> dict[str, float]:
    """Proxy gain minus test gain, each in standard deviations of that model's own scores.

    The scores are those of all the reference's answers. A policy that exploits its reward model
    gains by it alone (Bai et al. 2022, arXiv 2204.05862, 4.2, who compare train with test PM
    scores). Nothing when a model scores all answers alike. The error is over prompts and takes the
    deviations as known.
    """
    proxy_gains, test_gains = (
        _paired(policy.proxy, reference.proxy),
        _paired(policy.test, reference.test),
    )
    if proxy_gains is None or test_gains is None or len(proxy_scores) < 2:
        return {}
    proxy_scale, test_scale = stdev(proxy_scores), stdev(test_scores)
    if not proxy_scale or not test_scale:
        return {}
    pairs = zip(proxy_gains, test_gains, strict=True)
    return _with_error("gain_gap", [p / proxy_scale - t / test_scale for p, t in pairs])


def best_of_n_curve(
    proxy_scores: Sequence[float], test_scores: Sequence[float] | None, num_samples: int
) -> list[dict[str, Any]]:
    """What choosing by the proxy among n = 1, 2, 4, ... of the reference's answers would give.

    Scores prompt by prompt, num_samples each: means over prompts of unbiased estimates. The policy
    of the same KL is to be compared with it (Gao et al. 2022, arXiv 2210.10760).
    """
    starts = range(0, len(proxy_scores), num_samples)
    proxy = [proxy_scores[start : start + num_samples] for start in starts]
    test = None if test_scores is None else [test_scores[s : s + num_samples] for s in starts]

    def mean(values: Sequence[Sequence[float]] | None, n: int) -> float | None:
        if values is None:
            return None
        rows = zip(proxy, values, strict=True)
        return fmean(expected_value_of_best(scores, own, n) for scores, own in rows)

    sizes = [2**exponent for exponent in range(num_samples.bit_length())]
    return [
        {"n": n, "kl": best_of_n_kl(n), "proxy": mean(proxy, n), "test": mean(test, n)}
        for n in sizes
    ]


def _paired(own: list[float] | None, other: list[float] | None) -> list[float] | None:
    if own is None or other is None:
        return None
    return [mine - theirs for mine, theirs in zip(own, other, strict=True)]


def _mean_and_error(values: list[float] | None) -> tuple[float | None, float | None]:
    return (None, None) if values is None else mean_and_error(values)


def _with_error(name: str, values: list[float] | None) -> dict[str, float]:
    if values is None:
        return {}
    mean, error = mean_and_error(values)
    return {f"evaluate/{name}": mean, f"evaluate/{name}_error": error}
