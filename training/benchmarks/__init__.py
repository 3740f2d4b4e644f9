"""Timing the engine beside TRL. No Django; the TRL side runs in environments of its own."""
