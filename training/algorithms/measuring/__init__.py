"""Scores, their uncertainty and how far they can be trusted."""
