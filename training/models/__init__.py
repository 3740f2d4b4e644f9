from training.models.checkpoint import Checkpoint, Deployment
from training.models.feedback import FeedbackRun
from training.models.loop import LoopSettings
from training.models.reply import ReplyRequest
from training.models.round import Round
from training.models.run import Metric, Run, RunParent
from training.models.sample import Sample
from training.models.snapshot import Snapshot

__all__ = [
    "Checkpoint",
    "Deployment",
    "FeedbackRun",
    "LoopSettings",
    "Metric",
    "ReplyRequest",
    "Round",
    "Run",
    "RunParent",
    "Sample",
    "Snapshot",
]
