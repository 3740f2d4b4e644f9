"""The reward model: a scalar fitted to people's rankings (InstructGPT, arXiv 2203.02155, 3.5)."""

from dataclasses import dataclass
from typing import Literal

from training.algorithms.configs import (
    option,
    require,
    require_at_least_one,
    require_not_negative,
    require_positive,
)
from training.algorithms.engine.learner_config import LearnerConfig, learner_config_validate
from training.algorithms.methods import Method


@dataclass(frozen=True, slots=True)
class RewardModelConfig(LearnerConfig):
    start: Literal["policy", "warm"] = option(
        "policy",
        "Where the weights begin: at the policy, with a fresh head; or warm, at an earlier reward "
        "model, head included.",
    )
    learn_from: Literal["train", "held_out"] = option(
        "train",
        "Which rankings are learned; the others are measured. held_out makes a test reward model "
        "of people's judgements that no policy was trained against.",
    )
    num_epochs: int = option(1, "Passes over the rankings; InstructGPT overfits after one.")
    learning_rate: float = option(9e-6, "Peak of the cosine schedule, which ends at a tenth.")
    batch_size: int = option(64, "Rankings per optimizer step, each with all its pairs.")
    max_tokens: int = option(
        1024,
        "Rankings with a completion longer than this, prompt included, are left out and counted.",
    )
    min_train_rankings: int = option(8, "Fewer than this, and the run does not start.")
    ties: Literal["half", "drop", "davidson"] = option(
        "half",
        "half: a tie is half a win each way; drop: ties are left out, as InstructGPT does; "
        "davidson: a tie is an outcome of its own, with a learned probability.",
    )
    tie_learning_rate: float = option(0.01, "Of the tie parameter log nu (davidson), constant.")
    strength: Literal["ignore", "margin", "weight"] = option(
        "ignore",
        "What a ranking's strength of preference does: nothing; a margin the better one must lead "
        "by (Llama 2); or a weight in the loss.",
    )
    margin_scale: float = option(1.0, "The margin is this times the strength.")
    label_smoothing: float | None = option(
        0.0,
        "Share of judgements taken to be the wrong way round, below 0.5; empty: measured from the "
        "pairs that several people judged.",
    )
    gauge: Literal["demonstrations", "reference", "none"] = option(
        "demonstrations",
        "Where scores are 0: at the mean of the demonstrations; or mean 0 and variance 1 over "
        "samples of the starting policy; or nowhere.",
    )
    gauge_samples: int = option(256, "Completions the starting policy samples (reference).")
    gauge_max_new_tokens: int = option(256, "Longest of these completions.")
    num_heads: int = option(
        0, "Heads of an ensemble that tells how sure a score is, fitted afterwards; 0: none."
    )
    head_hidden_size: int = option(0, "Hidden units of an ensemble head; 0: linear.")
    head_prior_scale: float = option(
        1.0, "Size of each head's fixed random function, which keeps heads apart far from data."
    )

    def validate(self) -> None:
        learner_config_validate(self)
        require_at_least_one(
            self,
            "num_epochs",
            "batch_size",
            "max_tokens",
            "min_train_rankings",
            "gauge_max_new_tokens",
        )
        require_positive(self, "tie_learning_rate")
        require_not_negative(
            self, "margin_scale", "num_heads", "head_hidden_size", "head_prior_scale"
        )
        require(self.gauge_samples >= 2, "gauge_samples", self.gauge_samples, "expected 2 or more")
        require(self.num_heads != 1, "num_heads", self.num_heads, "expected 0, or at least 2")
        if self.label_smoothing is not None:
            require(
                0 <= self.label_smoothing < 0.5,
                "label_smoothing",
                self.label_smoothing,
                "expected 0 or more and below 0.5",
            )


METHOD = Method(
    name="reward_model",
    title="Reward model",
    stage="reward_model",
    config=RewardModelConfig,
    queue="train",
    inputs=("init",),
    optional_inputs={"warm_start": ("start", "warm")},
    data=("rankings", "demonstrations"),
    produces="reward_model",
)
