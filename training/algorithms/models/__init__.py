"""Checkpoints in and out, what is refused, and what differs between families."""
