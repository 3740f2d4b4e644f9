"""Sampling completions in this process, with a key-value cache.

Plain sampling at a temperature: no top-k, no top-p, no minimum length, since any truncation makes
the recorded log-probability wrong and the KL negative.

Reproducibility: every completion has its own seed, from which all its random numbers come. Which
rows share a batch changes only the rounding of the model's logits (about 1e-6), so a completion
is the same in any batch unless a draw falls that close to a boundary between two tokens; the same
call on the same machine with the same threads gives the same tokens always.

Speed: a prompt that is asked several times is read once and its cache repeated; rows that finish
leave the batch; the cache is not copied at each token (kv_cache); a token is found among block sums
first. training/benchmarks/sampling.py measures it against transformers' own `generate`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from training.algorithms.kv_cache import cache_make
from training.algorithms.logprobs import head_logits
from training.algorithms.records import Completion

# Finished rows are dropped once they are this share of the batch; copying the cache costs more
# than carrying a few.
COMPACT_SHARE = 0.25
# Tokens whose probability is first summed as one; near the square root of a vocabulary.
BLOCK_TOKENS = 256


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
    # Equal prompts stand next to each other, so that a batch reads them once.
    order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), prompts[row], row))
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

    logits fp32, already divided by the temperature; uniforms float64 in [0, 1). The distribution
    function is looked up in two steps, the block of BLOCK_TOKENS tokens and the token within it,
    so that only B * V / BLOCK_TOKENS + B * BLOCK_TOKENS sums need float64: each probability is as
    exact as fp32, and large vocabularies do not lose their tail. A token of probability 0 is never
    drawn.
    """
    num_rows, vocab_size = logits.shape
    num_blocks = -(-vocab_size // BLOCK_TOKENS)
    weights = logits.new_zeros(num_rows, num_blocks * BLOCK_TOKENS)
    weights[:, :vocab_size] = logits - logits.amax(-1, keepdim=True)
    weights[:, :vocab_size].exp_()
    blocks = weights.view(num_rows, num_blocks, BLOCK_TOKENS)
    block, rest = _invert(blocks.sum(-1), uniforms)
    token, _ = _invert(blocks[torch.arange(num_rows, device=logits.device), block], rest)
    return block * BLOCK_TOKENS + token


def _invert(weights: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """The index [B] drawn in proportion to weights [B, N], and what is left of the uniform [B].

    What is left, rescaled to [0, 1), is uniform again and independent of the index.
    """
    cumulative = weights.double().cumsum(-1)
    thresholds = uniforms[:, None] * cumulative[:, -1:]
    index = torch.searchsorted(cumulative, thresholds, right=True)
    weight = weights.gather(-1, index).double()
    rest = (thresholds - cumulative.gather(-1, index) + weight) / weight
    # Rounding may leave [0, 1) by an ulp; the bound is below 1 after any later product, too.
    return index.squeeze(-1), rest.squeeze(-1).clamp(0, 1 - 2**-52)


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
    unique, copies = _distinct(prompts)
    ids, mask = (tensor.to(device) for tensor in left_pad(unique, pad_id))
    uniforms = _uniforms(seeds, max_new_tokens).to(device)
    is_padded = not bool(mask.all())
    width = mask.shape[1]
    # The mask of every step is a slice: prompt tokens, then as many True as tokens may come.
    mask = torch.cat([mask, mask.new_ones(len(unique), max_new_tokens)], dim=1)
    positions = (mask[:, :width].long().cumsum(-1) - 1).clamp(min=0)
    cache = cache_make(model.config)
    rows = torch.arange(len(prompts), device=device)  # original index of every live row
    is_done = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    drawn: list[tuple[Tensor, Tensor]] = []  # (rows, tokens) of each step
    for step in range(max_new_tokens):
        output = model.base_model(
            input_ids=ids,
            attention_mask=mask[:, : width + step].long() if is_padded else None,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        logits = head_logits(model, output.last_hidden_state[:, -1]) / temperature
        positions = positions[:, -1:] + 1
        if step == 0 and len(unique) < len(prompts):
            kept = torch.tensor(copies, device=device)
            cache.batch_select_indices(kept)
            logits, mask, positions = logits[kept], mask[kept], positions[kept]
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
    return _collect(drawn, len(prompts), eos_id)


def _distinct(prompts: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[int]]:
    """The different prompts in order of appearance, and for each prompt its place among them."""
    places: dict[tuple[int, ...], int] = {}
    copies = [places.setdefault(tuple(prompt), len(places)) for prompt in prompts]
    return [list(prompt) for prompt in places], copies


def _collect(drawn: list[tuple[Tensor, Tensor]], num_rows: int, eos_id: int) -> list[list[int]]:
    """Tokens of every row up to and including its first EOS."""
    token_lists: list[list[int]] = [[] for _ in range(num_rows)]
    for rows, tokens in drawn:
        for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
            if not token_lists[row] or token_lists[row][-1] != eos_id:
                token_lists[row].append(token)
    return token_lists
