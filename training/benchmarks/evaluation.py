"""Held-out numbers, by the same plain transformers code for both sides' models."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from training.benchmarks.workload import Record, completion_ids, prompt_ids

BATCH_ROWS = 32


def right_padded(
    rows: Sequence[list[int]], pad_id: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Ids [B, L] and mask [B, L], 1 at real tokens."""
    width = max(map(len, rows))
    ids = torch.tensor([row + [pad_id] * (width - len(row)) for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=device)
    return ids, mask


def _batches(rows: Sequence[list[int]]) -> list[list[list[int]]]:
    return [list(rows[start : start + BATCH_ROWS]) for start in range(0, len(rows), BATCH_ROWS)]


@torch.no_grad()
def reward_scores(model: Any, rows: Sequence[list[int]], pad_id: int) -> list[float]:
    """The head's output at the last token of each row."""
    scores: list[float] = []
    for batch in _batches(rows):
        ids, mask = right_padded(batch, pad_id, model.device)
        scores += model(input_ids=ids, attention_mask=mask).logits[:, 0].float().tolist()
    return scores


def pair_accuracy(model: Any, tokenizer: Any, records: Sequence[Record]) -> float:
    """Share of the rankings' pairs that the scores order alike; equal scores count one half."""
    correct, num_pairs = 0.0, 0
    for record in records:
        prompt = prompt_ids(tokenizer, record)
        rows = [prompt + completion_ids(tokenizer, text) for text in record["completions"]]
        scores = reward_scores(model, rows, tokenizer.pad_token_id)
        gained, pairs = ordered_alike(scores, record["ranks"])
        correct, num_pairs = correct + gained, num_pairs + pairs
    return correct / num_pairs


def ordered_alike(scores: Sequence[float], ranks: Sequence[int]) -> tuple[float, int]:
    """(pairs ordered alike, pairs); pairs tied in the ranking are left out."""
    correct, num_pairs = 0.0, 0
    for i in range(len(ranks)):
        for j in range(len(ranks)):
            if ranks[i] < ranks[j]:
                num_pairs += 1
                correct += 1.0 if scores[i] > scores[j] else 0.5 * (scores[i] == scores[j])
    return correct, num_pairs


@torch.no_grad()
def completion_logprobs(
    model: Any, prompts: Sequence[list[int]], completions: Sequence[list[int]], pad_id: int
) -> list[float]:
    """Log-probability of each completion given its prompt, summed over tokens, nats."""
    sums: list[float] = []
    pairs = list(zip(prompts, completions, strict=True))
    for start in range(0, len(pairs), BATCH_ROWS):
        batch = pairs[start : start + BATCH_ROWS]
        ids, mask = right_padded([p + c for p, c in batch], pad_id, model.device)
        logits = model(input_ids=ids, attention_mask=mask).logits.float()
        logprobs = torch.log_softmax(logits[:, :-1], dim=-1)
        chosen = logprobs.gather(-1, ids[:, 1:, None]).squeeze(-1)
        for row, (prompt, completion) in enumerate(batch):
            first = len(prompt) - 1
            sums.append(float(chosen[row, first : first + len(completion)].sum()))
    return sums


def demonstration_loss(model: Any, tokenizer: Any, records: Sequence[Record]) -> float:
    """Cross-entropy per completion token, nats."""
    prompts = [prompt_ids(tokenizer, record) for record in records]
    completions = [completion_ids(tokenizer, record["completion"]) for record in records]
    sums = completion_logprobs(model, prompts, completions, tokenizer.pad_token_id)
    return -sum(sums) / sum(map(len, completions))


def implicit_accuracy(
    policy: Any, reference: Any, tokenizer: Any, records: Sequence[Record]
) -> float:
    """Share of pairs where the better completion gained more log-probability over the reference."""
    correct, num_pairs = 0.0, 0
    for record in records:
        completions = [completion_ids(tokenizer, text) for text in record["completions"]]
        prompts = [prompt_ids(tokenizer, record)] * len(completions)
        pad_id = tokenizer.pad_token_id
        ours = completion_logprobs(policy, prompts, completions, pad_id)
        base = completion_logprobs(reference, prompts, completions, pad_id)
        gains = [a - b for a, b in zip(ours, base, strict=True)]
        gained, pairs = ordered_alike(gains, record["ranks"])
        correct, num_pairs = correct + gained, num_pairs + pairs
    return correct / num_pairs


@torch.no_grad()
def policy_report(
    policy: Any,
    reference: Any,
    reward_model: Any,
    tokenizer: Any,
    records: Sequence[Record],
    max_new_tokens: int,
) -> dict[str, float]:
    """Of fresh samples: mean score, KL to the reference (k1, summed over tokens, nats), length."""
    torch.manual_seed(0)
    prompts, completions = [], []
    rows = [prompt_ids(tokenizer, record) for record in records]
    for batch in _batches(rows):
        sampled = sample_static(policy, tokenizer, batch, max_new_tokens)
        prompts += batch
        completions += sampled
    pad_id, eos_id = tokenizer.pad_token_id, tokenizer.eos_token_id
    own = completion_logprobs(policy, prompts, completions, pad_id)
    base = completion_logprobs(reference, prompts, completions, pad_id)
    closed = [row if row[-1] == eos_id else [*row, eos_id] for row in completions]
    full = [prompt + row for prompt, row in zip(prompts, closed, strict=True)]
    scores = reward_scores(reward_model, full, pad_id)
    bias = float(getattr(reward_model.config, "reward_bias", 0.0))
    return {
        "score": math.fsum(scores) / len(scores) - bias,
        "kl_to_reference": sum(a - b for a, b in zip(own, base, strict=True)) / len(own),
        "length_tokens": sum(map(len, completions)) / len(completions),
    }


@torch.no_grad()
def sample_static(
    model: Any, tokenizer: Any, prompts: Sequence[list[int]], max_new_tokens: int
) -> list[list[int]]:
    """transformers' generate on one left-padded batch; completions up to and including EOS."""
    width = max(map(len, prompts))
    pad_id, eos_id = tokenizer.pad_token_id, tokenizer.eos_token_id
    ids = torch.tensor([[pad_id] * (width - len(row)) + row for row in prompts])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in prompts])
    output = model.generate(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=max_new_tokens,
        eos_token_id=eos_id,
        pad_token_id=pad_id,
    )
    completions = output[:, width:].tolist()
    return [
        row[: row.index(eos_id) + 1] if eos_id in row else row[:max_new_tokens]
        for row in completions
    ]
