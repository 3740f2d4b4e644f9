"""What is shown of the candidates: an ensemble scores them, a rule of `asking` chooses.

Candidates that say the same as an earlier one of their prompt are left out; a prompt with fewer
than two different ones cannot be ranked and is not asked.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.algorithms.asking.completions import (
    RULES,
    Shown,
    at_random,
    mean_variance,
    preference_variance,
)
from training.algorithms.asking.prompts import rows_choose
from training.algorithms.configs import ConfigError
from training.algorithms.data.chat import completion_encode
from training.algorithms.errors import LossNotFinite
from training.algorithms.measuring.ensemble import Ensemble, ensemble_load, ensemble_scores
from training.algorithms.measuring.scoring import features, scores
from training.algorithms.models.checkpoint_io import reward_model_load
from training.algorithms.models.scalar_model import reward_scale
from training.algorithms.run_dir import RunDir
from training.algorithms.sample import SampleConfig
from training.algorithms.sample.candidates import Sample
from training.algorithms.sample.prompts import prompt_chunks
from training.algorithms.sampling.generator import ChatPrompt
from training.algorithms.seeds import generator_for

NEEDS_ENSEMBLE = ("disagreement", "thompson")
"""top_two reads mean scores only, so the reward model's own head will do."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt to ask people about, and what of its candidates they see."""

    row: int
    strategy: str
    """What chose it: the selection, or "random"."""
    score: float | None
    samples: list[Sample]
    variance: float
    """Mean over pairs of the samples of the preference's variance over heads."""

    def record(self, prompts: Sequence[ChatPrompt]) -> dict[str, Any]:
        """An entry of result.data["asked"]."""
        prompt_id = prompts[self.row].prompt_id
        return {"prompt_id": prompt_id, "strategy": self.strategy, "score": self.score}


def ensemble_find(run_dir: RunDir, config: SampleConfig) -> Ensemble | None:
    """The reward model's ensemble. Raises ConfigError when the rule needs one and there is none."""
    ensemble = ensemble_load(Path(run_dir.input_path("reward_model")))
    if ensemble is None and config.selection in NEEDS_ENSEMBLE:
        raise ConfigError(
            "selection",
            config.selection,
            "expected a reward model with an ensemble of heads, and this one has none; set "
            "overrides.reward_model.num_heads to 10, say, for the next reward model, or choose "
            "the strategy top_two or random",
        )
    return ensemble


def samples_ask(
    run_dir: RunDir,
    config: SampleConfig,
    tokenizer: Any,
    prompts: Sequence[ChatPrompt],
    is_held_out: Sequence[bool],
    samples: Sequence[Sample],
) -> list[Asked]:
    """The prompts to ask with the samples to show, by row."""
    candidates = [
        different(samples[row * config.num_drawn : (row + 1) * config.num_drawn])
        for row in range(len(prompts))
    ]
    rows = [row for row, own in enumerate(candidates) if len(own) >= 2]
    candidates = [candidates[row] for row in rows]
    scored = candidate_scores(run_dir, config, tokenizer, [prompts[r] for r in rows], candidates)
    rule = RULES[config.selection]
    draws = [(run_dir.seed, "ask", prompts[row].prompt_id) for row in rows]
    shown = [
        rule(own, min(config.num_completions, len(own)), generator_for(*draw, "rule"))
        for own, draw in zip(scored, draws, strict=True)
    ]
    choice = rows_choose(
        [float(each.score or 0.0) for each in shown],
        [is_held_out[row] for row in rows],
        config.num_prompts,
        config.random_share,
        run_dir.seed,
    )

    def asked(place: int, strategy: str, each: Shown) -> Asked:
        variance = preference_variance(scored[place]).tolist()
        own = [candidates[place][index] for index in sorted(each.places)]
        return Asked(rows[place], strategy, each.score, own, mean_variance(variance, each.places))

    chosen = [asked(place, config.selection, shown[place]) for place in choice.by_score]
    for place in choice.at_random:
        num = len(candidates[place])
        by_chance = at_random(
            num, min(config.num_completions, num), generator_for(*draws[place], "random")
        )
        chosen.append(asked(place, "random", by_chance))
    return sorted(chosen, key=lambda each: each.row)


def different(samples: Sequence[Sample]) -> list[Sample]:
    """The first sample of each text that is not empty."""
    first: dict[str, Sample] = {}
    for sample in samples:
        if sample["text"]:
            first.setdefault(sample["text"], sample)
    return list(first.values())


def candidate_scores(
    run_dir: RunDir,
    config: SampleConfig,
    tokenizer: Any,
    prompts: Sequence[ChatPrompt],
    candidates: Sequence[Sequence[Sample]],
) -> list[Tensor]:
    """Scores [C, M] of each prompt's candidates in log odds; one head for want of an ensemble.

    A completion is read as the reward model's training reads one: its text, ended by EOS. Raises
    LossNotFinite for a score that is NaN or infinite: no order holds then.
    """
    ensemble = ensemble_find(run_dir, config)
    model = reward_model_load(run_dir.input_path("reward_model"), tokenizer)
    found: dict[int, Tensor] = {}
    for rows in prompt_chunks(prompts, config.batch_rows, config.num_drawn, 0):
        own = [(row, sample) for row in rows for sample in candidates[row]]
        texts = (
            [prompts[row].token_ids for row, _ in own],
            [completion_encode(tokenizer, sample["text"]) for _, sample in own],
            tokenizer.pad_token_id,
        )
        if ensemble is None:
            values = (scores(model, *texts) / reward_scale(model)).double().unsqueeze(1)
        else:
            values = ensemble_scores(ensemble, features(model, *texts))
        if not bool(torch.isfinite(values).all()):
            raise LossNotFinite("The reward model gave a score that is not finite.")
        parts = values.split([len(candidates[row]) for row in rows])
        found |= dict(zip(rows, parts, strict=True))
        run_dir.progress_write(len(found), len(prompts), "prompts scored")
        run_dir.leave_if_asked()
    return [found[row] for row in range(len(prompts))]


def asked_metrics(asked: Sequence[Asked]) -> dict[str, float]:
    """How many prompts chance chose, and the heads' disagreement about what is shown."""
    by_chance = [each.variance for each in asked if each.strategy == "random"]
    by_rule = [each.variance for each in asked if each.strategy != "random"]
    metrics: dict[str, float] = {
        "sample/num_asked": len(asked),
        "sample/num_asked_randomly": len(by_chance),
    }
    for name, values in (("chosen", by_rule), ("random", by_chance)):
        if values:
            metrics[f"sample/variance_{name}"] = math.fsum(values) / len(values)
    return metrics
