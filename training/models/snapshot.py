from django.db import models

from annotation.models.base import CreatedModel


class Snapshot(CreatedModel):
    """The judgements a round trains on, frozen: immutable files named by their content's hash.

    A person's judgement is the submitted assignment it belongs to, whatever its kind.
    """

    project = models.ForeignKey(
        "annotation.Project", on_delete=models.CASCADE, related_name="snapshots"
    )
    hash = models.CharField(max_length=64)
    seed = models.PositiveIntegerField()
    manifest = models.JSONField(help_text="Counts per file and split.")
    assignments = models.ManyToManyField(
        "annotation.Assignment", related_name="snapshots", blank=True
    )
    ai_judgements = models.ManyToManyField(
        "annotation.AIJudgement", related_name="snapshots", blank=True
    )
    ai_revisions = models.ManyToManyField(
        "annotation.AIRevision", related_name="snapshots", blank=True
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "hash"], name="snapshot_unique_hash")
        ]

    def __str__(self) -> str:
        return self.hash[:12]
