"""What the methods share that sample, score and learn from it."""
