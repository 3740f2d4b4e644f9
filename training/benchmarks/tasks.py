"""What is measured: one entry per comparison, with the same sizes on both sides.

`trl_batch` is the per-device batch that was fastest for TRL among those tried (docs/benchmarks.md).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Trainer = Literal["reward", "sft", "dpo", "rloo", "grpo", "ppo", "generate"]


@dataclass(frozen=True, slots=True)
class ModelSize:
    """A random Llama with tied embeddings."""

    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    max_positions: int = 1024

    @property
    def body_parameters(self) -> int:
        """Weights of the matrix products inside the layers."""
        attention = 4 * self.hidden_size**2
        return self.num_layers * (attention + 3 * self.hidden_size * self.intermediate_size)

    @property
    def head_parameters(self) -> int:
        """Weights of the projection to the vocabulary, which are also the embeddings."""
        return self.vocab_size * self.hidden_size


MODELS = {
    "tiny": ModelSize(64, 32, 2, 2, 64, 512),
    "embedded": ModelSize(1911, 256, 2, 4, 704),
    "embedded_32k": ModelSize(32000, 256, 2, 4, 704),
    "large": ModelSize(1911, 640, 4, 8, 1728),
}


@dataclass(frozen=True, slots=True)
class Task:
    """One comparison. Lengths are tokens; every range is uniform and inclusive."""

    name: str
    title: str
    trainer: Trainer
    unit: str
    """What is counted per second."""
    batch: int
    """Rankings, demonstrations, pairs or completions per optimizer step."""
    num_steps: int
    """Optimizer steps, the first of which is warm-up and not timed."""
    trl_batch: int
    """Sequences, pairs or completions per device and forward pass on the TRL side."""
    model: str = "embedded"
    method: str = ""
    """Our method package; empty where no run folder is involved."""
    start: Literal["random", "policy"] = "random"
    """Random weights, or the policy fitted to demonstrations while preparing."""
    k: int = 0
    """Completions per ranking, or per prompt when sampling."""
    learning_rate: float = 1e-3
    num_held_out: int = 64
    """Held-out records that both sides are evaluated on, by the same code."""
    prompt_words: tuple[int, int] = (112, 144)
    completion_words: tuple[int, int] = (32, 96)
    max_new_tokens: int = 64
    ours: dict[str, Any] = field(default_factory=dict)
    """Further config fields of our method."""
    trl: dict[str, Any] = field(default_factory=dict)
    """Further arguments of TRL's config."""

    @property
    def environment(self) -> Literal["trl", "trl-ppo"]:
        """TRL dropped PPO after 1.12, so PPO runs in an environment with that version."""
        return "trl-ppo" if self.trainer == "ppo" else "trl"

    def smoke(self) -> "Task":
        """The same with two steps and little evaluation, to see that it runs."""
        return replace(self, num_steps=2, num_held_out=8)


_BETA = 0.05
_ONLINE = {
    "kl_coefficient": _BETA, "kl_target": None, "missing_eos_penalty": 0.0, "max_kl": 1000.0,
    "max_score": None,
}  # fmt: skip
"""Of our online methods: a fixed KL penalty, no penalty for what is cut, no halt."""
_PPO_OURS = _ONLINE | {
    "minibatch_size": 32, "num_epochs": 4, "value_learning_rate": 1e-4, "missing_eos_penalty": 1.0,
}  # fmt: skip
_PPO_TRL = {"kl_coef": _BETA, "num_ppo_epochs": 4, "missing_eos_penalty": 1.0}

_TASKS = (
    Task(
        "reward_model_k4", "reward model, rankings of 4", "reward", "rankings",
        method="reward_model", k=4, batch=8, num_steps=7, trl_batch=12,
    ),
    Task(
        "reward_model_k9", "reward model, rankings of 9", "reward", "rankings",
        method="reward_model", k=9, batch=2, num_steps=5, trl_batch=12,
    ),
    Task(
        "reward_model_k4_large", "reward model, rankings of 4, 21M", "reward", "rankings",
        method="reward_model", model="large", k=4, batch=2, num_steps=3, trl_batch=4,
        learning_rate=1e-4,
    ),
    Task(
        "sft", "SFT", "sft", "tokens",
        method="sft", batch=32, num_steps=8, trl_batch=8,
    ),
    Task(
        "sft_packed", "SFT, TRL with packing", "sft", "tokens",
        method="sft", batch=32, num_steps=8, trl_batch=1,
        trl={"packing": True, "max_length": 1024},
    ),
    Task(
        "sft_32k", "SFT, vocabulary of 32,000", "sft", "tokens",
        method="sft", model="embedded_32k", batch=16, num_steps=6, trl_batch=8,
    ),
    Task(
        "dpo", "DPO", "dpo", "pairs",
        method="dpo", start="policy", k=2, batch=16, num_steps=6, trl_batch=8, learning_rate=1e-4,
    ),
    Task(
        "dpo_precomputed", "DPO, TRL with precomputed reference", "dpo", "pairs",
        method="dpo", start="policy", k=2, batch=16, num_steps=6, trl_batch=8, learning_rate=1e-4,
        trl={"precompute_ref_log_probs": True},
    ),
    Task(
        "dpo_32k", "DPO, vocabulary of 32,000", "dpo", "pairs",
        method="dpo", model="embedded_32k", k=2, batch=8, num_steps=4, trl_batch=8,
        learning_rate=1e-4,
    ),
    Task(
        "rloo", "RLOO, 4 completions a prompt", "rloo", "completions",
        method="rloo", start="policy", k=4, batch=32, num_steps=5, trl_batch=16,
        learning_rate=1e-4, ours=_ONLINE, trl={"beta": _BETA},
    ),
    Task(
        "grpo", "GRPO, 8 completions a prompt", "grpo", "completions",
        method="grpo", start="policy", k=8, batch=32, num_steps=5, trl_batch=16,
        learning_rate=1e-4, ours=_ONLINE, trl={"beta": _BETA, "loss_type": "grpo"},
    ),
    Task(
        "ppo", "PPO, 4 epochs", "ppo", "completions",
        method="ppo", start="policy", k=1, batch=32, num_steps=4, trl_batch=32,
        learning_rate=1e-4, ours=_PPO_OURS, trl=_PPO_TRL,
    ),
    Task(
        "ppo_k4", "PPO, 4 epochs, 4 completions a prompt", "ppo", "completions",
        method="ppo", start="policy", k=4, batch=32, num_steps=4, trl_batch=32,
        learning_rate=1e-4, ours=_PPO_OURS, trl=_PPO_TRL,
    ),
    Task(
        "sample", "sampling", "generate", "tokens",
        start="policy", k=4, batch=64, num_steps=4, trl_batch=64,
    ),
)  # fmt: skip

TASKS = {task.name: task for task in _TASKS}


def tasks_pick(names: Iterable[str]) -> list[Task]:
    """The named tasks in table order, all when no name is given; raises SystemExit on a typo."""
    wanted = list(names)
    if unknown := sorted(set(wanted) - set(TASKS)):
        raise SystemExit(f"unknown tasks {', '.join(unknown)}; known: {', '.join(TASKS)}")
    return [task for task in TASKS.values() if not wanted or task.name in wanted]
