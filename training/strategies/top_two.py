"""The answers of highest mean score, prompts where they are closest first."""

from training.strategies.base import ActiveStrategy

STRATEGY = ActiveStrategy("top_two", "The best answers, where they are close", needs_ensemble=False)
