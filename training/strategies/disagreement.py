"""Answers whose preference the reward model's heads disagree on most (Christiano et al. 2017)."""

from training.strategies.base import ActiveStrategy

STRATEGY = ActiveStrategy("disagreement", "Where the reward model is unsure")
