from annotation.models.ai import (
    AIJudgement,
    AILabeler,
    AIRevision,
    Principle,
    PrincipleVersion,
)
from annotation.models.assignment import Assignment
from annotation.models.audit import AuditEvent
from annotation.models.completion import Completion
from annotation.models.demonstration import Demonstration
from annotation.models.exclusion import Exclusion
from annotation.models.project import Membership, Project
from annotation.models.prompt import Prompt
from annotation.models.ranking import Ranking, RankingItem
from annotation.models.task import Task, TaskCompletion
from annotation.models.thumb import Thumb
from annotation.models.token import ApiToken

__all__ = [
    "AIJudgement",
    "AILabeler",
    "AIRevision",
    "ApiToken",
    "Assignment",
    "AuditEvent",
    "Completion",
    "Demonstration",
    "Exclusion",
    "Membership",
    "Principle",
    "PrincipleVersion",
    "Project",
    "Prompt",
    "Ranking",
    "RankingItem",
    "Task",
    "TaskCompletion",
    "Thumb",
]
