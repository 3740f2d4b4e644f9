"""What to do about a run or round that failed, by its stable error code."""

REMEDIES = {
    "data_too_small": "Collect more judgements, then start a round again.",
    "not_enough_judgements": "Collect more judgements, then start a round again.",
    "not_enough_rankings": "Collect more rankings, then start a round again.",
    "not_enough_demonstrations": "Collect more demonstrations, then start a round again.",
    "no_prompts": "Import prompts, then retry.",
    "config_invalid": "Correct the value in the settings, then retry.",
    "checkpoint_invalid": "Check the base model in the settings and the data folder, then retry.",
    "base_model_failed": "Look at the worker's log, then retry.",
    "loss_not_finite": "Lower the learning rate in the settings, then retry.",
    "training_halted": "Lower the learning rate or raise the KL penalty, then retry.",
    "round_already_running": "Wait for the round under way, or cancel it.",
    "round_not_running": "Nothing is left to stop. Look at where the round stands now.",
    "round_not_paused": "Only a paused round is resumed. Look at where the round stands now.",
    "round_not_retryable": "Start the next round instead, or roll back first.",
    "round_not_undecided": "It is decided. Roll its policy back, or retry from a step.",
    "nothing_to_roll_back": "There is no policy before this one. Train the next one.",
    "preset_unknown": "Choose one of the protocols that the settings list.",
    "run_cancelled": "Somebody stopped it. Retry takes it up where it was.",
    "round_cancelled": "Somebody stopped it. Retry takes it up where it was.",
    "attempts_exhausted": "Look at the memory of the worker's machine, then retry.",
}
DEFAULT = "Open the run for the whole error. Retry goes on from the last saved state."


def remedy_for(code: str) -> str:
    return REMEDIES.get(code, DEFAULT)
