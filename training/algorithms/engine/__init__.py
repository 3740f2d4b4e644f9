"""Training as all methods share it: learner, loop, processes, resume state."""
