"""Samples num_completions completions per prompt into samples.jsonl, different from each other.

People cannot rank identical texts, so a repeated or empty one is drawn again a few times. This
tilts the K completions of a prompt away from plain sampling where the policy is nearly sure.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from training.algorithms.models.checkpoint_io import tokenizer_load
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.sample import SampleConfig
from training.algorithms.sample.prompts import prompt_chunks, prompts_read
from training.algorithms.sampling.generator import ChatPrompt, Generator, TextCompletion
from training.algorithms.sampling.local_generator import completion_length, generator_open
from training.algorithms.seeds import seed_mix

Sample = dict[str, Any]


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(SampleConfig)
    tokenizer = tokenizer_load(run_dir.input_path("policy"))
    generator, limit = generator_open(config, run_dir.input_path("policy"), tokenizer)
    prompts, counts = prompts_read(tokenizer, run_dir.records("prompts"), limit)
    run_dir.metrics_write(0, counts)
    samples = _sample_all(run_dir, config, generator, tokenizer, prompts)
    run_dir.samples_write(sorted(samples, key=lambda sample: sample["index"]))
    num_too_long = int(counts["data/prompts_too_long"])
    data = {"num_prompts": len(prompts), "num_too_long": num_too_long}
    return Result(samples_metrics(samples), data)


def _sample_all(
    run_dir: RunDir,
    config: SampleConfig,
    generator: Generator,
    tokenizer: Any,
    prompts: Sequence[ChatPrompt],
) -> list[Sample]:
    """Chunk by chunk of prompts of similar length; finished chunks survive a kill."""
    samples: list[Sample] = []
    if (folder := run_dir.state_path()) is not None:
        samples = json.loads((folder / "samples.json").read_text(encoding="utf-8"))

    def write(folder: Path) -> None:
        (folder / "samples.json").write_text(json.dumps(samples), encoding="utf-8")

    num_done = len(samples) // config.num_completions
    for rows in prompt_chunks(prompts, config.batch_rows, config.num_completions, num_done):
        samples += sample_chunk(
            generator, tokenizer, prompts, rows, config, run_dir.seed, run_dir.leave_if_asked
        )
        num_done += len(rows)
        run_dir.progress_write(num_done, len(prompts), "prompts sampled")
        run_dir.state_save(write)
        run_dir.leave_if_asked(num_done)
    return samples


def sample_chunk(
    generator: Generator,
    tokenizer: Any,
    prompts: Sequence[ChatPrompt],
    rows: Sequence[int],
    config: SampleConfig,
    seed: int,
    on_batch: Callable[[int], None] | None = None,
) -> list[Sample]:
    """The samples of some prompts, given by their rows.

    A sample's index is row * num_completions + slot. Its seed depends on the run's seed, the
    prompt's id, the slot and the attempt only.
    """
    slots = [(row, slot) for row in rows for slot in range(config.num_completions)]
    chosen: dict[tuple[int, int], TextCompletion] = {}
    for attempt in range(config.max_resamples + 1):
        wanted = slots if attempt == 0 else repeated(slots, {k: v.text for k, v in chosen.items()})
        if not wanted:
            break
        completions = generator.generate(
            [prompts[row] for row, _ in wanted],
            [seed_mix(seed, "sample", prompts[row].prompt_id, k, attempt) for row, k in wanted],
            temperature=config.temperature,
            max_new_tokens=config.max_new_tokens,
            on_batch=on_batch,
        )
        chosen.update(zip(wanted, completions, strict=True))
    return [
        sample_record(
            row * config.num_completions + slot, prompts[row], chosen[row, slot], tokenizer
        )
        for row, slot in slots
    ]


def sample_record(
    index: int, prompt: ChatPrompt, completion: TextCompletion, tokenizer: Any
) -> Sample:
    """A line of samples.jsonl."""
    return {
        "index": index,
        "prompt_id": prompt.prompt_id,
        "role": "policy",
        "text": completion.text,
        "num_tokens": completion_length(tokenizer, completion),
        "finished": completion.finished,
        "seed": completion.seed,
    }


def repeated(
    slots: Sequence[tuple[int, int]], texts: dict[tuple[int, int], str]
) -> list[tuple[int, int]]:
    """The slots (row, slot) whose text is empty or equals that of an earlier slot of its row."""
    seen: set[tuple[int, str]] = set()
    again = []
    for key in slots:
        identity = (key[0], texts[key])
        if not texts[key] or identity in seen:
            again.append(key)
        seen.add(identity)
    return again


def samples_metrics(samples: Sequence[Sample]) -> dict[str, float]:
    """Headline numbers; a repeat equals an earlier sample of its prompt."""
    distinct = {(sample["prompt_id"], sample["text"]) for sample in samples}
    return {
        "sample/num_samples": len(samples),
        "sample/num_repeats": len(samples) - len(distinct),
        "sample/length_tokens": sum(sample["num_tokens"] for sample in samples) / len(samples),
        "sample/finished_share": sum(sample["finished"] for sample in samples) / len(samples),
    }
