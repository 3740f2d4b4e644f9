"""What to do about a run or round that failed, by its stable error code."""

from django.utils.translation import gettext_lazy as _

REMEDIES = {
    "data_too_small": _("Collect more judgements, then start a round again."),
    "not_enough_judgements": _("Collect more judgements, then start a round again."),
    "not_enough_rankings": _("Collect more rankings, then start a round again."),
    "not_enough_demonstrations": _("Collect more demonstrations, then start a round again."),
    "no_prompts": _("Import prompts, then retry."),
    "config_invalid": _("Correct the value in the settings, then retry."),
    "checkpoint_invalid": _(
        "Check the base model in the settings and the data folder, then retry."
    ),
    "base_model_failed": _("Look at the worker's log, then retry."),
    "loss_not_finite": _("Lower the learning rate in the settings, then retry."),
    "training_halted": _("Lower the learning rate or raise the KL penalty, then retry."),
    "round_already_running": _("Wait for the round under way, or cancel it."),
    "round_not_running": _("Nothing is left to stop. Look at where the round stands now."),
    "round_not_paused": _("Only a paused round is resumed. Look at where the round stands now."),
    "round_not_retryable": _("Start the next round instead, or roll back first."),
    "round_not_undecided": _("It is decided. Roll its policy back, or retry from a step."),
    "nothing_to_roll_back": _("There is no policy before this one. Train the next one."),
    "preset_unknown": _("Choose one of the protocols that the settings list."),
    "run_cancelled": _("Somebody stopped it. Retry takes it up where it was."),
    "round_cancelled": _("Somebody stopped it. Retry takes it up where it was."),
    "attempts_exhausted": _("Look at the memory of the worker's machine, then retry."),
}
DEFAULT = _("Open the run for the whole error. Retry goes on from the last saved state.")


def remedy_for(code: str) -> str:
    return str(REMEDIES.get(code, DEFAULT))
