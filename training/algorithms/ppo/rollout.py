"""Sampling a batch of completions and measuring all that the update reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.algorithms.generation import generate
from training.algorithms.logprobs import completion_logprobs, completion_statistics
from training.algorithms.masking import lengths_to_mask
from training.algorithms.ppo import PPOConfig
from training.algorithms.records import Completion, Rollout, Sequences
from training.algorithms.scalar_model import token_values
from training.algorithms.scoring import closed_completions, scores, tokenwise
from training.algorithms.seeds import permutation, seed_mix


@dataclass(frozen=True, slots=True)
class Models:
    """The four models of PPO and the two ids they share."""

    policy: Any
    value: Any
    reference: Any
    reward: Any
    eos_id: int
    pad_id: int


def step_prompts(prompts: Sequence[list[int]], seed: int, step: int, size: int) -> list[list[int]]:
    """The prompts of one PPO step: passes over all prompts in an order that changes each pass."""
    chosen = []
    orders: dict[int, list[int]] = {}
    for index in range(step * size, (step + 1) * size):
        sweep, position = divmod(index, len(prompts))
        if sweep not in orders:
            orders[sweep] = permutation(len(prompts), seed, "ppo_prompts", sweep)
        chosen.append(prompts[orders[sweep][position]])
    return chosen


def rollout_collect(
    models: Models, prompts: Sequence[list[int]], config: PPOConfig, seed: int, step: int
) -> Rollout:
    """Samples one completion per prompt and scores it. Everything on the CPU, detached."""
    completions = generate(
        models.policy,
        prompts,
        [seed_mix(seed, "rollout", step, row) for row in range(len(prompts))],
        eos_id=models.eos_id,
        pad_id=models.pad_id,
        temperature=config.temperature,
        max_new_tokens=config.max_new_tokens,
        batch_rows=max(1, config.micro_batch_tokens // config.max_new_tokens),
    )
    return rollout_measure(models, prompts, completions, config)


@torch.no_grad()
def rollout_measure(
    models: Models,
    prompts: Sequence[list[int]],
    completions: Sequence[Completion],
    config: PPOConfig,
) -> Rollout:
    """Log-probabilities, values and scores of given completions."""
    token_lists = [completion.token_ids for completion in completions]

    def policy_statistics(sequences: Sequences) -> tuple[Tensor, ...]:
        statistics = completion_statistics(models.policy, sequences, config.temperature)
        return statistics.logprobs, statistics.entropies

    def the_rest(sequences: Sequences) -> tuple[Tensor, ...]:
        reference = completion_logprobs(models.reference, sequences, config.temperature)
        return reference, token_values(models.value, sequences)

    size = config.micro_batch_tokens
    logprobs, entropies = tokenwise(policy_statistics, prompts, token_lists, models.pad_id, size)
    reference_logprobs, values = tokenwise(the_rest, prompts, token_lists, models.pad_id, size)
    lengths = torch.tensor([len(ids) for ids in token_lists])
    return Rollout(
        prompts=list(prompts),
        completions=token_lists,
        lengths=lengths,
        mask=lengths_to_mask(lengths, logprobs.shape[1]),
        logprobs=logprobs,
        reference_logprobs=reference_logprobs,
        entropies=entropies,
        values=values,
        scores=scores(
            models.reward, prompts, closed_completions(token_lists, models.eos_id), models.pad_id
        ),
        finished=torch.tensor([completion.finished for completion in completions]),
    )


def missing_eos_apply(scores: Tensor, finished: Tensor, config: PPOConfig) -> Tensor:
    """The scores [B] with the penalty for completions that are not finished [B]."""
    if config.missing_eos == "replace":
        penalized = torch.full_like(scores, -config.missing_eos_penalty)
    else:
        penalized = scores - config.missing_eos_penalty
    return torch.where(finished, scores, penalized)
