"""Samples num_completions completions per prompt into samples.jsonl, different from each other.

People cannot rank identical texts, so a repeated or empty one is drawn again a few times. This
tilts the K completions of a prompt away from plain sampling where the policy is nearly sure.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.algorithms.chat import completion_decode
from training.algorithms.checkpoint_io import policy_load, tokenizer_load
from training.algorithms.encoding import prompt_limit, prompts_encode
from training.algorithms.errors import DataTooSmall, RunStopped
from training.algorithms.generation import generate
from training.algorithms.records import Completion, Prompt
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.sample import SampleConfig
from training.algorithms.seeds import seed_mix

Sample = dict[str, Any]


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(SampleConfig)
    tokenizer = tokenizer_load(run_dir.input_path("policy"))
    model = policy_load(run_dir.input_path("policy"), tokenizer)
    limit = prompt_limit(model, config.max_new_tokens, config.max_prompt_tokens)
    prompts = prompts_encode(tokenizer, run_dir.records("prompts"), limit)
    if not prompts.records:
        raise DataTooSmall("prompts", 0, 1)
    run_dir.metrics_write(0, {"data/prompts_too_long": prompts.num_too_long})
    samples = _sample_all(run_dir, config, model, tokenizer, prompts.records)
    run_dir.samples_write(sorted(samples, key=lambda sample: sample["index"]))
    metrics = samples_metrics(samples)
    data = {"num_prompts": len(prompts.records), "num_too_long": prompts.num_too_long}
    return Result(metrics, data)


def _sample_all(
    run_dir: RunDir, config: SampleConfig, model: Any, tokenizer: Any, prompts: list[Prompt]
) -> list[Sample]:
    """Chunk by chunk of prompts of similar length; finished chunks survive a kill."""
    order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row].token_ids), row))
    size = max(1, config.batch_rows // config.num_completions)
    samples: list[Sample] = []
    if (folder := run_dir.state_path()) is not None:
        samples = json.loads((folder / "samples.json").read_text(encoding="utf-8"))

    def write(folder: Path) -> None:
        (folder / "samples.json").write_text(json.dumps(samples), encoding="utf-8")

    for start in range(len(samples) // config.num_completions, len(order), size):
        rows = order[start : start + size]
        samples += sample_chunk(model, tokenizer, prompts, rows, config, run_dir.seed)
        run_dir.progress_write(min(start + size, len(order)), len(order), "prompts sampled")
        run_dir.state_save(write)
        if run_dir.stop_requested:
            raise RunStopped
    return samples


def sample_chunk(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    rows: Sequence[int],
    config: SampleConfig,
    seed: int,
) -> list[Sample]:
    """The samples of some prompts, given by their rows.

    A sample's index is row * num_completions + slot. Its seed depends on the run's seed, the
    prompt's id, the slot and the attempt only.
    """
    slots = [(row, slot) for row in rows for slot in range(config.num_completions)]
    chosen: dict[tuple[int, int], tuple[str, Completion]] = {}
    for attempt in range(config.max_resamples + 1):
        wanted = slots if attempt == 0 else repeated(slots, {k: v[0] for k, v in chosen.items()})
        if not wanted:
            break
        completions = generate(
            model,
            [prompts[row].token_ids for row, _ in wanted],
            [seed_mix(seed, "sample", prompts[row].prompt_id, k, attempt) for row, k in wanted],
            eos_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
            temperature=config.temperature,
            max_new_tokens=config.max_new_tokens,
            batch_rows=config.batch_rows,
        )
        for key, completion in zip(wanted, completions, strict=True):
            chosen[key] = completion_decode(tokenizer, completion.token_ids), completion
    return [
        {
            "index": row * config.num_completions + slot,
            "prompt_id": prompts[row].prompt_id,
            "role": "policy",
            "text": chosen[row, slot][0],
            "num_tokens": len(chosen[row, slot][1].token_ids),
            "finished": chosen[row, slot][1].finished,
            "seed": chosen[row, slot][1].seed,
        }
        for row, slot in slots
    ]


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
