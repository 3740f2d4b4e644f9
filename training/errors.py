"""Refusals of the training side. docs/errors.md lists each code; a test holds it complete."""

from annotation.errors import Conflict, InvalidInput


class NotEnoughRankings(Conflict):
    """`extra`: have, need, missing."""

    code = "not_enough_rankings"


class NotEnoughJudgements(Conflict):
    """Thumbs, or rankings and thumbs together. `extra`: have, need, missing."""

    code = "not_enough_judgements"


class NotEnoughDemonstrations(Conflict):
    """`extra`: have, need, missing."""

    code = "not_enough_demonstrations"


class NoPrompts(Conflict):
    """The project has no active prompt to sample for or to train on."""

    code = "no_prompts"


class RoundAlreadyRunning(Conflict):
    """`extra`: round_id, number."""

    code = "round_already_running"


class RoundNotRunning(Conflict):
    code = "round_not_running"


class RoundNotRetryable(Conflict):
    """Only the project's latest round can be taken up again, and only before it deployed."""

    code = "round_not_retryable"


class RoundNotPaused(Conflict):
    code = "round_not_paused"


class RoundNotUndecided(Conflict):
    """Only a round that waits for approval, or was held, leaves something to decide."""

    code = "round_not_undecided"


class NothingToRollBack(Conflict):
    code = "nothing_to_roll_back"


class PresetUnknown(InvalidInput):
    code = "preset_unknown"


class RunFinished(Conflict):
    code = "run_finished"


class RunNotRetryable(Conflict):
    code = "run_not_retryable"


class MethodUnknown(InvalidInput):
    code = "method_unknown"


class StrategyUnknown(InvalidInput):
    code = "strategy_unknown"


class ConfigInvalid(InvalidInput):
    """A hyperparameter or a sampling setting. `extra`: field, value, expectation."""

    code = "config_invalid"


class BaseModelFailed(Conflict):
    """The embedded base model could not be made. `extra`: folder, exit_code."""

    code = "base_model_failed"


class NoPrinciples(Conflict):
    """The project has no active principle to judge or revise by."""

    code = "no_principles"


class NothingToJudge(Conflict):
    """No pair or prompt is left that the AI labeler could be asked about."""

    code = "nothing_to_judge"


class AILabelerInactive(Conflict):
    code = "ai_labeler_inactive"


class AILabelerNameTaken(Conflict):
    code = "ai_labeler_name_taken"


class AIAgreementTooLow(Conflict):
    """Its agreement with people is not measured in its present setting, or not high enough."""

    code = "ai_agreement_too_low"


class NoLivePolicy(Conflict):
    """No policy is deployed, and the base model is not there yet."""

    code = "no_live_policy"


class RepliesOpen(Conflict):
    """`extra`: maximum."""

    code = "replies_open"


class ReplyAttemptsExhausted(Conflict):
    """The same message was answered often enough. `extra`: maximum."""

    code = "reply_attempts_exhausted"


class RepliesNotOffered(Conflict):
    """This task, or its project, has no model's draft or suggestion to offer."""

    code = "replies_not_offered"
