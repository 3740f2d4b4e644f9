"""Every status and kind of the training side, with the groups that services ask about."""

from django.db.models import TextChoices
from django.utils.translation import gettext_noop as _


class RoundStatus(TextChoices):
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RoundStep(TextChoices):
    FREEZE = "freeze", _("Freeze the data")
    SFT = "sft", _("Fine-tune on demonstrations")
    REWARD_MODEL = "reward_model", _("Train the reward model")
    CALIBRATE = "calibrate", _("Check the reward model")
    TEST_REWARD_MODEL = "test_reward_model", _("Train the test reward model")
    POLICY = "policy", _("Improve the policy")
    EVALUATE = "evaluate", _("Measure on held-out prompts")
    DECIDE = "decide", _("Decide")
    DEPLOY = "deploy", _("Deploy")
    SAMPLE = "sample", _("Sample answers")
    QUEUE = "queue", _("Queue for ranking")
    VERDICT = "verdict", _("Wait for people's verdict")


# A run's own step besides those of rounds: work for an AI labeler, whenever an admin asks.
FEEDBACK = "feedback"
RUN_STEPS = [*RoundStep.choices, (FEEDBACK, _("Ask an AI labeler"))]


class FeedbackPurpose(TextChoices):
    MEASURE = "measure", _("Measure agreement with people")
    LABEL = "label", _("Label pairs nobody judged")
    REVISE = "revise", _("Write and revise answers")


class Trigger(TextChoices):
    FIRST = "first", _("First demonstrations")
    AUTOMATIC = "automatic", _("Enough new judgements")
    INTERVAL = "interval", _("The interval is over")
    MANUAL = "manual", _("Started by a person")
    FORGET = "forget", _("A labeler's work was withdrawn")


class Decision(TextChoices):
    """What a round decides about its policy. Hold: not yet, the data or the votes do not say."""

    PROMOTE = "promote", _("Promoted")
    HOLD = "hold", _("Held")
    REJECT = "reject", _("Rejected")


class WaitingFor(TextChoices):
    """What a running round waits for besides its runs."""

    APPROVAL = "approval", _("A person's approval")
    VOTES = "votes", _("People's votes")


class DeploymentRole(TextChoices):
    """PRIMARY is the policy in use; the others go on answering beside it by their weights."""

    PRIMARY = "primary", _("In use")
    PREVIOUS = "previous", _("Previous policy")
    REFERENCE = "reference", _("SFT")


class RewardModelUse(TextChoices):
    SCRATCH = "scratch", _("New from the reference, on all judgements")
    WARM = "warm", _("From the round before")
    NONE = "none", _("None: the method learns from judgements directly")


class PolicyStart(TextChoices):
    REFERENCE = "reference", _("The reference (SFT)")
    PREVIOUS = "previous", _("The policy in use")


class Approval(TextChoices):
    AUTOMATIC = "automatic", _("By the gates alone")
    PERSON = "person", _("A person's, once the gates let it through")


class RetiredTasks(TextChoices):
    """What becomes of unclaimed tasks that show answers of policies no longer deployed."""

    WITHDRAW = "withdraw", _("Withdraw")
    LAST = "last", _("Hand out last")
    KEEP = "keep", _("Keep")


class RunQueue(TextChoices):
    TRAIN = "train"
    SAMPLE = "sample"


class RunStatus(TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


# A run waiting for a worker; an interrupted one goes on from its saved state.
RUN_WAITING = (RunStatus.QUEUED, RunStatus.INTERRUPTED)
RUN_ACTIVE = (*RUN_WAITING, RunStatus.RUNNING)
RUN_TERMINAL = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)
RUN_STOPPED = (RunStatus.FAILED, RunStatus.CANCELLED)
# One of these at a time in a project.
ROUND_OPEN = (RoundStatus.RUNNING, RoundStatus.PAUSED)
ROUND_STOPPED = (RoundStatus.FAILED, RoundStatus.CANCELLED)


class CheckpointKind(TextChoices):
    BASE = "base"
    SFT = "sft", _("SFT")
    REWARD_MODEL = "reward_model", _("Reward model")
    POLICY = "policy"


class SamplePurpose(TextChoices):
    RANKING = "ranking"
    EVALUATION = "evaluation"
    REPLY = "reply"


class ReplyStatus(TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class ReplyFailure(TextChoices):
    """Why nobody replied, in docs/errors.md; pages say it in the reader's language."""

    NO_LIVE_POLICY = "no_live_policy"
    FAILED = "reply_failed"
    DROPPED = "reply_dropped"
    UNHEARD = "reply_unheard"
    TOO_SLOW = "reply_too_slow"
    OUT_OF_ROOM = "reply_out_of_room"


# Somebody waits for it.
REPLY_OPEN = (ReplyStatus.QUEUED, ReplyStatus.RUNNING)
