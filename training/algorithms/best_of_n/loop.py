"""Draws n completions per prompt, scores them, keeps the best in samples.jsonl.

Nothing is drawn again: repeated and empty completions count as samples, since the estimates and
the KL are those of plain sampling. Ties go to the sample drawn first.
"""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from training.algorithms.best_of_n import BestOfNConfig
from training.algorithms.errors import LossNotFinite
from training.algorithms.formulas.selection import best_index, best_of_n_kl, expected_best_of
from training.algorithms.measuring.scoring import closed_completions, scores
from training.algorithms.models.checkpoint_io import reward_model_load, tokenizer_load
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.sample.candidates import Sample, sample_record
from training.algorithms.sample.prompts import prompt_chunks, prompts_read
from training.algorithms.sampling.generator import ChatPrompt, Generator
from training.algorithms.sampling.local_generator import (
    completion_tokens,
    generator_open,
    longest_prompt,
)
from training.algorithms.seeds import seed_mix

Chosen = dict[str, Any]
"""{"sample": the best one's line of samples.jsonl, "scores": those of all n samples in order}"""


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(BestOfNConfig)
    tokenizer = tokenizer_load(run_dir.input_path("policy"))
    location = run_dir.input_path("policy")
    generator = generator_open(config, location, tokenizer)
    reward = reward_model_load(run_dir.input_path("reward_model"), tokenizer)
    records = run_dir.records("prompts", None if config.split == "all" else config.split)
    prompts, counts = prompts_read(tokenizer, records, longest_prompt(config, location))
    run_dir.metrics_write(0, counts)
    chosen = _choose_all(run_dir, config, generator, reward, tokenizer, prompts)
    samples = [each["sample"] for each in chosen]
    run_dir.samples_write(sorted(samples, key=lambda sample: sample["index"]))
    metrics = selection_metrics([each["scores"] for each in chosen])
    metrics["best_of_n/length_tokens"] = sum(s["num_tokens"] for s in samples) / len(samples)
    metrics["best_of_n/finished_share"] = sum(s["finished"] for s in samples) / len(samples)
    run_dir.metrics_write(0, metrics)
    return Result(metrics, {"num_prompts": len(prompts), "num_samples": config.num_samples})


def _choose_all(
    run_dir: RunDir,
    config: BestOfNConfig,
    generator: Generator,
    reward: Any,
    tokenizer: Any,
    prompts: Sequence[ChatPrompt],
) -> list[Chosen]:
    """Chunk by chunk of prompts of similar length; finished chunks survive a kill."""
    chosen: list[Chosen] = []
    if (folder := run_dir.state_path()) is not None:
        chosen = json.loads((folder / "chosen.json").read_text(encoding="utf-8"))

    def write(folder: Path) -> None:
        (folder / "chosen.json").write_text(json.dumps(chosen), encoding="utf-8")

    for rows in prompt_chunks(prompts, config.batch_rows, config.num_samples, len(chosen)):
        chosen += choose_chunk(
            generator, reward, tokenizer, prompts, rows, config, run_dir.seed,
            run_dir.leave_if_asked,
        )  # fmt: skip
        run_dir.progress_write(len(chosen), len(prompts), "prompts answered")
        run_dir.state_save(write)
        run_dir.leave_if_asked(len(chosen))
    return chosen


def choose_chunk(
    generator: Generator,
    reward: Any,
    tokenizer: Any,
    prompts: Sequence[ChatPrompt],
    rows: Sequence[int],
    config: BestOfNConfig,
    seed: int,
    on_batch: Callable[[int], None] | None = None,
) -> list[Chosen]:
    """The best of n samples of each of some prompts, given by their rows.

    Raises LossNotFinite for a score that is NaN or infinite: no order holds then.
    """
    slots = [(row, slot) for row in rows for slot in range(config.num_samples)]
    # 1. n completions per prompt
    completions = generator.generate(
        [prompts[row] for row, _ in slots],
        [seed_mix(seed, "best_of_n", prompts[row].prompt_id, slot) for row, slot in slots],
        temperature=config.temperature,
        max_new_tokens=config.max_new_tokens,
        on_batch=on_batch,
    )
    # 2. their scores, each text ended by EOS as in the reward model's training
    token_lists = [completion_tokens(tokenizer, completion) for completion in completions]
    flat = scores(
        reward,
        [prompts[row].token_ids for row, _ in slots],
        closed_completions(token_lists, tokenizer.eos_token_id),
        tokenizer.pad_token_id,
    ).tolist()
    if not all(map(math.isfinite, flat)):
        raise LossNotFinite("The reward model gave a score that is not finite.")
    # 3. the best of each prompt
    chosen = []
    for position, row in enumerate(rows):
        start = position * config.num_samples
        own = flat[start : start + config.num_samples]
        best = best_index(own)
        sample: Sample = sample_record(row, prompts[row], completions[start + best], tokenizer)
        chosen.append({"sample": sample | {"score": own[best]}, "scores": own})
    return chosen


def selection_metrics(scores_per_prompt: Sequence[Sequence[float]]) -> dict[str, float]:
    """Means over prompts; expected_best_of_<m> for m = 1, 2, 4... and n."""
    num_prompts, n = len(scores_per_prompt), len(scores_per_prompt[0])

    def mean_over_prompts(m: int) -> float:
        return math.fsum(expected_best_of(own, m) for own in scores_per_prompt) / num_prompts

    powers = [2**exponent for exponent in range(n.bit_length())]
    curve = {f"best_of_n/expected_best_of_{m}": mean_over_prompts(m) for m in powers}
    return curve | {
        "best_of_n/score_best": mean_over_prompts(n),
        "best_of_n/score_mean": mean_over_prompts(1),
        "best_of_n/kl_to_policy": best_of_n_kl(n),
    }
