"""What a kind of human judgement must say about itself.

A new kind is one module here that ends in ``KIND = MyKind()``, a page template
``frontend/judgements/<name>.html`` and a script entry ``judgements/<name>``. Its schema, its
options, its export and what training learns from it are declared in that module.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from rest_framework import serializers

from annotation.choices import BriefKind
from annotation.models import Assignment, Project, Prompt, Ranking, Task
from annotation.selectors.exclusions import judgements_counted

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# SQLite takes no more than 1,000 values in a condition: nine completions for each ranking.
EXPORT_CHUNK = 100


class Supply(Enum):
    """Where a kind's tasks come from."""

    # The project's prompts, up to demonstrations_target.
    PROMPTS = "prompts"
    # A model's answers to one prompt, several to a task.
    ANSWERS = "answers"
    # A model's answers, a task for each.
    ANSWER = "answer"
    # Nothing or a brief, up to the kind's number in Project.targets.
    TARGET = "target"


class NoOptions(serializers.Serializer):
    """For kinds that a project cannot adjust."""


class JudgementKind(ABC):
    name: ClassVar[str]
    title: "ClassVar[StrOrPromise]"
    # For the button that leads to it: "Rank the next one".
    invitation: "ClassVar[StrOrPromise]"
    # For addresses: projects/<slug>/<plural>/.
    plural: ClassVar[str]
    # The row it stores; has a one-to-one ``assignment`` and an ``annotator``.
    model: ClassVar[type[Model]]
    input_serializer: ClassVar[type[serializers.Serializer]]
    record_serializer: ClassVar[type[serializers.Serializer]]
    # What a project may choose, each field with a default.
    options_serializer: ClassVar[type[serializers.Serializer]] = NoOptions
    # The streams that training_records may yield.
    training_streams: ClassVar[frozenset[str]] = frozenset()
    # The one of them that a round waiting for judgements counts these under, each once; None where
    # a judgement may well teach nothing.
    counted_stream: ClassVar[str | None] = None
    supply: ClassVar[Supply] = Supply.ANSWERS
    # Of Supply.TARGET: its tasks take turns with the project's active briefs of this kind.
    brief_kind: ClassVar[BriefKind | None] = None
    # A task needs a brief; without one none is made.
    needs_brief: ClassVar[bool] = False
    # The page may hold the next task while the person is still at this one.
    prefetches: ClassVar[bool] = True
    # Only people who accepted a content warning get its tasks.
    needs_consent: ClassVar[bool] = False
    # Storing one or taking it back changes the project's prompts, under the project's lock.
    changes_prompts: ClassVar[bool] = False
    # Judgements that an export holds at once.
    export_chunk: ClassVar[int] = EXPORT_CHUNK

    def options(self, project: Project) -> dict[str, Any]:
        """The project's choices for this kind, with the defaults filled in."""
        serializer = self.options_serializer(data=project.options.get(self.name, {}))
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    @abstractmethod
    def num_completions(self, project: Project) -> int:
        """How many completions a task shows; 0 when the annotator sees the prompt alone."""

    def completions_problem(self, project: Project, completions: int) -> str | None:
        """Why a task of this kind cannot be made with so many completions, or None."""
        wanted = self.num_completions(project)
        return None if completions == wanted else f"it takes {wanted or 'none'}"

    def takes_prompt(self, prompt: Prompt) -> bool:
        """Whether answers to this prompt are worth a task of this kind."""
        return True

    def shown_order(self, task: Task, rng: random.Random) -> list[int]:
        """The task's completion ids in the order this annotator will see them."""
        ids = list(task.task_completions.order_by("index").values_list("completion_id", flat=True))
        rng.shuffle(ids)
        return ids

    def present(self, assignment: Assignment) -> dict[str, Any]:
        """What the page needs beyond the prompt, the brief, the answers and the options."""
        return {}

    @abstractmethod
    def submit(self, assignment: Assignment, payload: dict[str, Any], annotator: User) -> Model:
        """Validates the payload and stores the judgement, inside the caller's transaction.

        Raises DomainError; then nothing is stored.
        """

    def undo(self, judgement: Any) -> None:
        """Deletes the judgement and what only it made. Raises ProtectedError if others use it."""
        judgement.delete()

    @abstractmethod
    def rows(self, project: Project) -> QuerySet[Any]:
        """The project's judgements of this kind, with everything ``content`` reads."""

    @abstractmethod
    def content(self, judgement: Any) -> dict[str, Any]:
        """What only this kind's record says, with ``prompt_id`` and ``prompt``."""

    def queryset(self, project: Project) -> QuerySet[Any]:
        """The project's judgements of this kind by id, with everything ``record`` reads."""
        return (
            self.rows(project)
            .select_related("assignment__guidelines")
            # Long texts that no record says: what was sent, and the guidelines themselves.
            .defer("assignment__draft", "assignment__guidelines__text")
            .order_by("pk")
        )

    def record(self, judgement: Any) -> dict[str, Any]:
        """One judgement as plain data: the API's listing and downloads."""
        assignment = judgement.assignment
        guidelines = assignment.guidelines
        return {
            "id": judgement.pk,
            **self.content(judgement),
            "annotator": judgement.annotator_id,
            "created_at": judgement.created_at.isoformat(),
            "guidelines_version": guidelines.number if guidelines else None,
            "seconds_spent": assignment.seconds_spent,
        }

    def training_records(self, record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """What training learns from one record: pairs of a stream and an example of it.

        "demonstrations": prompt, completion (text).
        "rankings": prompt, completions ([{"id", "text"}]), ranks, and maybe strength.
        "ratings": prompt, completion ({"id", "text"}), is_up.
        A kind that training does not use yields nothing. ``prompt`` may go beyond the record's
        own: later turns of a conversation stay on its opening prompt's side of the split.
        """
        yield from ()

    def export(self, project: Project) -> Iterator[dict[str, Any]]:
        """The record of every judgement that counts, by id, in constant memory."""
        counted = judgements_counted(self.queryset(project), project)
        for judgement in counted.iterator(chunk_size=self.export_chunk):
            yield self.record(judgement)

    def judgement_get(self, assignment: Assignment) -> Any:
        return self.model._default_manager.get(assignment=assignment)

    @property
    def is_preference(self) -> bool:
        """It orders the answers to one prompt, and is stored as a Ranking."""
        return self.model is Ranking
