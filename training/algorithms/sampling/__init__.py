"""Completions from this process or from a server."""
