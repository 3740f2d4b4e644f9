"""Thumbs: one completion, up or down, through the services and the API that all kinds share."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from annotation.choices import AssignmentStatus, TaskStatus
from annotation.errors import InvalidInput
from annotation.judgements import kind_get
from annotation.models import AuditEvent, Thumb
from annotation.services.assignments import (
    assignment_submit,
)
from annotation.services.leases import AssignmentAlreadySubmitted, AssignmentExpired
from annotation.services.tasks import CompletionsInvalid, task_create
from tests.annotation.acts import overdue
from tests.factories import (
    claim_make,
    completion_ids,
    completion_make,
    prompt_make,
    thumb_make,
    thumbs_task_make,
)

pytestmark = pytest.mark.django_db

P = "/api/v1/projects/project/"


@pytest.fixture
def project(project):
    project.kinds = ["thumbs"]
    project.save()
    return project


@pytest.mark.parametrize("is_up", [True, False])
def test_a_thumb_is_stored_about_the_completion_shown(project, bob, is_up):
    task = thumbs_task_make(project)
    assignment = claim_make(project, bob, "thumbs")
    assert assignment.shown_order == completion_ids(task)
    assignment_submit(
        assignment_id=assignment.pk,
        annotator=bob,
        payload={"is_up": is_up, "seconds_spent": 2.5},
    )
    thumb = Thumb.objects.get()
    assert (thumb.is_up, thumb.assignment.seconds_spent, thumb.annotator) == (is_up, 2.5, bob)
    assert [thumb.completion_id] == completion_ids(task)
    assert (thumb.prompt_id, thumb.task) == (task.prompt_id, task)
    task.refresh_from_db()
    assert (task.status, task.claims) == (TaskStatus.CLOSED, 1)
    assert AuditEvent.objects.filter(verb="thumbs:submitted", actor=bob).count() == 1


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"is_up": None},
        {"is_up": "sideways"},
        {"is_up": [True]},
        {"is_up": True, "seconds_spent": -1},
        {"is_up": True, "seconds_spent": 1e9},
        [],
    ],
)
def test_a_thumb_that_does_not_fit_is_refused_and_can_be_repaired(project, bob, payload):
    thumbs_task_make(project)
    assignment = claim_make(project, bob, "thumbs")
    with pytest.raises(InvalidInput):
        assignment_submit(assignment_id=assignment.pk, annotator=bob, payload=payload)
    assert not Thumb.objects.exists()
    assignment_submit(assignment_id=assignment.pk, annotator=bob, payload={"is_up": False})
    assert Thumb.objects.get().is_up is False


def test_a_second_submit_stores_nothing_and_names_the_first(project, bob):
    thumbs_task_make(project)
    assignment = claim_make(project, bob, "thumbs")
    thumb = assignment_submit(assignment_id=assignment.pk, annotator=bob, payload={"is_up": True})
    with pytest.raises(AssignmentAlreadySubmitted) as refusal:
        assignment_submit(assignment_id=assignment.pk, annotator=bob, payload={"is_up": False})
    assert refusal.value.extra == {"judgement_id": thumb.pk}
    assert list(Thumb.objects.values_list("is_up", flat=True)) == [True]


def test_one_assignment_has_one_thumb_whatever_the_service_does(project, bob):
    thumb = thumb_make(project, bob)
    row = {name: getattr(thumb, name) for name in ("assignment", "task", "prompt", "completion")}
    with pytest.raises(IntegrityError), transaction.atomic():
        Thumb.objects.create(**row, annotator=bob, is_up=False)
    assignment = thumb.assignment
    assignment.seconds_spent = -1
    with pytest.raises(ValidationError, match="assignment_seconds_not_negative"):
        assignment.full_clean()


def test_a_late_thumb_is_kept_as_a_draft(project, bob):
    thumbs_task_make(project)
    assignment = claim_make(project, bob, "thumbs")
    overdue(assignment)
    with pytest.raises(AssignmentExpired):
        assignment_submit(assignment_id=assignment.pk, annotator=bob, payload={"is_up": False})
    again = claim_make(project, bob, "thumbs")
    assert (again.pk, again.status) == (assignment.pk, AssignmentStatus.ACTIVE)
    assert again.draft == {"is_up": False}


@pytest.mark.parametrize("num", [0, 2])
def test_a_thumbs_task_shows_exactly_one_completion(project, num):
    prompt = prompt_make(project)
    with pytest.raises(CompletionsInvalid, match=f"given {num} completions; it takes 1"):
        task_create(
            project=project,
            kind="thumbs",
            prompt=prompt,
            completions=[completion_make(prompt) for _ in range(num)],
        )


def test_a_thumb_is_exported_as_one_plain_record(project, bob):
    thumb = thumb_make(project, bob, is_up=False)
    assert list(kind_get("thumbs").export(project)) == [
        {
            "id": thumb.pk,
            "prompt_id": thumb.prompt_id,
            "prompt": thumb.prompt.messages,
            "completion": {"id": thumb.completion_id, "text": thumb.completion.text},
            "is_up": False,
            "annotator": bob.pk,
            "created_at": thumb.created_at.isoformat(),
            "guidelines_version": None,
            "seconds_spent": None,
        }
    ]


def test_thumbs_go_through_the_api_like_every_kind(project, bob, alice, charlie, api):
    thumbs_task_make(project)
    claim = f"{P}assignments/claim/"
    assert api(charlie).post(claim, {"kind": "thumbs"}, format="json").status_code == 404
    shown = api(bob).post(claim, {"kind": "thumbs"}, format="json").json()
    [completion] = shown["completions"]
    assert set(completion) == {"id", "text"}
    address = f"/api/v1/assignments/{shown['id']}/submit/"
    refused = api(bob).post(address, {"is_up": "maybe"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_input")
    assert list(refused.json()["extra"]["fields"]) == ["is_up"]
    assert api(alice).post(address, {"is_up": True}, format="json").status_code == 404
    submitted = api(bob).post(address, {"is_up": True}, format="json")
    thumb = Thumb.objects.get()
    assert (submitted.status_code, submitted.json()) == (201, {"kind": "thumbs", "id": thumb.pk})
    again = api(bob).post(address, {"is_up": False}, format="json")
    assert again.json()["code"] == "assignment_already_submitted"
    [record] = api(alice).get(f"{P}thumbs/").json()["results"]
    assert (record["id"], record["is_up"], record["completion"]) == (thumb.pk, True, completion)
    assert api(bob).get(f"{P}thumbs/").status_code == 403
