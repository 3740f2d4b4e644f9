"""Small pure functions on tensors and numbers, each with its source."""
