"""The one forward pass: hidden rows, log-probabilities, shared prompts, packing."""
