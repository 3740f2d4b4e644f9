"""Where scores are 0. A ranking only fixes differences, so a convention must fix the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.algorithms.engine.learner import Frozen
from training.algorithms.engine.processes import processes
from training.algorithms.measuring.scoring import closed_completions
from training.algorithms.models.checkpoint_io import context_length, policy_load
from training.algorithms.records import Demonstration, RankedCompletions
from training.algorithms.reward_model import RewardModelConfig
from training.algorithms.run_dir import RunDir
from training.algorithms.sampling.generation import generate
from training.algorithms.seeds import seed_mix

BATCH_ROWS = 64


@dataclass(frozen=True, slots=True)
class Anchors:
    """The completions whose scores fix the gauge."""

    name: str
    prompts: list[list[int]]
    completions: list[list[int]]


def anchors_make(
    run_dir: RunDir,
    config: RewardModelConfig,
    tokenizer: Any,
    demonstrations: Sequence[Demonstration],
    train: Sequence[RankedCompletions],
) -> Anchors:
    """Chosen before training. Training completions stand in for missing demonstrations."""
    if config.gauge == "reference":
        return _reference_samples(run_dir, config, tokenizer, train)
    if config.gauge == "none":
        return Anchors("none", [], [])
    if demonstrations:
        prompts = [record.prompt_ids for record in demonstrations]
        return Anchors("demonstrations", prompts, [d.completion_ids for d in demonstrations])
    prompts = [ranking.prompt_ids for ranking in train for _ in ranking.completions]
    completions = [completion for ranking in train for completion in ranking.completions]
    return Anchors("training_completions", prompts, completions)


def gauge_of(logits: Tensor, unit_variance: bool) -> tuple[float, float]:
    """(bias, scale) by which (logit - bias) * scale has mean 0, and variance 1 if asked.

    Mean 0 over demonstrations: Stiennon et al. 2020 (arXiv 2009.01325) 3.4. Mean 0 and variance 1
    over samples of the reference policy: Ziegler et al. 2019 (arXiv 1909.08593) 2.1.
    """
    if not len(logits):
        return 0.0, 1.0
    exact = logits.double()
    spread = float(exact.std(correction=0)) if unit_variance else 1.0
    return float(exact.mean()), 1.0 / spread if spread > 0 else 1.0


def _reference_samples(
    run_dir: RunDir, config: RewardModelConfig, tokenizer: Any, train: Sequence[RankedCompletions]
) -> Anchors:
    """gauge_samples completions of the starting policy, the training prompts taken in turn."""
    policy = policy_load(run_dir.input_path("init"), tokenizer)
    distinct = list({tuple(ranking.prompt_ids): ranking.prompt_ids for ranking in train}.values())
    prompts = [distinct[index % len(distinct)] for index in range(config.gauge_samples)]
    room = context_length(policy)
    max_new_tokens = config.gauge_max_new_tokens
    if room is not None:  # a ranking that fits the context leaves room behind its prompt
        max_new_tokens = min(max_new_tokens, room - 1 - max(map(len, distinct)))
    mine = processes().share(range(len(prompts)))

    def sample(model: Any) -> list[list[int]]:
        seeds = [seed_mix(run_dir.seed, "reward_model", "gauge", index) for index in mine]
        completions = generate(
            model,
            [prompts[index] for index in mine],
            seeds,
            eos_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
            temperature=1.0,
            max_new_tokens=max_new_tokens,
            batch_rows=BATCH_ROWS,
        )
        return [completion.token_ids for completion in completions]

    with torch.no_grad():
        sampled = processes().gather(Frozen(policy, run_dir.hardware)(sample) if mine else [])
    return Anchors("reference", prompts, closed_completions(sampled, tokenizer.eos_token_id))
