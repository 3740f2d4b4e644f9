"""Draws groups of n completions of a prompt, scores them, keeps each group's best in samples.jsonl.

Repeated and empty completions count as samples, since the estimates and the KL are those of plain
sampling. Only when a prompt keeps several, and a kept one is empty or repeats another, is its group
drawn again; the estimates read the first draws. Ties go to the sample drawn first.
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
from training.algorithms.sample.candidates import Sample, Slot, repeated, sample_record
from training.algorithms.sample.prompts import prompt_chunks, prompts_read
from training.algorithms.sampling.generator import ChatPrompt, Generator
from training.algorithms.sampling.local_generator import (
    completion_tokens,
    generator_open,
    longest_prompt,
)
from training.algorithms.seeds import seed_mix

Chosen = dict[str, Any]
"""Of a prompt: {"samples": the best ones' lines of samples.jsonl, "scores": of all first draws}"""


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
    samples = [sample for each in chosen for sample in each["samples"]]
    run_dir.samples_write(sorted(samples, key=lambda sample: sample["index"]))
    metrics = selection_metrics([each["scores"] for each in chosen], config.num_samples)
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

    per_prompt = config.num_samples * config.completions_per_prompt
    for rows in prompt_chunks(prompts, config.batch_rows, per_prompt, len(chosen)):
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
    """The best of each group of n samples of some prompts, given by their rows.

    Raises LossNotFinite for a score that is NaN or infinite: no order holds then.
    """
    kept = config.completions_per_prompt
    groups = [(row, place) for row in rows for place in range(kept)]
    best: dict[Slot, Sample] = {}
    first: dict[int, list[float]] = {row: [] for row in rows}
    wanted = groups
    for attempt in range(config.max_resamples + 1 if kept > 1 else 1):
        for slot, (sample, own) in zip(
            wanted,
            _groups_draw(
                generator, reward, tokenizer, prompts, wanted, attempt, config, seed, on_batch
            ),
            strict=True,
        ):
            best[slot] = sample
            if attempt == 0:
                first[slot[0]] += own
        wanted = repeated(groups, {slot: sample["text"] for slot, sample in best.items()})
        if not wanted:
            break
    return [
        {"samples": [best[row, place] for place in range(kept)], "scores": first[row]}
        for row in rows
    ]


def _groups_draw(
    generator: Generator,
    reward: Any,
    tokenizer: Any,
    prompts: Sequence[ChatPrompt],
    groups: Sequence[Slot],
    attempt: int,
    config: BestOfNConfig,
    seed: int,
    on_batch: Callable[[int], None] | None,
) -> list[tuple[Sample, list[float]]]:
    """Of each group the best sample and the scores of all n."""
    n = config.num_samples
    draws = [(row, place * n + number) for row, place in groups for number in range(n)]
    # 1. n completions per group
    completions = generator.generate(
        [prompts[row] for row, _ in draws],
        [_draw_seed(seed, prompts[row], number, attempt) for row, number in draws],
        temperature=config.temperature,
        max_new_tokens=config.max_new_tokens,
        on_batch=on_batch,
    )
    # 2. their scores, each text ended by EOS as in the reward model's training
    token_lists = [completion_tokens(tokenizer, completion) for completion in completions]
    flat = scores(
        reward,
        [prompts[row].token_ids for row, _ in draws],
        closed_completions(token_lists, tokenizer.eos_token_id),
        tokenizer.pad_token_id,
    ).tolist()
    if not all(map(math.isfinite, flat)):
        raise LossNotFinite("The reward model gave a score that is not finite.")
    # 3. the best of each group
    drawn = []
    for start, (row, place) in zip(range(0, len(draws), n), groups, strict=True):
        own = flat[start : start + n]
        best = best_index(own)
        index = row * config.completions_per_prompt + place
        sample = sample_record(index, prompts[row], completions[start + best], tokenizer)
        drawn.append((sample | {"score": own[best]}, own))
    return drawn


def _draw_seed(seed: int, prompt: ChatPrompt, number: int, attempt: int) -> int:
    parts = (seed, "best_of_n", prompt.prompt_id, number)
    return seed_mix(*parts, attempt) if attempt else seed_mix(*parts)


def selection_metrics(scores_per_prompt: Sequence[Sequence[float]], n: int) -> dict[str, float]:
    """Means over prompts of at least n scores each; expected_best_of_<m> for m = 1, 2, 4... n."""
    num_prompts = len(scores_per_prompt)

    def mean_over_prompts(m: int) -> float:
        return math.fsum(expected_best_of(own, m) for own in scores_per_prompt) / num_prompts

    powers = [2**exponent for exponent in range(n.bit_length())]
    curve = {f"best_of_n/expected_best_of_{m}": mean_over_prompts(m) for m in powers}
    return curve | {
        "best_of_n/score_best": mean_over_prompts(n),
        "best_of_n/score_mean": mean_over_prompts(1),
        "best_of_n/kl_to_policy": best_of_n_kl(n),
    }
