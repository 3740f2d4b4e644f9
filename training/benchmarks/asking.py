"""Do the strategies ask better than chance? Their rules and heads on a truth as simple as they are.

    python -m training.benchmarks.asking [--seeds 24] [--hard-share 0.1]

Answers are features of 16 numbers, people's truth is linear in them, people choose between two by
Bradley-Terry. Easy prompts vary in the first 2 numbers only, hard ones in the other 14. Each batch
asks 25 prompts of a pool of 75 about 2 of 8 candidates, the first batch by chance; then heads are
fitted to all answers so far. Printed: accuracy of the heads' mean on pairs of new prompts, half of
them hard whatever the pool, and its difference to `random`, paired by seed. Nothing trains a policy
here: docs/asking.md says what follows from it.
"""

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor

from training.algorithms.asking.completions import RULES, Shown, at_random
from training.algorithms.asking.prompts import rows_choose
from training.algorithms.measuring.ensemble import EnsembleConfig, ensemble_fit, ensemble_scores
from training.algorithms.measuring.intervals import mean_and_error
from training.algorithms.seeds import generator_for, seed_mix

NUM_FEATURES, NUM_EASY = 16, 2
POOL, BATCH, NUM_CANDIDATES, NUM_BATCHES = 75, 25, 8, 4
RANDOM_SHARE = 0.2
NUM_TEST = 400
HEADS = EnsembleConfig(num_heads=10)
RANDOM = "random"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--hard-share", type=float, default=0.1)
    options = parser.parse_args()
    names = (RANDOM, *RULES)
    accuracies = {
        name: [curve(name, options.hard_share, seed) for seed in range(1, options.seeds + 1)]
        for name in names
    }
    print("| rankings | strategy | accuracy | difference to random | in s.e. |")
    print("|---:|---|---:|---:|---:|")
    for batch in range(1, NUM_BATCHES):
        for name in names:
            print(table_row(batch, name, accuracies))


def table_row(batch: int, name: str, accuracies: dict[str, list[list[float]]]) -> str:
    own = [curve[batch] for curve in accuracies[name]]
    mean, _ = mean_and_error(own)
    cells = [f"{(batch + 1) * BATCH}", f"`{name}`", f"{mean:.3f}", "", ""]
    if name != RANDOM:
        chance = [curve[batch] for curve in accuracies[RANDOM]]
        gain, error = mean_and_error([a - b for a, b in zip(own, chance, strict=True)])
        cells[3:] = [f"{gain:+.3f} ± {error:.3f}", f"{gain / error:+.1f}"]
    return f"| {' | '.join(cells)} |"


def curve(name: str, hard_share: float, seed: int) -> list[float]:
    """Accuracy on pairs of new prompts after each batch of rankings."""
    truth = torch.randn(NUM_FEATURES, generator=generator_for(seed, "truth"), dtype=torch.float64)
    test = prompts_draw(NUM_TEST, 0.5, seed_mix(seed, "test"))[:, :2]
    features: list[Tensor] = []
    ranks: list[list[int]] = []
    accuracy: list[float] = []
    ensemble = None
    for batch in range(NUM_BATCHES):
        draw = seed_mix(seed, "batch", batch)
        pool = prompts_draw(POOL, hard_share, draw)
        generator = generator_for(draw, "rule")
        chance = [at_random(NUM_CANDIDATES, 2, generator) for _ in range(POOL)]
        shown, asked = chance, list(range(BATCH))
        if ensemble is not None and name != RANDOM:
            scores = [ensemble_scores(ensemble, candidates) for candidates in pool]
            wanted = [RULES[name](each, 2, generator) for each in scores]
            choice = rows_choose(_scores(wanted), [False] * POOL, BATCH, RANDOM_SHARE, draw)
            asked = choice.at_random + choice.by_score
            by_score = set(choice.by_score)
            shown = [wanted[row] if row in by_score else chance[row] for row in range(POOL)]
        for row in asked:
            pair = pool[row][list(shown[row].places)]
            first_wins = torch.sigmoid((pair[0] - pair[1]) @ truth)
            is_first = bool(torch.rand(1, generator=generator, dtype=torch.float64) < first_wins)
            features.append(pair)
            ranks.append([1, 2] if is_first else [2, 1])
        ensemble = ensemble_fit(torch.cat(features), ranks, HEADS, seed)
        accuracy.append(
            _accuracy(ensemble_scores(ensemble, test.flatten(0, 1)).mean(1), test, truth)
        )
    return accuracy


def prompts_draw(num: int, hard_share: float, seed: int) -> Tensor:
    """Candidates [num, NUM_CANDIDATES, NUM_FEATURES] of prompts, the first ones hard."""
    generator = generator_for(seed, "prompts")
    drawn = torch.randn(num, NUM_CANDIDATES, NUM_FEATURES, generator=generator, dtype=torch.float64)
    num_hard = round(hard_share * num)
    drawn[:num_hard, :, :NUM_EASY] = 0
    drawn[num_hard:, :, NUM_EASY:] = 0
    return drawn[torch.randperm(num, generator=generator)]


def _scores(wanted: Sequence[Shown]) -> list[float]:
    return [each.score or 0.0 for each in wanted]


def _accuracy(means: Tensor, test: Tensor, truth: Tensor) -> float:
    """Share of the test pairs [N, 2, D] that the means [2 N] order as the truth does."""
    first, second = means.view(-1, 2).unbind(1)
    is_first = ((test[:, 0] - test[:, 1]) @ truth) > 0
    return float(((first > second) == is_first).double().mean())


if __name__ == "__main__":
    main()
