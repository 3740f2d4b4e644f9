"""Records of a run folder as token ids."""
