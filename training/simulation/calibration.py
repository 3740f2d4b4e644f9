"""How far apart two samples of a model are in hidden value, and what scale that asks for.

    python -m training.simulation.calibration MODEL_FOLDER [--prompts 150] [--seed 1]

samples four completions per demo prompt in a process of their own and prints the mean and the
spread of their hidden values and the scale at which two labelers agree on 75 % of the pairs.
"""

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from statistics import mean

from training.algorithms.pretrain.corpus import demo_prompts, ideal_answer
from training.simulation.preference import (
    DEFAULT_SCALE,
    agreement_rate,
    hidden_value,
    scale_for_agreement,
)

AGREEMENT = 0.75
_NUM_COMPLETIONS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", help="Hugging Face folder of a causal language model")
    parser.add_argument("--prompts", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    prompts = demo_prompts(options.seed, options.prompts)
    for name, value in calibration_measure(prompts, _sample(options.model, prompts, options.seed)):
        print(f"{name:44} {value:7.3f}")


def calibration_measure(prompts: list[str], answers: list[list[str]]) -> list[tuple[str, float]]:
    """Named numbers; `answers` holds at least two completions for each prompt."""
    values = [
        [hidden_value(prompt, answer) for answer in group]
        for prompt, group in zip(prompts, answers, strict=True)
    ]
    differences = [a - b for group in values for a, b in combinations(group, 2)]
    ideal = [hidden_value(p, ideal_answer(p, random.Random(p))) for p in prompts]
    return [
        ("mean hidden value of samples", mean(value for group in values for value in group)),
        ("spread within a prompt", math.sqrt(mean(d * d for d in differences) / 2)),
        ("mean hidden value of ideal answers", mean(ideal)),
        (f"scale for {AGREEMENT:.0%} agreement", scale_for_agreement(differences, AGREEMENT)),
        ("agreement at the default scale", agreement_rate(differences, DEFAULT_SCALE)),
        ("mean words of samples", mean(len(a.split()) for group in answers for a in group)),
    ]


def _sample(model: str, prompts: list[str], seed: int) -> list[list[str]]:
    """Runs the `sample` method in a temporary run folder. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        run = {
            "method": "sample",
            "config": {"num_completions": _NUM_COMPLETIONS, "max_new_tokens": 96},
            "seed": seed,
            "inputs": {"policy": str(Path(model).absolute())},
        }
        (folder / "run.json").write_text(json.dumps(run))
        records = [
            {"prompt_id": i, "prompt": [{"role": "user", "content": text}], "split": "train"}
            for i, text in enumerate(prompts)
        ]
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (folder / "data" / "prompts.jsonl").write_text(lines)
        command = [sys.executable, "-m", "training.algorithms.sample", name]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        grouped: dict[int, list[str]] = defaultdict(list)
        for line in (folder / "samples.jsonl").read_text().splitlines():
            sample = json.loads(line)
            grouped[sample["prompt_id"]].append(sample["text"])
    return [grouped[i] for i in range(len(prompts))]


if __name__ == "__main__":
    main()
