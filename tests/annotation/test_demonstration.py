"""Writing answers: from nothing, and from a model's draft, which makes a comparison as well."""

import pytest

from annotation.choices import Origin
from annotation.judgements import kind_get
from annotation.judgements.demonstration import DraftUnknown, draft_offered
from annotation.models import Assignment, Completion, Demonstration
from annotation.selectors.assignments import assignment_present
from annotation.services.assignments import assignment_submit
from annotation.services.projects import project_update
from annotation.services.undo import assignment_undo
from tests.factories import (
    claim_make,
    completion_make,
    demonstration_task_make,
    labeler_make,
    prompt_make,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def assignment(project, bob) -> Assignment:
    demonstration_task_make(project)
    return claim_make(project, bob, "demonstration")


@pytest.fixture
def draft(assignment: Assignment) -> Completion:
    """A model's answer, shown to Bob at his request."""
    draft = completion_make(assignment.task.the_prompt, "Boil it.\n")
    assignment.shown_order = [draft.pk]
    assignment.save()
    return draft


def submit(assignment, bob, **payload) -> Demonstration:
    return assignment_submit(assignment_id=assignment.pk, annotator=bob, payload=payload)


def streams(project) -> list[tuple[str, dict]]:
    kind = kind_get("demonstration")
    return [part for record in kind.export(project) for part in kind.training_records(record)]


def test_an_edited_draft_is_a_demonstration_and_preferred_over_the_draft(
    project, bob, assignment, draft
):
    made = submit(assignment, bob, text="Boil it well.", edited_from=draft.pk)
    assert (made.edited_from, made.completion.origin) == (draft, Origin.PERSON)
    prompt = made.prompt.messages
    assert streams(project) == [
        ("demonstrations", {"prompt": prompt, "completion": "Boil it well."}),
        (
            "rankings",
            {
                "prompt": prompt,
                "completions": [
                    {"id": made.completion_id, "text": "Boil it well."},
                    {"id": draft.pk, "text": "Boil it.\n"},
                ],
                "ranks": [1, 2],
            },
        ),
    ]
    [record] = kind_get("demonstration").export(project)
    assert record["edited_from"] == {"id": draft.pk, "text": "Boil it.\n"}


def test_a_draft_handed_in_as_it_came_prefers_nothing(project, bob, assignment, draft):
    submit(assignment, bob, text="Boil it.", edited_from=draft.pk)
    assert [stream for stream, _ in streams(project)] == ["demonstrations"]
    assert Demonstration.objects.get().edited_from == draft


@pytest.mark.parametrize("edited_from", [{}, {"edited_from": None}])
def test_an_answer_from_nothing_prefers_nothing(project, bob, assignment, draft, edited_from):
    submit(assignment, bob, text="Fry it.", **edited_from)
    assert [stream for stream, _ in streams(project)] == ["demonstrations"]


def test_only_a_draft_that_this_person_was_offered_counts(project, bob, assignment, draft):
    prompt = assignment.task.the_prompt
    never_shown = completion_make(prompt)
    of_another = completion_make(prompt_make(project))
    by_a_person = Completion.objects.create(
        prompt=prompt, text="Mine", origin=Origin.PERSON, author=labeler_make(project)
    )
    assignment.shown_order = [draft.pk, of_another.pk, by_a_person.pk]
    assignment.save()
    for foreign in (never_shown.pk, of_another.pk, by_a_person.pk, 10**12):
        with pytest.raises(DraftUnknown) as refusal:
            submit(assignment, bob, text="Boil it well.", edited_from=foreign)
        assert refusal.value.extra == {"completion": foreign}
        assert not draft_offered(assignment, foreign)
    assert not Demonstration.objects.exists()
    submit(assignment, bob, text="Boil it well.", edited_from=draft.pk)


def test_undo_deletes_the_answer_and_keeps_the_draft(project, bob, assignment, draft):
    made = submit(assignment, bob, text="Boil it well.", edited_from=draft.pk)
    undone = assignment_undo(assignment_id=assignment.pk, annotator=bob)
    assert undone.draft == {"text": "Boil it well.", "edited_from": draft.pk}
    assert not Demonstration.objects.exists()
    assert list(Completion.objects.all()) == [draft]
    again = submit(assignment, bob, text="Boil it well.", edited_from=draft.pk)
    assert again.pk != made.pk


def test_the_page_is_told_whether_drafts_are_offered(project, bob, assignment):
    assert assignment_present(assignment)["options"] == {"drafts": "none"}
    project_update(actor=None, project=project, options={"demonstration": {"drafts": "offered"}})
    assignment.task.project.refresh_from_db()
    assert assignment_present(assignment)["options"] == {"drafts": "offered"}
