"""Sampling completions in this process, with a key-value cache.

Plain sampling at a temperature: no top-k, no top-p, no minimum length, since any truncation makes
the recorded log-probability wrong and the KL negative.

Reproducibility: every completion has its own seed, from which all its random numbers come. Which
rows share a batch changes only the rounding of the model's logits (about 1e-6), so a completion
is the same in any batch unless a draw falls that close to a boundary between two tokens; the same
call on the same machine with the same threads gives the same tokens always.

Speed: rows that finish make room for prompts that wait (slots); equal prompts that enter together
are read once and their cache repeated; the cache is not copied at each token (kv_cache); a token is
found among block sums first. training/benchmarks/sampling.py measures it against transformers' own
`generate`.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from training.algorithms.kernel.logprobs import head_logits
from training.algorithms.records import Completion
from training.algorithms.sampling.kv_cache import cache_make
from training.algorithms.sampling.slots import Slots

# Finished rows are replaced once they are this share of the batch: copying the cache and reading a
# few prompts costs more than carrying a few rows.
RENEW_SHARE = 0.25
# Tokens whose probability is first summed as one; near the square root of a vocabulary.
BLOCK_TOKENS = 256


@dataclass(frozen=True, slots=True)
class _Job:
    """What generate was asked for."""

    model: Any
    prompts: Sequence[Sequence[int]]
    seeds: Sequence[int]
    eos_id: int
    pad_id: int
    temperature: float
    max_new_tokens: int


@torch.no_grad()
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

    At most batch_rows are sampled together, prompts of similar length first, left-padded; the cache
    is never wider than the longest prompt and max_new_tokens. Models with layers that do not see
    the whole text (sliding windows, recurrent states) finish a batch before the next begins.
    `on_batch(num_done)` is called whenever finished rows leave.
    """
    job = _Job(model, prompts, seeds, eos_id, pad_id, temperature, max_new_tokens)
    # Equal prompts stand next to each other, so that they are read together.
    order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), prompts[row], row))
    waiting = deque(order)
    # At this width the oldest row is done: its last token never enters the cache.
    widest = max(map(len, prompts), default=0) + max_new_tokens - 1
    drawn: list[tuple[Tensor, Tensor]] = []  # (rows, tokens) of each draw
    while waiting:
        slots = _enter(job, waiting, batch_rows, drawn)
        while (num_done := slots.num_done()) < (num_rows := len(slots.rows)):
            if num_done >= RENEW_SHARE * num_rows or slots.width == widest:
                num_free = batch_rows - num_rows + num_done
                newcomers = None
                if waiting and slots.can_mix:
                    newcomers = _enter(job, waiting, num_free, drawn)
                slots.renew(newcomers)
                if on_batch is not None:
                    on_batch(len(prompts) - len(waiting) - len(slots.rows))
            _step(job, slots, drawn)
        if on_batch is not None:
            on_batch(len(prompts) - len(waiting))
    token_lists = _collect(drawn, len(prompts), eos_id, max_new_tokens)
    return [
        Completion(token_ids, token_ids[-1] == eos_id, seed)
        for token_ids, seed in zip(token_lists, seeds, strict=True)
    ]


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


def _enter(
    job: _Job, waiting: deque[int], num_rows: int, drawn: list[tuple[Tensor, Tensor]]
) -> Slots:
    """Reads the next prompts, at most num_rows, and draws the first token of each."""
    rows = [waiting.popleft() for _ in range(min(num_rows, len(waiting)))]
    device = job.model.get_input_embeddings().weight.device
    unique, copies = _distinct([job.prompts[row] for row in rows])
    ids, mask = (tensor.to(device) for tensor in left_pad(unique, job.pad_id))
    is_padded = not bool(mask.all())
    cache = cache_make(job.model.config)
    output = job.model.base_model(
        input_ids=ids,
        attention_mask=mask.long() if is_padded else None,
        position_ids=(mask.long().cumsum(-1) - 1).clamp(min=0),
        past_key_values=cache,
        use_cache=True,
    )
    logits = head_logits(job.model, output.last_hidden_state[:, -1]) / job.temperature
    if len(unique) < len(rows):
        kept = torch.tensor(copies, device=device)
        cache.batch_select_indices(kept)
        logits, mask = logits[kept], mask[kept]
    slots = Slots(
        rows=torch.tensor(rows, device=device),
        prompt_lengths=mask.sum(-1),
        index=torch.full((len(rows),), -1, device=device),
        uniforms=_uniforms([job.seeds[row] for row in rows], job.max_new_tokens).to(device),
        tokens=torch.full((len(rows),), job.pad_id, device=device),
        is_done=torch.zeros(len(rows), dtype=torch.bool, device=device),
        mask=mask,
        is_padded=is_padded,
        cache=cache,
    )
    _draw(job, slots, logits, drawn)
    return slots


def _step(job: _Job, slots: Slots, drawn: list[tuple[Tensor, Tensor]]) -> None:
    """Reads the last token of every row and draws the next."""
    slots.mask = pad(slots.mask, (0, 1), value=True)
    output = job.model.base_model(
        input_ids=slots.tokens[:, None],
        attention_mask=slots.mask.long() if slots.is_padded else None,
        position_ids=(slots.prompt_lengths + slots.index)[:, None],
        past_key_values=slots.cache,
        use_cache=True,
    )
    logits = head_logits(job.model, output.last_hidden_state[:, -1]) / job.temperature
    _draw(job, slots, logits, drawn)


def _draw(job: _Job, slots: Slots, logits: Tensor, drawn: list[tuple[Tensor, Tensor]]) -> None:
    """Draws a token per row from logits [R, V], already divided by the temperature."""
    slots.index = slots.index + ~slots.is_done
    uniforms = slots.uniforms.gather(1, slots.index[:, None]).squeeze(1)
    slots.tokens = sample_tokens(logits, uniforms)
    drawn.append((slots.rows, slots.tokens))
    is_last = slots.index == job.max_new_tokens - 1
    slots.is_done = slots.is_done | (slots.tokens == job.eos_id) | is_last


def _distinct(prompts: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[int]]:
    """The different prompts in order of appearance, and for each prompt its place among them."""
    places: dict[tuple[int, ...], int] = {}
    copies = [places.setdefault(tuple(prompt), len(places)) for prompt in prompts]
    return [list(prompt) for prompt in places], copies


def _collect(
    drawn: list[tuple[Tensor, Tensor]], num_rows: int, eos_id: int, max_new_tokens: int
) -> list[list[int]]:
    """Tokens of every row up to and including its first EOS, at most max_new_tokens."""
    token_lists: list[list[int]] = [[] for _ in range(num_rows)]
    for rows, tokens in drawn:
        for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
            so_far = token_lists[row]
            if len(so_far) < max_new_tokens and (not so_far or so_far[-1] != eos_id):
                so_far.append(token)
    return token_lists
