"""An ensemble of scalar heads on frozen features: how sure is the reward model of a difference?

Randomized priors (Osband et al. 2018, arXiv 1806.03335): head m is f_m + beta p_m, where p_m is a
fixed random function and f_m is fitted to the rankings through the sum, on a bootstrap of its own.
Where data speak the heads agree; far from them their priors keep them apart. Features are computed
once, so fitting takes seconds and asking costs nothing. N completions, D features, M heads.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.algorithms.formulas.ranking_losses import (
    pair_losses,
    rank_table,
    ranking_losses,
    ranking_pairs,
)
from training.algorithms.seeds import generator_for, permutation

WEIGHTS, CONFIG = "ensemble.safetensors", "ensemble.json"


@dataclass(frozen=True, slots=True)
class EnsembleConfig:
    num_heads: int
    hidden_size: int = 0
    """Hidden units per head, 0: linear."""
    prior_scale: float = 1.0
    """beta; a prior function has standard deviation about 1 over the training features."""
    num_steps: int = 300
    batch_size: int = 256
    """Rankings per step."""
    learning_rate: float = 1e-2
    weight_decay: float = 1e-2


@dataclass(frozen=True, slots=True)
class Ensemble:
    config: EnsembleConfig
    tensors: dict[str, Tensor]
    """"center" and "spread" [D] of the training features, "offset" [M]; "prior.*" and "head.*":
    "out" [M, H], and with hidden units "in" [M, D, H] and "in_bias" [M, H]; H = D without."""


def ensemble_fit(
    features: Tensor, ranks: Sequence[Sequence[int]], config: EnsembleConfig, seed: int
) -> Ensemble:
    """Fits all heads at once to features [N, D] of the rankings' completions, ranking by ranking.

    Each head weighs each ranking by its own Poisson(1) draw, the bootstrap of a stream. Ties count
    one half. Every head is shifted to average 0 over the features given.
    """
    features = features.double()
    center, spread = features.mean(0), features.std(0, correction=0).clamp(min=1e-6)
    rows = (features - center) / spread
    prior = _draw(config, rows.shape[1], seed, "prior")
    head = _draw(config, rows.shape[1], seed, "head")
    if config.hidden_size == 0:
        head["out"].zero_()
    _train(rows, ranks, config, seed, prior, head)
    values = _apply(rows, head) + config.prior_scale * _apply(rows, prior)
    tensors = {"center": center, "spread": spread, "offset": values.mean(0)}
    for name, weights in (("prior", prior), ("head", head)):
        tensors |= {f"{name}.{key}": tensor.detach() for key, tensor in weights.items()}
    return Ensemble(config, tensors)


@torch.no_grad()
def ensemble_scores(ensemble: Ensemble, features: Tensor) -> Tensor:
    """Scores [N, M] in log odds of features [N, D]; each head averages 0 over its training data."""
    tensors = ensemble.tensors
    rows = (features.double() - tensors["center"]) / tensors["spread"]
    parts = {
        name: _apply(rows, {k.split(".")[1]: v for k, v in tensors.items() if k.startswith(name)})
        for name in ("head", "prior")
    }
    return parts["head"] + ensemble.config.prior_scale * parts["prior"] - tensors["offset"]


def pair_uncertainty(scores: Tensor) -> Tensor:
    """Standard deviation over heads of all score differences: [N, M] -> [N, N], log odds."""
    return (scores[:, None] - scores[None, :]).std(-1, correction=0)


def ensemble_save(ensemble: Ensemble, folder: Path) -> None:
    """Two files beside the reward model whose features it reads."""
    tensors = {name: tensor.contiguous() for name, tensor in ensemble.tensors.items()}
    save_file(tensors, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(asdict(ensemble.config)), encoding="utf-8")


def ensemble_load(folder: Path) -> Ensemble | None:
    """None for a reward model without one."""
    if not (folder / CONFIG).exists():
        return None
    config = EnsembleConfig(**json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    return Ensemble(config, load_file(folder / WEIGHTS))


def _draw(config: EnsembleConfig, size: int, seed: int, name: str) -> dict[str, Tensor]:
    """Weights of all heads, of variance 1 over the number of inputs."""
    generator = generator_for(seed, "ensemble", name)

    def normal(*shape: int, inputs: int) -> Tensor:
        draw = torch.randn(shape, generator=generator, dtype=torch.float64)
        return draw / math.sqrt(inputs)

    num_heads, hidden = config.num_heads, config.hidden_size
    if hidden == 0:
        return {"out": normal(num_heads, size, inputs=size)}
    return {
        "in": normal(num_heads, size, hidden, inputs=size),
        "in_bias": normal(num_heads, hidden, inputs=1),
        "out": normal(num_heads, hidden, inputs=hidden),
    }


def _apply(rows: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """rows [N, D] -> [N, M]; one hidden layer of tanh, or none."""
    if "in" not in weights:
        return rows @ weights["out"].T
    units = torch.einsum("nd,mdh->nmh", rows, weights["in"]) + weights["in_bias"]
    return (torch.tanh(units) * weights["out"]).sum(-1)


def _train(
    rows: Tensor,
    ranks: Sequence[Sequence[int]],
    config: EnsembleConfig,
    seed: int,
    prior: dict[str, Tensor],
    head: dict[str, Tensor],
) -> None:
    """Trains `head` in place. The heads share no weight, so their summed loss trains each alone."""
    table = rank_table(ranks)
    parts = torch.arange(len(rows)).split([len(row) for row in ranks])
    counts = torch.poisson(
        torch.ones(len(ranks), config.num_heads), generator_for(seed, "ensemble", "bootstrap")
    ).double()
    optimizer = torch.optim.AdamW(
        [tensor.requires_grad_() for tensor in head.values()],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
    )
    with torch.no_grad():
        prior_values = config.prior_scale * _apply(rows, prior)
    per_epoch = math.ceil(len(ranks) / config.batch_size)
    for step in range(config.num_steps):
        epoch, start = divmod(step, per_epoch)
        order = permutation(len(ranks), seed, "ensemble", epoch)
        batch = order[start * config.batch_size : (start + 1) * config.batch_size]
        index = torch.cat([parts[ranking] for ranking in batch])
        values = _apply(rows[index], head) + prior_values[index]  # [n, M]
        loss = _loss(values, table[batch], counts[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _loss(values: Tensor, table: Tensor, counts: Tensor) -> Tensor:
    """Sum over heads of the mean ranking loss with weights counts [R, M]; values [n, M]."""
    num_rankings, num_heads = counts.shape
    # Head after head, as so many more rankings.
    pairs = ranking_pairs(values.T.flatten(), table.repeat(num_heads, 1))
    losses = ranking_losses(pair_losses(pairs), pairs.mask).view(num_heads, num_rankings).T
    return (losses * counts).sum() / num_rankings
