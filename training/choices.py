"""Every status and kind of the training side, with the groups that services ask about."""

from django.db.models import TextChoices


class RoundStatus(TextChoices):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RoundStep(TextChoices):
    FREEZE = "freeze", "Freeze the data"
    SFT = "sft", "Fine-tune on demonstrations"
    REWARD_MODEL = "reward_model", "Train the reward model"
    POLICY = "policy", "Improve the policy"
    EVALUATE = "evaluate", "Measure on held-out prompts"
    DEPLOY = "deploy", "Deploy"
    SAMPLE = "sample", "Sample answers"
    QUEUE = "queue", "Queue for ranking"


class Trigger(TextChoices):
    FIRST = "first", "First demonstrations"
    AUTOMATIC = "automatic", "Enough new judgements"
    MANUAL = "manual", "Started by a person"


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
ROUND_STOPPED = (RoundStatus.FAILED, RoundStatus.CANCELLED)


class CheckpointKind(TextChoices):
    BASE = "base"
    SFT = "sft", "SFT"
    REWARD_MODEL = "reward_model", "Reward model"
    POLICY = "policy"


class SamplePurpose(TextChoices):
    RANKING = "ranking"
    EVALUATION = "evaluation"
