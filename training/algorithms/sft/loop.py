"""SFT: cross-entropy of what the assistant said in demonstrations, prompts left out.

Every epoch visits the train demonstrations in a new order and ends with measurements on the
held-out ones, by which one epoch is chosen (`keep`); its weights are the output. Without held-out
demonstrations those are the last.
"""

import math
from collections.abc import Sequence

from training.algorithms.configs import ConfigError
from training.algorithms.data.encoding import data_metrics, demonstrations_encode, records_require
from training.algorithms.engine.learner import Learner
from training.algorithms.engine.optimization import cosine_rate
from training.algorithms.engine.training_loop import TrainingLoop
from training.algorithms.kernel.prompt_sharing import can_pack_rows
from training.algorithms.models.checkpoint_io import context_length, policy_load, tokenizer_load
from training.algorithms.models.encoder_decoder import is_encoder_decoder
from training.algorithms.records import Demonstration
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.seeds import permutation, seed_mix
from training.algorithms.sft import SFTConfig
from training.algorithms.sft.batches import batch_learn, mean_loss, num_learned_tokens
from training.algorithms.sft.reward_judge import RewardJudge


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(SFTConfig)
    tokenizer = tokenizer_load(run_dir.input_path("init"))
    model = policy_load(run_dir.input_path("init"), tokenizer)
    with_turns = config.loss_on == "assistant_turns"
    if with_turns and is_encoder_decoder(model):
        raise ConfigError(
            "loss_on", config.loss_on, "expected completion: an encoder reads prompts"
        )
    max_tokens = min(config.max_tokens, context_length(model) or config.max_tokens)
    train, held_out = (
        demonstrations_encode(
            tokenizer, run_dir.records("demonstrations", split), max_tokens, with_turns
        )
        for split in ("train", "held_out")
    )
    records_require(train, "demonstrations", config.min_demonstrations)
    run_dir.metrics_write(0, data_metrics(train, held_out))
    learner = Learner(model, config, run_dir.hardware, seed_mix(run_dir.seed, "sft", "adapter"))
    if config.packing and not learner.read(can_pack_rows):
        raise ConfigError("packing", True, "expected false: in this model packed texts would mix")
    judge = None
    if config.keep == "reward":
        judge = RewardJudge(run_dir, config, tokenizer, learner, held_out.records)
    pad_id = tokenizer.pad_token_id
    loop = _train(run_dir, config, learner, train.records, held_out.records, judge, pad_id)
    if loop.memory["kept_weights"] is not None:
        learner.weights_restore(loop.memory["kept_weights"])
    learner.finish()
    run_dir.output_save(lambda folder: learner.save(tokenizer, folder))
    metrics = {"sft/train_loss": loop.metrics["sft/loss"], **loop.memory["kept_metrics"]}
    data = {
        "num_demonstrations": len(train.records),
        "num_held_out": len(held_out.records),
        "num_too_long": train.num_too_long + held_out.num_too_long,
        "num_learned_tokens": num_learned_tokens(train.records),
        "kept_epoch": loop.memory["kept_epoch"],
    }
    return Result(metrics, data)


def _train(
    run_dir: RunDir,
    config: SFTConfig,
    learner: Learner,
    train: Sequence[Demonstration],
    held_out: Sequence[Demonstration],
    judge: RewardJudge | None,
    pad_id: int,
) -> TrainingLoop:
    """memory: the epoch to keep so far, what it was chosen by, its metrics and its weights."""
    steps_per_epoch = math.ceil(len(train) / config.batch_size)
    num_steps = steps_per_epoch * config.num_epochs
    memory = {
        "kept_epoch": config.num_epochs,
        "kept_value": -math.inf,
        "kept_metrics": {},
        "kept_weights": None,
    }
    loop = TrainingLoop(run_dir, {"policy": learner}, num_steps, config.save_every_steps, memory)
    layout = config.micro_batch_tokens, pad_id, config.pack_tokens if config.packing else None
    for step in loop.steps():
        epoch, batch_index = divmod(step, steps_per_epoch)
        order = permutation(len(train), run_dir.seed, "sft", epoch)
        start = batch_index * config.batch_size
        batch = [train[row] for row in order[start : start + config.batch_size]]
        loss = batch_learn(learner, batch, *layout)
        rate = cosine_rate(step, num_steps, config.learning_rate)
        norm = learner.step(rate)
        metrics = {"sft/loss": loss, "sft/learning_rate": rate, "sft/gradient_norm": norm}
        if (step + 1) % steps_per_epoch == 0:
            metrics["sft/epoch"] = epoch + 1
            if held_out:
                measured = {"sft/held_out_loss": learner.read(mean_loss, held_out, *layout)}
                if judge is not None:
                    measured["sft/held_out_reward"] = judge.mean_score(learner)
                _keep_better(loop, learner, config, epoch + 1, measured)
                metrics |= measured
        loop.log(step + 1, metrics, f"epoch {epoch + 1} of {config.num_epochs}")
    return loop


def _keep_better(
    loop: TrainingLoop,
    learner: Learner,
    config: SFTConfig,
    epoch: int,
    measured: dict[str, float],
) -> None:
    """Remembers the epoch just finished when it is better than the one kept so far."""
    value = {
        "validation_loss": -measured["sft/held_out_loss"],
        "reward": measured.get("sft/held_out_reward", 0.0),
        "last": float(epoch),
    }[config.keep]
    if value <= loop.memory["kept_value"]:
        return
    loop.memory |= {"kept_epoch": epoch, "kept_value": value, "kept_metrics": measured}
    if config.keep != "last" and epoch < config.num_epochs:
        loop.memory["kept_weights"] = learner.weights()
    else:  # the weights that training ends with
        loop.memory["kept_weights"] = None
