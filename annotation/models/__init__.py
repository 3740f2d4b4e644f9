from annotation.models.ai import (
    AIJudgement,
    AILabeler,
    AIRevision,
    Principle,
    PrincipleVersion,
)
from annotation.models.assignment import Assignment
from annotation.models.audit import AuditEvent
from annotation.models.brief import Brief
from annotation.models.comparison import ComparisonDimension
from annotation.models.completion import Completion
from annotation.models.consent import Consent
from annotation.models.conversation import Conversation, Turn
from annotation.models.demonstration import Demonstration
from annotation.models.evidence import EvidenceMark
from annotation.models.exclusion import Exclusion
from annotation.models.guidelines import GuidelinesVersion
from annotation.models.project import Membership, Project
from annotation.models.prompt import Prompt
from annotation.models.ranking import Ranking, RankingItem
from annotation.models.rating import CompletionRating, FlagSchema
from annotation.models.report import Report
from annotation.models.task import Task, TaskCompletion
from annotation.models.thumb import Thumb
from annotation.models.token import ApiToken
from annotation.models.written_prompt import WrittenPrompt

__all__ = [
    "AIJudgement",
    "AILabeler",
    "AIRevision",
    "ApiToken",
    "Assignment",
    "AuditEvent",
    "Brief",
    "ComparisonDimension",
    "Completion",
    "CompletionRating",
    "Consent",
    "Conversation",
    "Demonstration",
    "EvidenceMark",
    "Exclusion",
    "FlagSchema",
    "GuidelinesVersion",
    "Membership",
    "Principle",
    "PrincipleVersion",
    "Project",
    "Prompt",
    "Ranking",
    "RankingItem",
    "Report",
    "Task",
    "TaskCompletion",
    "Thumb",
    "Turn",
    "WrittenPrompt",
]
