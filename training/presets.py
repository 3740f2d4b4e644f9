"""Loop settings for the embedded model of a few million parameters.

The methods' own defaults are the papers', for models of billions of parameters; a model this
small and this quickly pretrained needs learning rates one to two orders of magnitude above them,
and its whole PPO run has to fit into a coffee break on two CPU cores.
"""

from typing import Any

EMBEDDED_SAMPLING: dict[str, Any] = {"temperature": 1.0, "max_new_tokens": 80}

# Of which the evaluation chooses; each costs an evaluation and 8 MiB.
_KEPT = {"num_candidates": 3}

EMBEDDED_OVERRIDES: dict[str, dict[str, Any]] = {
    "sft": {"num_epochs": 4, "learning_rate": 3e-4, "batch_size": 8},
    # Four epochs at 3e-4 overfit 240 rankings: held-out loss 0.71, above chance (0.69).
    "reward_model": {"num_epochs": 2, "learning_rate": 2e-4, "batch_size": 16},
    "ppo": {
        **_KEPT,
        "num_steps": 40,
        "batch_size": 64,
        "minibatch_size": 32,
        "num_epochs": 2,
        "learning_rate": 1e-4,
        "value_learning_rate": 5e-4,
        # 0.05 with target 10 let 40 steps run to 26 nats, where all answers are alike.
        "kl_coefficient": 0.2,
        "kl_target": 6.0,
        "kl_horizon": 400,
    },
    # The others update once a batch, not four times, so they take more steps in the same time.
    "rloo": {
        **_KEPT,
        "num_steps": 80,
        "batch_size": 64,
        "learning_rate": 1e-4,
        "kl_coefficient": 0.1,
        "kl_target": 6.0,
        "kl_horizon": 800,
    },
    # Its KL is per token, hence the coefficient, which the target then moves.
    "grpo": {
        **_KEPT,
        "num_steps": 80,
        "batch_size": 64,
        "learning_rate": 1e-4,
        "kl_coefficient": 0.2,
        "kl_target": 6.0,
        "kl_horizon": 800,
    },
    "reinforce": {
        **_KEPT,
        "num_steps": 80,
        "batch_size": 64,
        "learning_rate": 1e-4,
        "whiten_advantages": True,
        "kl_coefficient": 0.1,
        "kl_target": 6.0,
        "kl_horizon": 800,
    },
    "rejection_sampling": {
        **_KEPT,
        "num_steps": 8,
        "batch_size": 256,
        "num_epochs": 2,
        "learning_rate": 1e-4,
        "learn_batch_size": 16,
    },
    # The papers' 1e-6 leaves a model of this size where it was.
    "dpo": {"num_epochs": 2, "learning_rate": 2e-4, "batch_size": 16, **_KEPT},
    "ipo": {"num_epochs": 2, "learning_rate": 2e-4, "batch_size": 16, **_KEPT},
    # As DPO's, from which it is carried over; not measured.
    "kto": {"num_epochs": 2, "learning_rate": 2e-4, "batch_size": 16, **_KEPT},
    # Four answers to each of 64 prompts are 2,048 draws then.
    "best_of_n": {"num_samples": 8},
    # Two answers to each held-out prompt by every candidate, as many as fit into half a minute.
    "evaluate": {"completions_per_prompt": 2},
}


def embedded_preset() -> dict[str, Any]:
    """Fields of LoopSettings for a project on the embedded base model."""
    return {"sampling": dict(EMBEDDED_SAMPLING), "overrides": dict(EMBEDDED_OVERRIDES)}
