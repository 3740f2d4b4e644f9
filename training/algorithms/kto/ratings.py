"""What KTO measures on ratings: log-probabilities, the batch's baseline, sums by class."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from training.algorithms.errors import DataTooSmall
from training.algorithms.formulas.preference_losses import kto_losses
from training.algorithms.kernel.completion_totals import all_totals
from training.algorithms.kto import KTOConfig
from training.algorithms.records import Rating

# n_D w_D / (n_U w_U) should lie here: Ethayarajh et al. 2024, eq. 8.
BALANCE_LOW, BALANCE_HIGH = 1.0, 4 / 3


def both_classes_require(ratings: Sequence[Rating]) -> None:
    """Raises DataTooSmall when nothing, or everything, was approved: there is no contrast."""
    num_desirable = sum(rating.desirable for rating in ratings)
    for what, have in [
        ("desirable training ratings", num_desirable),
        ("undesirable training ratings", len(ratings) - num_desirable),
    ]:
        if have == 0:
            raise DataTooSmall(what, 0, 1, "KTO learns from the contrast between the two.")


def balance_check(ratings: Sequence[Rating], config: KTOConfig) -> tuple[float, str | None]:
    """n_D w_D / (n_U w_U), and what to set when it is outside 1 to 4/3; None inside."""
    num_desirable = sum(rating.desirable for rating in ratings)
    num_undesirable = len(ratings) - num_desirable
    undesirable_mass = num_undesirable * config.undesirable_weight
    balance = num_desirable * config.desirable_weight / undesirable_mass
    if BALANCE_LOW <= balance <= BALANCE_HIGH:
        return balance, None
    low, high = (bound * undesirable_mass / num_desirable for bound in (BALANCE_LOW, BALANCE_HIGH))
    return balance, (
        f"{num_desirable} desirable and {num_undesirable} undesirable ratings, weighted, are as "
        f"{balance:.2f} to 1; the paper recommends 1 to 4/3: desirable_weight from {low:.3g} to "
        f"{high:.3g}."
    )


class Measure:
    """Summed log-probabilities of ratings and of their mismatched pairs."""

    def __init__(self, micro_batch_tokens: int, pad_id: int, max_tokens: int) -> None:
        self.micro_batch_tokens, self.pad_id = micro_batch_tokens, pad_id
        self._max_tokens = max_tokens

    def matched(
        self, call: Callable[..., Any], ratings: Sequence[Rating], everywhere: bool
    ) -> Tensor:
        """[N] of each prompt with its completion."""
        return self._totals(call, [(r.prompt_ids, r.completion_ids) for r in ratings], everywhere)

    def mismatched(
        self, call: Callable[..., Any], batch: Sequence[Rating], everywhere: bool
    ) -> Tensor:
        """[M] of each prompt with its left neighbour's completion; see mismatched_pairs."""
        return self._totals(call, mismatched_pairs(batch, self._max_tokens), everywhere)

    def _totals(
        self,
        call: Callable[..., Any],
        pairs: Sequence[tuple[list[int], list[int]]],
        everywhere: bool,
    ) -> Tensor:
        if not pairs:
            return torch.zeros(0)
        prompts, completions = [prompt for prompt, _ in pairs], [[ids] for _, ids in pairs]
        limit = self.micro_batch_tokens
        return torch.cat(all_totals(call, prompts, completions, limit, self.pad_id, everywhere))


def mismatched_pairs(batch: Sequence[Rating], max_tokens: int) -> list[tuple[list[int], list[int]]]:
    """(prompt, completion) where the completion answers the rating before, cyclically.

    A neighbour with the same prompt is left out: its completion is no mismatch. A completion is
    cut where it would pass max_tokens together with a prompt not its own.
    """
    return [
        (rating.prompt_ids, before.completion_ids[: max_tokens - len(rating.prompt_ids)])
        for rating, before in zip(batch, [*batch[-1:], *batch[:-1]], strict=True)
        if rating.prompt_ids != before.prompt_ids
    ]


def rating_sums(
    ratings: Sequence[Rating],
    totals: Tensor,
    reference: Tensor,
    baseline: float,
    config: KTOConfig,
) -> dict[str, Tensor]:
    """Sums over ratings: the losses; and implicit rewards and log-probabilities by class.

    totals, reference [N]: log-probabilities of policy and reference, nats.
    """
    device = totals.device
    desirable = torch.tensor([rating.desirable for rating in ratings], device=device)
    log_ratios = totals - reference.to(device)
    loss = kto_losses(
        log_ratios,
        desirable,
        baseline,
        config.beta,
        config.desirable_weight,
        config.undesirable_weight,
    ).sum()
    with torch.no_grad():
        return {
            "loss": loss,
            "reward_desirable": config.beta * log_ratios[desirable].sum(),
            "reward_undesirable": config.beta * log_ratios[~desirable].sum(),
            "logprob_desirable": totals[desirable].sum(),
            "logprob_undesirable": totals[~desirable].sum(),
        }


def class_means(sums: Mapping[str, float], batch: Sequence[Rating]) -> dict[str, float]:
    """The sums by class over the class's number of ratings; a class not in the batch is left out.

    "loss" is a mean already; "margin" is the difference of the classes' mean rewards.
    """
    counts = {"desirable": sum(rating.desirable for rating in batch)}
    counts["undesirable"] = len(batch) - counts["desirable"]
    means = {"loss": sums["loss"]}
    for kind, count in counts.items():
        if count:
            means[f"reward_{kind}"] = sums[f"reward_{kind}"] / count
            means[f"logprob_{kind}"] = sums[f"logprob_{kind}"] / count
    if all(counts.values()):
        means["margin"] = means["reward_desirable"] - means["reward_undesirable"]
    return means
