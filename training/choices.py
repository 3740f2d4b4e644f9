"""Every status and kind of the training side, with the groups that services ask about."""

from django.db.models import TextChoices


class RoundStatus(TextChoices):
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RoundStep(TextChoices):
    FREEZE = "freeze", "Freeze the data"
    SFT = "sft", "Fine-tune on demonstrations"
    REWARD_MODEL = "reward_model", "Train the reward model"
    CALIBRATE = "calibrate", "Check the reward model"
    TEST_REWARD_MODEL = "test_reward_model", "Train the test reward model"
    POLICY = "policy", "Improve the policy"
    EVALUATE = "evaluate", "Measure on held-out prompts"
    DECIDE = "decide", "Decide"
    DEPLOY = "deploy", "Deploy"
    SAMPLE = "sample", "Sample answers"
    QUEUE = "queue", "Queue for ranking"
    VERDICT = "verdict", "Wait for people's verdict"


# A run's own step besides those of rounds: work for an AI labeler, whenever an admin asks.
FEEDBACK = "feedback"
RUN_STEPS = [*RoundStep.choices, (FEEDBACK, "Ask an AI labeler")]


class FeedbackPurpose(TextChoices):
    MEASURE = "measure", "Measure agreement with people"
    LABEL = "label", "Label pairs nobody judged"
    REVISE = "revise", "Write and revise answers"


class Trigger(TextChoices):
    FIRST = "first", "First demonstrations"
    AUTOMATIC = "automatic", "Enough new judgements"
    INTERVAL = "interval", "The interval is over"
    MANUAL = "manual", "Started by a person"
    FORGET = "forget", "A labeler's work was withdrawn"


class Decision(TextChoices):
    """What a round decides about its policy. Hold: not yet, the data or the votes do not say."""

    PROMOTE = "promote", "Promoted"
    HOLD = "hold", "Held"
    REJECT = "reject", "Rejected"


class WaitingFor(TextChoices):
    """What a running round waits for besides its runs."""

    APPROVAL = "approval", "A person's approval"
    VOTES = "votes", "People's votes"


class DeploymentRole(TextChoices):
    """PRIMARY is the policy in use; the others go on answering beside it by their weights."""

    PRIMARY = "primary", "In use"
    PREVIOUS = "previous", "Previous policy"
    REFERENCE = "reference", "SFT"


class RewardModelUse(TextChoices):
    SCRATCH = "scratch", "New from the reference, on all judgements"
    WARM = "warm", "From the round before"
    NONE = "none", "None: the method learns from judgements directly"


class PolicyStart(TextChoices):
    REFERENCE = "reference", "The reference (SFT)"
    PREVIOUS = "previous", "The policy in use"


class Approval(TextChoices):
    AUTOMATIC = "automatic", "By the gates alone"
    PERSON = "person", "A person's, once the gates let it through"


class RetiredTasks(TextChoices):
    """What becomes of unclaimed tasks that show answers of policies no longer deployed."""

    WITHDRAW = "withdraw", "Withdraw"
    LAST = "last", "Hand out last"
    KEEP = "keep", "Keep"


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
    SFT = "sft", "SFT"
    REWARD_MODEL = "reward_model", "Reward model"
    POLICY = "policy"


class SamplePurpose(TextChoices):
    RANKING = "ranking"
    EVALUATION = "evaluation"
