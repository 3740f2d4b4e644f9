"""The arithmetic that a task needs at least: what a perfect engine would have to compute.

2 floating point operations per weight and token forward, 6 with the backward pass. A prompt shared
by several completions is counted once, padding never, the vocabulary projection only where a
token is predicted, the reference model once per pass over the data. Attention between tokens is
left out (below a tenth here), as are the optimizer and softmax.
"""

from dataclasses import dataclass

from training.benchmarks.tasks import ModelSize, Task

FORWARD, TRAIN = 2, 6


@dataclass(frozen=True, slots=True)
class Lengths:
    """Mean tokens of a prompt and of a completion, template and EOS included."""

    prompt: float
    completion: float


def mean_lengths(task: Task) -> Lengths:
    """Expected lengths of the data; sampled completions are measured, see `unit_flops`."""
    template, eos = 3, 1
    low, high = task.prompt_words
    first, last = task.completion_words
    return Lengths((low + high) / 2 + template, (first + last) / 2 + eos)


def unit_flops(task: Task, size: ModelSize, lengths: Lengths) -> float:
    """Floating point operations per unit of the task."""
    body, head = size.body_parameters, size.head_parameters
    prompt, completion = lengths.prompt, lengths.completion
    if task.trainer == "reward":
        return TRAIN * body * (prompt + task.k * completion)
    if task.trainer == "sft":  # per token
        tokens = prompt + completion
        return TRAIN * (body * tokens + head * completion) / tokens
    if task.trainer == "dpo":
        policy = body * (prompt + 2 * completion) + head * 2 * completion
        return (TRAIN + FORWARD) * policy
    scalar = body * (prompt / task.k + completion)
    policy = scalar + head * completion
    if task.trainer == "generate":  # per token
        return FORWARD * policy / completion
    if task.trainer in ("rloo", "grpo"):  # sample, reference, update; reward model
        return (FORWARD + FORWARD + TRAIN) * policy + FORWARD * scalar
    epochs = int(task.ours["num_epochs"])
    updates = TRAIN * epochs
    # policy: sample, reference, updates; value model: once, updates; reward model
    return (2 * FORWARD + updates) * policy + (FORWARD + updates) * scalar + FORWARD * scalar
