"""Every status and role of the annotation app, with the groups that code asks about."""

from enum import nonmember

from django.db import models


class Role(models.TextChoices):
    """What a member may do; each role includes the ones above it in this list."""

    LABELER = "labeler", "Labeler"
    REVIEWER = "reviewer", "Reviewer"
    ADMIN = "admin", "Admin"

    def includes(self, other: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(other)


class Origin(models.TextChoices):
    """Who wrote a completion."""

    MODEL = "model", "Model"
    PERSON = "person", "Person"


class TaskStatus(models.TextChoices):
    OPEN = "open", "Open"
    CLOSED = "closed", "Closed"
    WITHDRAWN = "withdrawn", "Withdrawn"


class AssignmentStatus(models.TextChoices):
    ACTIVE = "active", "Active"
    SUBMITTED = "submitted", "Submitted"
    SKIPPED = "skipped", "Skipped"
    EXPIRED = "expired", "Expired"
    WITHDRAWN = "withdrawn", "Withdrawn"

    # Hold one of the task's slots: Task.claims counts exactly these.
    LIVE = nonmember(("active", "submitted"))
    # Have a finished_at. Only RECLAIMABLE ones may become active again.
    TERMINAL = nonmember(("submitted", "skipped", "expired", "withdrawn"))
    # The lease ended without the annotator's decision: the task may be offered to them again.
    RECLAIMABLE = nonmember(("expired", "withdrawn"))


class AILabelerKind(models.TextChoices):
    """Where the model that judges is."""

    ENDPOINT = "endpoint", "Server"
    CHECKPOINT = "checkpoint", "Checkpoint"


class RevisionStatus(models.TextChoices):
    """Whether a person took an AI's revision as a demonstration."""

    WAITING = "waiting", "Waiting"
    APPROVED = "approved", "Approved"
    REFUSED = "refused", "Refused"
