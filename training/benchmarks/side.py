"""What both sides share: the specification they are started with, loading, final evaluation."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.benchmarks.tasks import TASKS, Task
from training.benchmarks.workload import jsonl_read


@dataclass(frozen=True, slots=True)
class Spec:
    """One run of one side."""

    task: str
    smoke: bool
    seed: int
    data: str
    """Folder of data_write."""
    model: str
    """Folder of the model that training starts from."""
    reward_model: str
    """Folder of the reward model that completions are scored by."""
    scratch: str
    """Empty folder for whatever the run writes."""
    threads: int
    precision: str
    """"fp32", or "bf16" where there is a GPU."""
    trl_batch: int
    """Overrides the task's when above 0."""

    def resolved(self) -> Task:
        task = TASKS[self.task]
        return task.smoke() if self.smoke else task

    def records(self, name: str) -> list[dict[str, Any]]:
        return jsonl_read(Path(self.data) / f"{name}.jsonl")


def spec_read() -> Spec:
    """From the file named on the command line."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m training.benchmarks.<side> SPEC.json")
    return Spec(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))


def evaluation_models(*folders: str) -> list[Any]:
    """Causal models for evaluation, plain transformers, fp32."""
    import torch
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return [
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval().to(device)
        for folder in folders
    ]


def reward_model_plain(folder: str) -> Any:
    import torch
    from transformers import AutoModelForSequenceClassification

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=1, dtype=torch.float32
    )
    return model.eval().to(device)


def quality(spec: Spec, task: Task, model: Any, tokenizer: Any) -> dict[str, float]:
    """What the trained model is worth on held-out data; the same code for both sides."""
    from training.benchmarks import evaluation

    model.eval()
    records = spec.records("held_out")
    if task.trainer == "reward":
        return {"held_out_accuracy": evaluation.pair_accuracy(model, tokenizer, records)}
    if task.trainer == "sft":
        return {"held_out_loss": evaluation.demonstration_loss(model, tokenizer, records)}
    (reference,) = evaluation_models(spec.model)
    if task.trainer == "dpo":
        accuracy = evaluation.implicit_accuracy(model, reference, tokenizer, records)
        return {"held_out_accuracy": accuracy}
    return evaluation.policy_report(
        model,
        reference,
        reward_model_plain(spec.reward_model),
        tokenizer,
        records,
        task.max_new_tokens,
    )


def quiet() -> None:
    """No network, no reports, before transformers is imported."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ[name] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
