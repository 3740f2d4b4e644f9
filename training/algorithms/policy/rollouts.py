"""Sampling a batch of completions, scoring them, and measuring what the update reads.

Shared by all methods that learn from their own samples. Every process ends with the whole rollout,
so what is computed from it (means, whitening, guards) is the same everywhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.algorithms.engine.learner import Learner
from training.algorithms.engine.processes import processes
from training.algorithms.errors import LossNotFinite
from training.algorithms.formulas.kl import k3, sequence_kl
from training.algorithms.formulas.masking import lengths_to_mask, masked_mean, masked_sum
from training.algorithms.kernel.collate import TokenLists
from training.algorithms.kernel.logprobs import completion_logprobs, completion_statistics
from training.algorithms.measuring.scoring import closed_completions
from training.algorithms.models.scalar_model import sequence_scores
from training.algorithms.policy.completion_batches import (
    Call,
    CompletionBatch,
    batches_make,
    batches_measure,
)
from training.algorithms.policy.policy_config import RolloutConfig
from training.algorithms.records import Completion, Rollout, Sequences
from training.algorithms.sampling.generation import generate
from training.algorithms.seeds import permutation, seed_mix


@dataclass(frozen=True, slots=True)
class Actors:
    """Who makes a rollout: the policy samples, the reference holds it back, the reward scores."""

    policy: Learner
    reference: Call
    reward: Call
    eos_id: int
    pad_id: int


def sweep_rows(num_rows: int, start: int, count: int, seed: int, name: str) -> list[int]:
    """Rows start .. start + count - 1 of endless passes over num_rows rows.

    The order changes each pass and depends on seed and name only.
    """
    rows = []
    orders: dict[int, list[int]] = {}
    for index in range(start, start + count):
        sweep, position = divmod(index, num_rows)
        if sweep not in orders:
            orders[sweep] = permutation(num_rows, seed, name, sweep)
        rows.append(orders[sweep][position])
    return rows


def step_prompts(
    prompts: Sequence[list[int]], seed: int, step: int, size: int, method: str
) -> list[list[int]]:
    """The `size` prompts of one step: passes over all prompts in an order that changes each."""
    rows = sweep_rows(len(prompts), step * size, size, seed, f"{method}_prompts")
    return [prompts[row] for row in rows]


def rollout_collect(
    actors: Actors,
    prompts: Sequence[list[int]],
    config: RolloutConfig,
    seed: int,
    step: int,
    pause: Callable[[], None] = lambda: None,
) -> Rollout:
    """Samples completions_per_prompt completions of each prompt, scores and measures them.

    `pause` is called often while sampling; it may raise RunStopped.

    Raises LossNotFinite for a score that is no number: one of them in a group would spoil the
    baseline of all, and a reward model that gives one cannot be trusted with the others.
    """
    repeated = [prompt for prompt in prompts for _ in range(config.completions_per_prompt)]
    seeds = [seed_mix(seed, "rollout", step, row) for row in range(len(repeated))]
    completions = completions_sample(actors, repeated, seeds, config, pause)
    rollout = rollout_measure(actors, repeated, completions, config)
    bad = (~torch.isfinite(rollout.scores)).nonzero().flatten().tolist()
    if bad:
        raise LossNotFinite(
            f"The reward model scores {len(bad)} of {len(repeated)} completions of step {step} as "
            f"{float(rollout.scores[bad[0]])}; expected finite numbers. Train it again.",
            metric="policy/score", step=step,
        )  # fmt: skip
    return rollout


def completions_sample(
    actors: Actors,
    prompts: TokenLists,
    seeds: Sequence[int],
    config: RolloutConfig,
    pause: Callable[[], None] = lambda: None,
) -> list[Completion]:
    """One completion per prompt and seed; the processes share the work unless the policy is
    sharded, when each must take part in everything."""

    def sample(model: Any, jobs: Sequence[tuple[Sequence[int], int]]) -> list[Completion]:
        return generate(
            model,
            [prompt for prompt, _ in jobs],
            [seed for _, seed in jobs],
            eos_id=actors.eos_id,
            pad_id=actors.pad_id,
            temperature=config.temperature,
            max_new_tokens=config.max_new_tokens,
            batch_rows=max(1, config.micro_batch_tokens // config.max_new_tokens),
            on_batch=lambda num_done: pause(),
        )

    jobs = list(zip(prompts, seeds, strict=True))
    if actors.policy.is_sharded:
        whole: list[Completion] = actors.policy.read(sample, jobs)
        return whole
    return processes().gather(actors.policy.read(sample, processes().share(jobs)))


def rollout_measure(
    actors: Actors,
    prompts: Sequence[list[int]],
    completions: Sequence[Completion],
    config: RolloutConfig,
) -> Rollout:
    """Log-probabilities, entropies and scores of given completions."""
    token_lists = [completion.token_ids for completion in completions]
    temperature = config.temperature

    def statistics(model: Any, sequences: Sequences) -> tuple[Tensor, ...]:
        measured = completion_statistics(model, sequences, temperature)
        return measured.logprobs, measured.entropies

    def reference(model: Any, sequences: Sequences) -> tuple[Tensor, ...]:
        return (completion_logprobs(model, sequences, temperature),)

    def score(model: Any, sequences: Sequences) -> tuple[Tensor, ...]:
        return (sequence_scores(model, sequences),)

    def batches(call: Call, texts: TokenLists) -> list[CompletionBatch]:
        return batches_make(
            call, prompts, texts, range(len(prompts)), config.completions_per_prompt,
            actors.pad_id, config.micro_batch_tokens,
        )  # fmt: skip

    everywhere = actors.policy.is_sharded
    policy = actors.policy.read
    of_policy = batches(policy, token_lists)
    logprobs, entropies = batches_measure(policy, statistics, of_policy, everywhere)
    of_reference = batches(actors.reference, token_lists)
    (reference_logprobs,) = batches_measure(actors.reference, reference, of_reference, everywhere)
    closed = batches(actors.reward, closed_completions(token_lists, actors.eos_id))
    (scores,) = batches_measure(actors.reward, score, closed, everywhere)
    lengths = torch.tensor([len(ids) for ids in token_lists])
    return Rollout(
        prompts=list(prompts),
        completions=token_lists,
        group_size=config.completions_per_prompt,
        lengths=lengths,
        mask=lengths_to_mask(lengths, logprobs.shape[1]),
        logprobs=logprobs,
        reference_logprobs=reference_logprobs,
        entropies=entropies,
        scores=scores,
        finished=torch.tensor([completion.finished for completion in completions]),
    )


def penalized_scores(rollout: Rollout, config: RolloutConfig) -> Tensor:
    """The scores [B], those of completions that were cut at max_new_tokens penalized."""
    scores = rollout.scores
    if config.missing_eos == "replace":
        penalized = torch.full_like(scores, -config.missing_eos_penalty)
    else:
        penalized = scores - config.missing_eos_penalty
    return torch.where(rollout.finished, scores, penalized)


def rollout_metrics(rollout: Rollout, objectives: Tensor) -> dict[str, float]:
    """What the rollout says about the policy that sampled it, before any update.

    objectives [B]: what the method maximizes, the penalized score minus the KL penalty.
    """
    mask = rollout.mask
    kl = sequence_kl(rollout.logprobs, rollout.reference_logprobs, mask)
    kl_k3 = masked_sum(k3(rollout.logprobs, rollout.reference_logprobs), mask, dim=1)
    return {
        "policy/kl_to_reference": float(kl.mean()),
        "policy/kl_to_reference_k3": float(kl_k3.mean()),
        "policy/score": float(rollout.scores.mean()),
        "policy/reward_mean": float(objectives.mean()),
        "policy/length_tokens": float(rollout.lengths.float().mean()),
        "policy/missing_eos_share": float((~rollout.finished).float().mean()),
        "policy/entropy": float(masked_mean(rollout.entropies, mask)),
    }
