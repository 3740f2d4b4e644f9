"""The favorites of heads drawn at random: dueling Thompson sampling (Liu et al. 2024)."""

from training.strategies.base import ActiveStrategy

STRATEGY = ActiveStrategy("thompson", "Answers that might be the best")
