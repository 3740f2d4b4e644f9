"""Every status and role of the annotation app, with the groups that code asks about."""

from enum import nonmember

from django.db import models
from django.utils.translation import gettext_noop as _


class Role(models.TextChoices):
    """What a member may do; each role includes the ones above it in this list."""

    LABELER = "labeler", _("Labeler")
    REVIEWER = "reviewer", _("Reviewer")
    ADMIN = "admin", _("Admin")

    def includes(self, other: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(other)


class Origin(models.TextChoices):
    """Who wrote a completion."""

    MODEL = "model", _("Model")
    PERSON = "person", _("Person")


class TaskStatus(models.TextChoices):
    OPEN = "open", _("Open")
    CLOSED = "closed", _("Closed")
    WITHDRAWN = "withdrawn", _("Withdrawn")


class AssignmentStatus(models.TextChoices):
    ACTIVE = "active", _("Active")
    SUBMITTED = "submitted", _("Submitted")
    SKIPPED = "skipped", _("Skipped")
    EXPIRED = "expired", _("Expired")
    WITHDRAWN = "withdrawn", _("Withdrawn")

    # Hold one of the task's slots: Task.claims counts exactly these.
    LIVE = nonmember(("active", "submitted"))
    # Have a finished_at. Only RECLAIMABLE ones may become active again.
    TERMINAL = nonmember(("submitted", "skipped", "expired", "withdrawn"))
    # The lease ended without the annotator's decision: the task may be offered to them again.
    RECLAIMABLE = nonmember(("expired", "withdrawn"))


class AILabelerKind(models.TextChoices):
    """Where the model that judges is."""

    ENDPOINT = "endpoint", _("Server")
    CHECKPOINT = "checkpoint", _("Checkpoint")


class RevisionStatus(models.TextChoices):
    """Whether a person took an AI's revision as a demonstration."""

    WAITING = "waiting", _("Waiting")
    APPROVED = "approved", _("Approved")
    REFUSED = "refused", _("Refused")


class BriefKind(models.TextChoices):
    """What a brief tells the person who works on a task."""

    RULE = "rule", _("Rule")
    GOAL = "goal", _("Goal")
    USE_CASE = "use_case", _("Use case")
    TOPIC = "topic", _("Topic")


class PromptSource(models.TextChoices):
    """How a prompt came into the project."""

    IMPORTED = "imported", _("Imported")
    WRITTEN = "written", _("Written by a labeler")
    # One turn of a live conversation; the loop never samples from it by itself.
    CONVERSATION = "conversation", _("Turn of a conversation")


class PromptForm(models.TextChoices):
    """How labelers write prompts (InstructGPT, arXiv 2203.02155, section 3.2)."""

    PLAIN = "plain", _("Plain")
    FEW_SHOT = "few_shot", _("Few-shot")
    USE_CASE = "use_case", _("For a use case")


class UseCase(models.TextChoices):
    """The use-case tags of InstructGPT (arXiv 2203.02155, table 1)."""

    GENERATION = "generation", _("Generation")
    OPEN_QA = "open_qa", _("Open QA")
    BRAINSTORMING = "brainstorming", _("Brainstorming")
    CHAT = "chat", _("Chat")
    REWRITE = "rewrite", _("Rewrite")
    SUMMARIZATION = "summarization", _("Summarization")
    CLASSIFICATION = "classification", _("Classification")
    CLOSED_QA = "closed_qa", _("Closed QA")
    EXTRACT = "extract", _("Extract")
    OTHER = "other", _("Other")


class RuleVerdict(models.TextChoices):
    """Whether a probed rule was broken."""

    BROKEN = "broken", _("Broken")
    KEPT = "kept", _("Kept")
    UNSURE = "unsure", _("Unsure")


class ReportKind(models.TextChoices):
    """What a labeler tells the project's admins about a task."""

    CONTENT = "content", _("Flagged content")
    PROBLEM = "problem", _("Problem with the task or the page")
