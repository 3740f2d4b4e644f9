"""What one policy answers to the held-out prompts, and how it differs from the reference."""

from collections.abc import Sequence
from typing import Any, TypedDict

import torch
from torch import Tensor

from training.algorithms.engine.processes import processes
from training.algorithms.evaluate import EvaluateConfig
from training.algorithms.formulas.kl import sequence_kl
from training.algorithms.kernel.collate import groups_by_length, sequences_collate
from training.algorithms.kernel.logprobs import completion_logprobs, completion_loss
from training.algorithms.measuring.scoring import MICRO_BATCH_TOKENS, tokenwise
from training.algorithms.records import Prompt, Sequences
from training.algorithms.run_dir import RunDir
from training.algorithms.sampling.generation import generate
from training.algorithms.seeds import seed_mix


class Answers(TypedDict):
    """Prompt by prompt, the same number for each; plain values, so that they can be saved."""

    per_prompt: int
    token_ids: list[list[int]]
    finished: list[bool]
    seeds: list[int]


def answers_sample(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    per_prompt: int,
    config: EvaluateConfig,
    run_dir: RunDir,
) -> Answers:
    """A seed names run, prompt and slot, not the role: what differs is due to the policies.

    The first answers of a larger per_prompt are those of a smaller one.
    """
    slots = [(prompt, slot) for prompt in prompts for slot in range(per_prompt)]
    completions = generate(
        model,
        [prompt.token_ids for prompt, _ in slots],
        [seed_mix(run_dir.seed, "evaluate", prompt.prompt_id, slot) for prompt, slot in slots],
        eos_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
        temperature=config.temperature,
        max_new_tokens=config.max_new_tokens,
        batch_rows=config.batch_rows,
        on_batch=run_dir.leave_if_asked,  # a policy's answers start over
    )
    return Answers(
        per_prompt=per_prompt,
        token_ids=[completion.token_ids for completion in completions],
        finished=[completion.finished for completion in completions],
        seeds=[completion.seed for completion in completions],
    )


def first_rows(num_rows: int, per_prompt: int, count: int) -> list[int]:
    """The rows of the first `count` of every prompt's per_prompt answers."""
    return [row for row in range(num_rows) if row % per_prompt < count]


def answers_first(answers: Answers, count: int) -> Answers:
    """The first `count` of every prompt's answers."""
    rows = first_rows(len(answers["seeds"]), answers["per_prompt"], count)
    return Answers(
        per_prompt=count,
        token_ids=[answers["token_ids"][row] for row in rows],
        finished=[answers["finished"][row] for row in rows],
        seeds=[answers["seeds"][row] for row in rows],
    )


def prompts_repeated(prompts: Sequence[Prompt], per_prompt: int) -> list[list[int]]:
    """The prompt of every answer."""
    return [prompt.token_ids for prompt in prompts for _ in range(per_prompt)]


@torch.no_grad()
def answers_logprobs(
    model: Any, prompts: Sequence[Prompt], answers: Answers, temperature: float, pad_id: int
) -> Tensor:
    """[B, T] nats, zeros where padded."""

    def measure(sequences: Sequences) -> tuple[Tensor, ...]:
        return (completion_logprobs(model, sequences, temperature),)

    repeated = prompts_repeated(prompts, answers["per_prompt"])
    return tokenwise(measure, repeated, answers["token_ids"], pad_id)[0]


def answers_kl(logprobs: Tensor, reference_logprobs: Tensor) -> list[float]:
    """k1 of each of a policy's answers, nats, of their log-probabilities [B, T] by both models."""
    # Zeros outside the completions cancel, so every position may count.
    mask = torch.ones_like(logprobs, dtype=torch.bool)
    return sequence_kl(logprobs, reference_logprobs, mask).tolist()


def texts_within(texts: Sequence[list[int]], max_tokens: int) -> list[list[int]]:
    """The first texts that hold at most max_tokens predicted tokens together, at least one.

    A text of a single token predicts nothing.
    """
    texts = [text for text in texts if len(text) > 1]
    chosen: list[list[int]] = []
    total = 0
    for text in texts:
        total += len(text) - 1
        if chosen and total > max_tokens:
            break
        chosen.append(text)
    return chosen


@torch.no_grad()
def retention_loss(model: Any, texts: Sequence[list[int]], pad_id: int) -> float | None:
    """Mean -log p of every token but a text's first, nats; None without texts."""
    if not texts:
        return None
    num_tokens = sum(len(text) - 1 for text in texts)
    total = 0.0
    for rows in groups_by_length([len(text) for text in texts], MICRO_BATCH_TOKENS):
        sequences = sequences_collate(
            [texts[row][:1] for row in rows],
            [texts[row][1:] for row in rows],
            pad_id,
            processes().device,
        )
        total += float(completion_loss(model, sequences, num_tokens))
    return total
