from django.db import models

from annotation.choices import TaskStatus
from annotation.models.base import CreatedModel, choices_check
from annotation.models.brief import Brief
from annotation.models.completion import Completion
from annotation.models.project import Project
from annotation.models.prompt import Prompt


class Task(CreatedModel):
    """One thing to be judged, by ``judgements_wanted`` different annotators.

    ``claims`` counts the live (active and submitted) assignments. It is the lock of the queue:
    a slot is taken by a conditional update of this row and by nothing else.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="tasks")
    kind = models.CharField(max_length=40)
    prompt = models.ForeignKey(
        Prompt,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="tasks",
        help_text="Empty where the person begins: a conversation, a prompt to be written.",
    )
    brief = models.ForeignKey(
        Brief, on_delete=models.PROTECT, null=True, blank=True, related_name="tasks"
    )
    completions = models.ManyToManyField(Completion, through="TaskCompletion", related_name="tasks")
    judgements_wanted = models.PositiveIntegerField(default=1)
    claims = models.PositiveIntegerField(default=0, editable=False)
    status = models.CharField(max_length=10, choices=TaskStatus.choices, default=TaskStatus.OPEN)
    strategy = models.CharField(
        max_length=60, blank=True, help_text="What chose this prompt to be asked about."
    )
    strategy_score = models.FloatField(null=True, blank=True)
    priority = models.SmallIntegerField(
        default=0, help_text="Higher ones are handed out first; equal ones in order of making."
    )
    withdrawn_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    claims__gte=0,
                    claims__lte=models.F("judgements_wanted"),
                    judgements_wanted__gte=1,
                ),
                name="task_claims_within_wanted",
            ),
            choices_check("status", TaskStatus, "task_status_known"),
        ]
        indexes = [
            models.Index(
                fields=["project", "kind", "-priority", "id"],
                condition=models.Q(status=TaskStatus.OPEN),
                name="task_open",
            ),
            models.Index(fields=["project", "status", "kind"], name="task_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} task {self.pk}"

    @property
    def the_prompt(self) -> Prompt:
        """For kinds whose tasks always have one."""
        assert self.prompt is not None, f"{self} has no prompt"
        return self.prompt


class TaskCompletion(CreatedModel):
    """A completion's place in its task. The place an annotator sees is in the assignment."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="task_completions")
    completion = models.ForeignKey(
        Completion, on_delete=models.PROTECT, related_name="task_completions"
    )
    index = models.PositiveIntegerField()

    class Meta:
        ordering = ["task", "index"]
        constraints = [
            models.UniqueConstraint(fields=["task", "completion"], name="task_completion_once"),
            models.UniqueConstraint(fields=["task", "index"], name="task_completion_index_once"),
        ]

    def __str__(self) -> str:
        return f"completion {self.completion_id} in task {self.task_id}"
