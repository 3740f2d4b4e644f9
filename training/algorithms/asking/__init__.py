"""What to ask people next: rules on the scores of an ensemble of heads, without a model."""
