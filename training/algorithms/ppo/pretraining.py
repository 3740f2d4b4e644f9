"""PPO-ptx: the pretraining loss that InstructGPT (arXiv 2203.02155, eq. 2) adds to PPO's.

It pulls the policy towards ordinary text while PPO pulls it towards the reward, against the loss
of skills that nobody ranks.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from training.algorithms.data.encoding import demonstrations_encode, texts_encode
from training.algorithms.engine.learner import Learner
from training.algorithms.engine.processes import processes
from training.algorithms.errors import DataTooSmall
from training.algorithms.kernel.collate import groups_by_length, sequences_collate
from training.algorithms.kernel.logprobs import completion_loss
from training.algorithms.models.checkpoint_io import context_length
from training.algorithms.policy.rollouts import sweep_rows
from training.algorithms.ppo import PPOConfig
from training.algorithms.records import Demonstration
from training.algorithms.run_dir import RunDir


def texts_load(
    run_dir: RunDir, tokenizer: Any, policy: Learner, config: PPOConfig
) -> list[Demonstration]:
    """What the pretraining loss is on; nothing while ptx_coefficient is 0.

    Of a plain text every token but the first is predicted, of a demonstration its completion.
    Raises DataTooSmall when there is neither.
    """
    if not config.ptx_coefficient:
        return []
    max_tokens = min(config.ptx_max_tokens, context_length(policy) or config.ptx_max_tokens)
    texts = texts_encode(tokenizer, run_dir.records("texts"), max_tokens)
    run_dir.metrics_write(0, {"data/texts_too_long": texts.num_too_long})
    if texts.records:
        return [Demonstration(text[:1], text[1:]) for text in texts.records]
    records = run_dir.records("demonstrations", "train")
    demonstrations = demonstrations_encode(tokenizer, records, max_tokens)
    run_dir.metrics_write(0, {"data/demonstrations_too_long": demonstrations.num_too_long})
    if not demonstrations.records:
        raise DataTooSmall(
            "texts or training demonstrations for the pretraining loss", 0, 1,
            "Add texts.jsonl, or set ptx_coefficient to 0.",
        )  # fmt: skip
    return demonstrations.records


def texts_pick(
    texts: Sequence[Demonstration], update: int, config: PPOConfig, seed: int
) -> list[Demonstration]:
    """The texts of the policy's optimizer step number `update`: passes in changing order."""
    size = config.ptx_batch_size
    return [texts[row] for row in sweep_rows(len(texts), update * size, size, seed, "ppo_texts")]


def texts_accumulate(
    policy: Learner, texts: Sequence[Demonstration], config: PPOConfig, pad_id: int
) -> float:
    """Adds the gradient of ptx_coefficient times the mean loss per token; returns that loss, nats.

    It joins the gradient already accumulated, so that both land in one optimizer step: Adam would
    normalize the coefficient away in a step of its own.
    """
    num_tokens = sum(len(text.completion_ids) for text in texts)
    lengths = [len(text.prompt_ids) + len(text.completion_ids) for text in texts]

    def loss_of(model: Any, rows: list[int]) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        sequences = sequences_collate(
            [texts[row].prompt_ids for row in rows],
            [texts[row].completion_ids for row in rows],
            pad_id,
            processes().device,
        )
        loss = completion_loss(model, sequences, num_tokens)
        return config.ptx_coefficient * loss, {"nll": loss}

    return policy.accumulate(groups_by_length(lengths, config.micro_batch_tokens), loss_of)["nll"]
