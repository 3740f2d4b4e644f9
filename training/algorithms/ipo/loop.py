"""IPO: the loop of DPO with a squared loss, which stops at a margin instead of growing it."""

from functools import partial

from training.algorithms.dpo.loop import pairs_run
from training.algorithms.dpo.pairs import Objective
from training.algorithms.formulas.preference_losses import ipo_losses
from training.algorithms.ipo import IPOConfig
from training.algorithms.run_dir import Result, RunDir


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(IPOConfig)
    losses = partial(ipo_losses, beta=config.beta)
    objective = Objective("ipo", losses, config.beta, is_mean=config.reduction == "mean")
    return pairs_run(run_dir, config, objective)
