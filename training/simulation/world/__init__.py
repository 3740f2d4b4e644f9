"""Simulated worlds: a tiny language, hidden gold preferences, and labelers who act through the API.

A world is small enough to be run from the first label to the last policy in about a minute, so that
whole loops can be compared over many seeds. docs/simulation.md tells how.
"""
