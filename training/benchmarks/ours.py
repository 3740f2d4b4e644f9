"""Our side of one comparison: `python -m training.benchmarks.ours SPEC.json`.

Writes a run folder and runs the method in this process, exactly as
`python -m training.algorithms.<method>` would; the clock reads the ends of the steps from
`progress_write`, which every loop calls after each step.
"""

import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from training.algorithms.entry import run_folder
from training.algorithms.run_dir import RunDir
from training.benchmarks.measure import Clock, result_print
from training.benchmarks.side import (
    Spec,
    evaluation_models,
    quality,
    quiet,
    reward_model_plain,
    spec_read,
)
from training.benchmarks.tasks import Task
from training.benchmarks.workload import KINDS, completion_ids, prompt_ids

NEVER = 1_000_000
"""Steps between saves of the resume state: TRL does not save during the runs either."""


def main() -> None:
    spec = spec_read()
    quiet()
    task = spec.resolved()
    clock = Clock()
    if task.trainer == "generate":
        units = generate_run(spec, task, clock)
        result_print(clock.report() | {"units": units})
        return
    folder = run_folder_write(spec, task)
    clock_attach(clock, task)
    code = run_folder(task.method, str(folder))
    if code:
        error = folder / "error.json"
        raise SystemExit(error.read_text() if error.exists() else f"exit code {code}")
    result = clock.report() | {"units": units_timed(spec, task)}
    if task.method in ONCE and not result["prepare_seconds"]:
        raise SystemExit(f"{ONCE[task.method]} of {task.method} is not what runs once any more")
    import torch

    if torch.cuda.is_available():
        result["peak_mib"] = torch.cuda.max_memory_allocated() / 2**20
    from transformers import AutoTokenizer

    output = str(folder / "output")
    is_reward_model = task.trainer == "reward"
    model = reward_model_plain(output) if is_reward_model else evaluation_models(output)[0]
    result["quality"] = quality(spec, task, model, AutoTokenizer.from_pretrained(output))
    result_print(result)


def run_folder_write(spec: Spec, task: Task) -> Path:
    """The run folder of docs/data_formats.md in spec.scratch."""
    folder = Path(spec.scratch) / "run"
    (folder / "data").mkdir(parents=True)
    inputs = {"init": spec.model, "reference": spec.model, "policy": spec.model}
    inputs["reward_model"] = spec.reward_model
    document = {
        "method": task.method,
        "config": config_of(task),
        "seed": spec.seed,
        "inputs": inputs,
        "num_threads": spec.threads,
        "precision": spec.precision,
    }
    (folder / "run.json").write_text(json.dumps(document), encoding="utf-8")
    kind = KINDS[task.trainer][0]
    shutil.copy(Path(spec.data) / f"{kind}.jsonl", folder / "data")
    return folder


def config_of(task: Task) -> dict[str, Any]:
    """Config fields of the run."""
    config: dict[str, Any] = {"learning_rate": task.learning_rate, "save_every_steps": NEVER}
    if task.trainer in ("reward", "sft", "dpo"):
        config |= {"num_epochs": 1, "batch_size": task.batch}
    if task.trainer == "reward":
        config |= {"min_train_rankings": 1}
    if task.trainer in ("ppo", "rloo", "grpo"):
        config |= {
            "num_steps": task.num_steps,
            "batch_size": task.batch,
            "completions_per_prompt": task.k,
            "max_new_tokens": task.max_new_tokens,
            "temperature": 1.0,
        }
    return config | task.ours


ONCE = {"dpo": "ranking_totals"}
"""Functions of a method's loop that work through all data once, before the first step."""


def clock_attach(clock: Clock, task: Task) -> None:
    """Lets the clock hear what a loop tells its run folder."""
    metrics_write, progress_write = RunDir.metrics_write, RunDir.progress_write

    def on_metrics(self: RunDir, step: int, metrics: Any) -> None:
        if not clock.marks and not clock.loaded_mib:  # the first line: model and data are loaded
            clock.loaded()
            if task.method in ONCE:
                loop, name = (
                    sys.modules[f"training.algorithms.{task.method}.loop"],
                    ONCE[task.method],
                )
                setattr(loop, name, clock.prepared(getattr(loop, name)))
        metrics_write(self, step, metrics)

    def on_progress(self: RunDir, done: int, total: int, message: str = "") -> None:
        progress_write(self, done, total, message)
        clock.mark()

    RunDir.metrics_write = on_metrics  # type: ignore[method-assign]
    RunDir.progress_write = on_progress  # type: ignore[method-assign]


def units_timed(spec: Spec, task: Task) -> float:
    """What the steps after the first worked on, in the task's unit."""
    if task.trainer == "sft":
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(spec.model)
        records = spec.records("demonstrations")
        num_tokens = sum(
            len(prompt_ids(tokenizer, record))
            + len(completion_ids(tokenizer, record["completion"]))
            for record in records
        )
        return num_tokens * (1 - task.batch / len(records))
    return task.batch * (task.num_steps - 1)


def generate_run(spec: Spec, task: Task, clock: Clock) -> int:
    """Our sampler on the same prompts. Returns the tokens of timed batches."""
    import torch

    from training.algorithms.models.checkpoint_io import policy_load, tokenizer_load

    torch.set_num_threads(spec.threads)
    generate = importlib.import_module("training.algorithms.sampling.generation").generate
    tokenizer = tokenizer_load(spec.model)
    model = policy_load(spec.model, tokenizer)
    records = [record for record in spec.records("prompts") for _ in range(task.k)]
    rows = [prompt_ids(tokenizer, record) for record in records]
    clock.loaded()
    num_tokens = 0
    for start in range(0, len(rows), task.batch):
        part = rows[start : start + task.batch]
        completions = generate(
            model,
            part,
            [spec.seed * NEVER + start + row for row in range(len(part))],
            eos_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
            temperature=1.0,
            max_new_tokens=task.max_new_tokens,
            batch_rows=task.batch,
        )
        clock.mark()
        if start:
            num_tokens += sum(len(completion.token_ids) for completion in completions)
    return num_tokens


if __name__ == "__main__":
    main()
