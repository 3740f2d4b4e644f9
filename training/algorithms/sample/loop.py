"""Samples completions of one or several policies into samples.jsonl, for people to rank.

Without a selection all completions drawn are shown. With one, candidates are drawn first, and the
reward model's ensemble says which prompts and which of their candidates are worth asking about.
"""

from collections.abc import Sequence
from typing import Any

from training.algorithms.models.checkpoint_io import tokenizer_load
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.sample import SampleConfig
from training.algorithms.sample.candidates import Sample, candidates_draw
from training.algorithms.sample.prompts import prompts_read, roles_read
from training.algorithms.sample.selection import asked_metrics, ensemble_find, samples_ask
from training.algorithms.sampling.local_generator import longest_prompt


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(SampleConfig)
    if config.selection != "none":
        ensemble_find(run_dir, config)  # rather now than after hours of sampling
    # 1. the prompts and who answers them
    tokenizer = tokenizer_load(run_dir.input_path("policy"))
    records = run_dir.records("prompts")
    roles = roles_read(records, config.num_drawn)
    names = {"policy", *(role for own in roles.values() for role in own)}
    limit = min(longest_prompt(config, run_dir.input_path(name)) for name in sorted(names))
    prompts, counts = prompts_read(tokenizer, records, limit)
    run_dir.metrics_write(0, counts)
    # 2. candidates
    own_roles = [roles[prompt.prompt_id] for prompt in prompts]
    samples = candidates_draw(run_dir, config, tokenizer, prompts, own_roles)
    data: dict[str, Any] = {
        "num_prompts": len(prompts),
        "num_too_long": int(counts["data/prompts_too_long"]),
    }
    # 3. what is shown of them
    metrics = {}
    if config.selection != "none":
        splits = {record["prompt_id"]: record.get("split") for record in records}
        is_held_out = [splits[prompt.prompt_id] == "held_out" for prompt in prompts]
        asked = samples_ask(run_dir, config, tokenizer, prompts, is_held_out, samples)
        samples = [sample for each in asked for sample in each.samples]
        data["asked"] = [each.record(prompts) for each in asked]
        metrics = asked_metrics(asked)
    run_dir.samples_write(samples)
    return Result(samples_metrics(samples) | metrics, data)


def samples_metrics(samples: Sequence[Sample]) -> dict[str, float]:
    """Headline numbers; a repeat equals an earlier sample of its prompt."""
    distinct = {(sample["prompt_id"], sample["text"]) for sample in samples}
    metrics: dict[str, float] = {
        "sample/num_samples": len(samples),
        "sample/num_repeats": len(samples) - len(distinct),
    }
    if samples:
        total = sum(sample["num_tokens"] for sample in samples)
        metrics["sample/length_tokens"] = total / len(samples)
        finished = sum(sample["finished"] for sample in samples)
        metrics["sample/finished_share"] = finished / len(samples)
    return metrics
