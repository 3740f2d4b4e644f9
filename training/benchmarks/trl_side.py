"""TRL's side of one comparison: `python -m training.benchmarks.trl_side SPEC.json`.

Runs in an environment with TRL and none of ours; needs only tasks, workload, measure, evaluation
and side of this package. Data goes in as token ids where TRL takes them, the same ids as ours.
Settings: what TRL recommends or defaults to, except that gradient checkpointing is off (faster),
bf16 is off on the CPU, and the optimizer's epsilon, schedule and weight decay are ours, so that
both sides take the same steps.
"""

import itertools
import os
from collections.abc import Callable
from typing import Any

from training.benchmarks.measure import Clock, result_print
from training.benchmarks.side import Spec, quality, quiet, spec_read
from training.benchmarks.tasks import Task
from training.benchmarks.workload import completion_ids, prompt_ids, prompt_text


def main() -> None:
    spec = spec_read()
    quiet()
    os.environ["HF_HOME"] = spec.scratch
    import torch
    import transformers

    torch.set_num_threads(spec.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    import datasets

    datasets.disable_progress_bars()
    task = spec.resolved()
    tokenizer = transformers.AutoTokenizer.from_pretrained(spec.model)
    clock = Clock()
    runs: dict[str, Callable[..., tuple[Any, float]]] = {
        "reward": reward_run,
        "sft": sft_run,
        "dpo": dpo_run,
        "rloo": online_run,
        "grpo": online_run,
        "ppo": ppo_run,
        "generate": generate_run,
    }
    model, units = runs[task.trainer](spec, task, tokenizer, clock)
    result = clock.report() | {"units": units, "trl_batch": batch_of(spec, task)}
    if torch.cuda.is_available():
        result["peak_mib"] = torch.cuda.max_memory_allocated() / 2**20
    if model is not None:
        result["quality"] = quality(spec, task, model, tokenizer)
    result_print(result)


def batch_of(spec: Spec, task: Task) -> int:
    return spec.trl_batch or task.trl_batch


SCHEDULES: dict[str, dict[str, Any]] = {
    "reward": {
        "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr_rate": 0.1},
    },
    "dpo": {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 0.1},
    "rloo": {"lr_scheduler_type": "linear"},
    "grpo": {"lr_scheduler_type": "linear"},
    "ppo": {"lr_scheduler_type": "linear"},
}
"""The schedules of our methods; SFT has the reward model's."""


def arguments(spec: Spec, task: Task, sequences_per_step: int) -> dict[str, Any]:
    """What every config gets; `sequences_per_step` in the unit of the per-device batch."""
    import torch

    batch = min(batch_of(spec, task), sequences_per_step)
    if sequences_per_step % batch:
        raise SystemExit(f"batch {batch} does not divide {sequences_per_step} of {task.name}")
    return {
        "output_dir": spec.scratch,
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": sequences_per_step // batch,
        "num_train_epochs": 1,
        "learning_rate": task.learning_rate,
        "adam_epsilon": 1e-5,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "seed": spec.seed,
        "gradient_checkpointing": False,
        "bf16": spec.precision == "bf16",
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "save_strategy": "no",
        "eval_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        **SCHEDULES.get(task.trainer, SCHEDULES["reward"]),
        **task.trl,
    }


def step_clock(clock: Clock) -> Any:
    """A callback that marks the end of every optimizer step."""
    from transformers import TrainerCallback

    class StepClock(TrainerCallback):
        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            clock.loaded()

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            clock.mark()

    return StepClock()


# ---- offline trainers


def grouped(rows: list[dict[str, Any]], lengths: list[int]) -> tuple[Any, dict[str, Any]]:
    """The dataset with a length column, and the arguments that make TRL group by it."""
    from datasets import Dataset

    rows = [row | {"length": length} for row, length in zip(rows, lengths, strict=True)]
    extra = {"train_sampling_strategy": "group_by_length", "remove_unused_columns": False}
    return Dataset.from_list(rows), extra


def reward_run(spec: Spec, task: Task, tokenizer: Any, clock: Clock) -> tuple[Any, float]:
    """All C(K, 2) pairs of each ranking, as RewardTrainer takes them. Returns rankings timed."""
    from trl import RewardConfig, RewardTrainer

    records = spec.records("rankings")
    pairs = []
    for record in records:
        prompt = prompt_ids(tokenizer, record)
        full = [prompt + completion_ids(tokenizer, text) for text in record["completions"]]
        pairs += [
            {"chosen_ids": full[i], "rejected_ids": full[j]}
            for i, j in itertools.permutations(range(task.k), 2)
            if record["ranks"][i] < record["ranks"][j]
        ]
    lengths = [max(len(pair["chosen_ids"]), len(pair["rejected_ids"])) for pair in pairs]
    dataset, extra = grouped(pairs, lengths)
    pairs_per_step = task.batch * task.k * (task.k - 1) // 2
    trainer = RewardTrainer(
        model=spec.model,
        args=RewardConfig(**arguments(spec, task, pairs_per_step) | extra),
        train_dataset=dataset,
        processing_class=tokenizer,
        callbacks=[step_clock(clock)],
    )
    trainer.train()
    return trainer.model, len(records) - task.batch


