"""What a kind of human judgement must say about itself.

A new kind is one module here that ends in ``KIND = MyKind()``, a page template
``frontend/judgements/<name>.html`` and a script entry ``judgements/<name>``. Nothing else changes.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from rest_framework import serializers

from annotation.models import Assignment, Project, Task
from annotation.selectors.exclusions import judgements_counted

# SQLite takes no more than 1,000 values in a condition: nine completions for each ranking.
EXPORT_CHUNK = 100


class JudgementKind(ABC):
    name: ClassVar[str]
    title: ClassVar[str]
    # For buttons: "Write", "Rank".
    verb: ClassVar[str]
    # For addresses: projects/<slug>/<plural>/.
    plural: ClassVar[str]
    # The row it stores; has a one-to-one ``assignment``.
    model: ClassVar[type[Model]]
    input_serializer: ClassVar[type[serializers.Serializer]]
    record_serializer: ClassVar[type[serializers.Serializer]]
    # Which file of a training snapshot the export feeds; None: not used for training.
    training_stream: ClassVar[str | None] = None

    @abstractmethod
    def num_completions(self, project: Project) -> int:
        """How many completions a task shows; 0 when the annotator sees the prompt alone."""

    def shown_order(self, task: Task, rng: random.Random) -> list[int]:
        """The task's completion ids in the order this annotator will see them."""
        ids = list(task.task_completions.order_by("index").values_list("completion_id", flat=True))
        rng.shuffle(ids)
        return ids

    @abstractmethod
    def submit(self, assignment: Assignment, payload: dict[str, Any], annotator: User) -> Model:
        """Validates the payload and stores the judgement, inside the caller's transaction.

        Raises DomainError; then nothing is stored.
        """

    @abstractmethod
    def queryset(self, project: Project) -> QuerySet[Any]:
        """The project's judgements by id, with everything ``record`` reads."""

    @abstractmethod
    def record(self, judgement: Any) -> dict[str, Any]:
        """One judgement as plain data: the API's listing, downloads and training snapshots."""

    def export(self, project: Project) -> Iterator[dict[str, Any]]:
        """The record of every judgement that counts, by id, in constant memory."""
        counted = judgements_counted(self.queryset(project), project)
        for judgement in counted.iterator(chunk_size=EXPORT_CHUNK):
            yield self.record(judgement)

    def judgement_get(self, assignment: Assignment) -> Any:
        return self.model._default_manager.get(assignment=assignment)
