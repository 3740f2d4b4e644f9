"""Sampling completions with a key-value cache.

Plain sampling at a temperature: no top-k, no top-p, no minimum length, since any truncation makes
the recorded log-probability wrong and the KL negative.

Reproducibility: every completion has its own seed, from which all its random numbers come. Which
rows share a batch changes only the rounding of the model's logits (about 1e-6), so a completion
is the same in any batch unless a draw falls that close to a boundary between two tokens; the same
call on the same machine with the same threads gives the same tokens always.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from training.algorithms.logprobs import head_logits
from training.algorithms.records import Completion

# Finished rows are dropped once they are this share of the batch; copying the cache costs more
# than carrying a few.
COMPACT_SHARE = 0.25


def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    *,
    eos_id: int,
    pad_id: int,
    temperature: float,
    max_new_tokens: int,
    batch_rows: int,
    on_batch: Callable[[int], None] | None = None,
) -> list[Completion]:
    """One completion per prompt, in the order of the prompts.

    Prompts of similar length are sampled together, batch_rows at a time, left-padded.
    `on_batch(num_done)` is called after each batch.
    """
    order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), row))
    completions: dict[int, Completion] = {}
    for start in range(0, len(order), batch_rows):
        rows = order[start : start + batch_rows]
        token_lists = _generate_batch(
            model,
            [prompts[row] for row in rows],
            [seeds[row] for row in rows],
            eos_id,
            pad_id,
            temperature,
            max_new_tokens,
        )
        for row, token_ids in zip(rows, token_lists, strict=True):
            completions[row] = Completion(token_ids, token_ids[-1] == eos_id, seeds[row])
        if on_batch is not None:
            on_batch(len(completions))
    return [completions[row] for row in range(len(prompts))]


def left_pad(prompts: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Prompts as ids [B, P] padded on the left, and a bool mask [B, P], True at real tokens."""
    width = max(map(len, prompts))
    ids = torch.tensor([[pad_id] * (width - len(row)) + list(row) for row in prompts])
    lengths = torch.tensor([len(row) for row in prompts])
    return ids, torch.arange(width)[None, :] >= width - lengths[:, None]


def sample_tokens(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Draws one token a row by inverting the distribution function: [B, V], [B] -> [B].

    logits fp32, already divided by the temperature; uniforms float64 in [0, 1). Sums run in
    float64, so that large vocabularies do not lose their tail.
    """
    cumulative = torch.softmax(logits.double(), dim=-1).cumsum(-1)
    # Scaled by the last sum, which rounding leaves slightly off 1.
    thresholds = uniforms[:, None] * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, thresholds, right=True).squeeze(-1)
    return tokens.clamp(max=logits.shape[-1] - 1)


def _uniforms(seeds: Sequence[int], num_draws: int) -> Tensor:
    """[B, num_draws] float64 in [0, 1), row b from its own generator."""
    generator = torch.Generator()
    return torch.stack(
        [
            torch.rand(num_draws, generator=generator.manual_seed(seed), dtype=torch.float64)
            for seed in seeds
        ]
    )


@torch.no_grad()
def _generate_batch(
    model: Any,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    eos_id: int,
    pad_id: int,
    temperature: float,
    max_new_tokens: int,
) -> list[list[int]]:
    device = model.get_input_embeddings().weight.device
    ids, mask = (tensor.to(device) for tensor in left_pad(prompts, pad_id))
    uniforms = _uniforms(seeds, max_new_tokens).to(device)
    is_padded = not bool(mask.all())
    positions = (mask.long().cumsum(-1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config)
    rows = torch.arange(len(prompts), device=device)  # original index of every live row
    is_done = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    drawn: list[tuple[Tensor, Tensor]] = []  # (rows, tokens) of each step
    for step in range(max_new_tokens):
        output = model.base_model(
            input_ids=ids,
            attention_mask=mask.long() if is_padded else None,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        logits = head_logits(model, output.last_hidden_state[:, -1]) / temperature
        tokens = sample_tokens(logits, uniforms[rows, step])
        drawn.append((rows, tokens))
        is_done = is_done | (tokens == eos_id)
        num_done = int(is_done.sum())
        if num_done == len(rows):
            break
        if num_done >= COMPACT_SHARE * len(rows):
            kept = (~is_done).nonzero().squeeze(-1)
            cache.batch_select_indices(kept)
            rows, mask, tokens = rows[kept], mask[kept], tokens[kept]
            positions, is_done = positions[kept], is_done[kept]
        ids = tokens[:, None]
        positions = positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
    return _collect(drawn, len(prompts), eos_id)


def _collect(drawn: list[tuple[Tensor, Tensor]], num_rows: int, eos_id: int) -> list[list[int]]:
    """Tokens of every row up to and including its first EOS."""
    token_lists: list[list[int]] = [[] for _ in range(num_rows)]
    for rows, tokens in drawn:
        for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
            if not token_lists[row] or token_lists[row][-1] != eos_id:
                token_lists[row].append(token)
    return token_lists
