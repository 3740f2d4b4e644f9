"""log pi of whole completions: sums over their tokens, for methods that compare completions."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from training.algorithms.engine.processes import processes
from training.algorithms.kernel.collate import TokenLists
from training.algorithms.kernel.logprobs import completion_logprobs
from training.algorithms.kernel.prompt_sharing import (
    can_share_prompts,
    groups_collate,
    prompt_groups,
)


def completion_totals(
    model: Any, prompts: TokenLists, completions: Sequence[TokenLists], pad_id: int
) -> Tensor:
    """Summed log-probabilities [B] in nats at temperature 1, differentiable.

    completions[g] belong to prompts[g]; B counts completions, those of a prompt next to each other.
    """
    sequences = groups_collate(model, prompts, completions, pad_id, processes().device)
    return completion_logprobs(model, sequences, 1.0).sum(-1)


def token_batches(
    call: Callable[..., Any],
    prompts: TokenLists,
    completions: Sequence[TokenLists],
    max_tokens: int,
) -> list[list[int]]:
    """Indices of prompts in micro-batches; call: a Learner or Frozen, asked what it can share."""
    return prompt_groups(
        [len(prompt) for prompt in prompts],
        [[*map(len, group)] for group in completions],
        max_tokens,
        call(can_share_prompts),
    )


def all_totals(
    call: Callable[..., Any],
    prompts: TokenLists,
    completions: Sequence[TokenLists],
    max_tokens: int,
    pad_id: int,
    everywhere: bool = False,
) -> list[Tensor]:
    """completion_totals [K_g] of every prompt, on the CPU, without gradient.

    call: `learner.read` or a Frozen. The processes share the work, unless `everywhere` (a sharded
    model); all get all results.
    """
    batches = token_batches(call, prompts, completions, max_tokens)
    totals = []
    for batch in batches if everywhere else processes().share(batches):
        groups = [completions[index] for index in batch]
        flat = call(completion_totals, [prompts[index] for index in batch], groups, pad_id)
        totals.append(flat.float().cpu().split([len(group) for group in groups]))
    parts = totals if everywhere else processes().gather(totals)
    of_prompt = {
        index: part
        for batch, batch_parts in zip(batches, parts, strict=True)
        for index, part in zip(batch, batch_parts, strict=True)
    }
    return [of_prompt[index] for index in range(len(prompts))]
