"""Identity preference optimization (Azar et al. 2023, arXiv 2310.12036)."""

from dataclasses import dataclass
from typing import Literal

from training.algorithms.configs import option
from training.algorithms.dpo import PairConfig, pair_config_validate
from training.algorithms.methods import Method


@dataclass(frozen=True, slots=True)
class IPOConfig(PairConfig):
    beta: float = option(
        0.1, "The paper's tau: the margin of a pair is drawn to 1 / (2 beta) nats, not beyond."
    )
    reduction: Literal["sum", "mean"] = option(
        "sum",
        "Log-probability of a completion: the sum over its tokens as in the paper, or their mean. "
        "The same beta means something else in each.",
    )

    def validate(self) -> None:
        pair_config_validate(self)


METHOD = Method(
    name="ipo",
    title="Identity preference optimization",
    stage="policy",
    config=IPOConfig,
    queue="train",
    inputs=("reference",),
    data=("rankings",),
    produces="policy",
)