def sft_run(spec: Spec, task: Task, tokenizer: Any, clock: Clock) -> tuple[Any, float]:
    """Completion-only loss. Returns prompt and completion tokens of the timed steps."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = []
    for record in spec.records("demonstrations"):
        prompt = prompt_ids(tokenizer, record)
        completion = completion_ids(tokenizer, record["completion"])
        labels = [-100] * len(prompt) + completion
        rows.append({"input_ids": prompt + completion, "labels": labels})
    num_tokens = sum(len(row["input_ids"]) for row in rows)
    packing = bool(task.trl.get("packing"))
    per_step = task.batch
    extra: dict[str, Any] = {"train_sampling_strategy": "group_by_length"}
    if packing:  # as many rows of max_length as hold a batch of demonstrations
        extra = {}
        per_step = max(1, round(task.batch * num_tokens / len(rows) / task.trl["max_length"]))
    trainer = SFTTrainer(
        model=spec.model,
        args=SFTConfig(**arguments(spec, task, per_step) | extra),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[step_clock(clock)],
    )
    trainer.train()
    return trainer.model, num_tokens * (1 - per_step / len(trainer.train_dataset))


def dpo_run(spec: Spec, task: Task, tokenizer: Any, clock: Clock) -> tuple[Any, float]:
    from trl import DPOConfig, DPOTrainer

    rows = []
    for record in spec.records("rankings"):
        better, worse = sorted(
            zip(record["ranks"], record["completions"], strict=True), key=lambda pair: pair[0]
        )
        row = {"prompt": prompt_text(record), "chosen": better[1], "rejected": worse[1]}
        rows.append(row)
    lengths = [max(len(row["chosen"]), len(row["rejected"])) + len(row["prompt"]) for row in rows]
    dataset, extra = grouped(rows, lengths)
    DPOTrainer._precompute_ref_logps = clock.prepared(DPOTrainer._precompute_ref_logps)
    trainer = DPOTrainer(
        model=spec.model,
        args=DPOConfig(**arguments(spec, task, task.batch) | extra),
        train_dataset=dataset,
        processing_class=tokenizer,
        callbacks=[step_clock(clock)],
    )
    trainer.train()
    return trainer.model, len(rows) - task.batch


# ---- online trainers


def online_run(spec: Spec, task: Task, tokenizer: Any, clock: Clock) -> tuple[Any, float]:
    """RLOO or GRPO: sampling, scoring, one update. Returns the completions timed."""
    import trl
    from datasets import Dataset

    from training.benchmarks.side import reward_model_plain

    names = {"rloo": ("RLOOConfig", "RLOOTrainer"), "grpo": ("GRPOConfig", "GRPOTrainer")}
    config, trainer_class = (getattr(trl, name) for name in names[task.trainer])
    records = spec.records("prompts")
    trainer = trainer_class(
        model=spec.model,
        args=config(
            **arguments(spec, task, task.batch),
            num_generations=task.k,
            max_completion_length=task.max_new_tokens,
        ),
        reward_funcs=[reward_model_plain(spec.reward_model)],
        reward_processing_classes=[tokenizer],
        train_dataset=Dataset.from_list([{"prompt": prompt_text(r)} for r in records]),
        processing_class=tokenizer,
        callbacks=[step_clock(clock)],
    )
    trainer.train()
    return trainer.model, len(records) * task.k - task.batch


def ppo_run(spec: Spec, task: Task, tokenizer: Any, clock: Clock) -> tuple[Any, float]:
    """TRL 1.12, the last release with PPO."""
    from datasets import Dataset
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    from training.benchmarks.side import evaluation_models, reward_model_plain

    records = spec.records("prompts")
    rows = [
        {"input_ids": prompt_ids(tokenizer, record)} for record in records for _ in range(task.k)
    ]
    extra = {
        "total_episodes": len(rows),
        "response_length": task.max_new_tokens,
        "temperature": 1.0,
        "stop_token": "eos",
        "num_sample_generations": 0,
        "num_mini_batches": 1,
        "local_rollout_forward_batch_size": batch_of(spec, task),
    }
    policy, reference = evaluation_models(spec.model, spec.model)
    trainer = PPOTrainer(
        args=PPOConfig(**arguments(spec, task, task.batch) | extra),
        processing_class=tokenizer,
        model=policy,
        ref_model=reference,
        reward_model=reward_model_plain(spec.reward_model),
        value_model=reward_model_plain(spec.reward_model),
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(rows[:1]),
        callbacks=[step_clock(clock)],
    )
    trainer.train()
    return trainer.model.policy, len(rows) - task.batch


def generate_run(spec: Spec, task: Task, tokenizer: Any, clock: Clock) -> tuple[Any, float]:
    """transformers' generate on static batches. Returns the tokens of the timed batches."""
    import torch

    from training.benchmarks.evaluation import sample_static
    from training.benchmarks.side import evaluation_models

    (model,) = evaluation_models(spec.model)
    records = [record for record in spec.records("prompts") for _ in range(task.k)]
    rows = [prompt_ids(tokenizer, record) for record in records]
    torch.manual_seed(spec.seed)
    clock.loaded()
    num_tokens = 0
    batch = batch_of(spec, task)
    for start in range(0, len(rows), batch):
        sampled = sample_static(model, tokenizer, rows[start : start + batch], task.max_new_tokens)
        clock.mark()
        if start:
            num_tokens += sum(map(len, sampled))
    return None, num_tokens


if __name__ == "__main__":
    main()
