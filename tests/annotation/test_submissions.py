import pytest

from annotation.choices import AssignmentStatus, Origin, TaskStatus
from annotation.errors import InvalidInput, NotFound
from annotation.judgements.demonstration import DemonstrationEmpty, DemonstrationTooLong
from annotation.judgements.ranking import (
    RankingIncomplete,
    RankingRepeatsCompletion,
    RankingUnknownCompletion,
)
from annotation.models import Completion, Demonstration, Ranking
from annotation.selectors.assignments import assignment_get
from annotation.services.assignments import (
    assignment_renew,
    assignment_save_draft,
    assignment_skip,
    assignment_submit,
    assignments_expire,
)
from annotation.services.leases import AssignmentAlreadySubmitted, AssignmentExpired
from tests.annotation.acts import overdue, submit_in_order
from tests.factories import (
    claim_make,
    completion_ids,
    demonstration_task_make,
    ranking_task_make,
)

pytestmark = pytest.mark.django_db


def test_a_ranking_is_stored_as_given_with_ties_and_positions_shown(project, bob):
    task = ranking_task_make(project, num_completions=4)
    assignment = claim_make(project, bob)
    a, b, c, d = completion_ids(task)
    ranking = assignment_submit(
        assignment_id=assignment.pk,
        annotator=bob,
        payload={"order": [[c], [a, d], [b]], "seconds_spent": 12.5},
    )
    ranking.refresh_from_db()
    ranks = dict(ranking.items.values_list("completion_id", "rank"))
    assert ranks == {c: 1, a: 2, d: 2, b: 3}
    shown = dict(ranking.items.values_list("completion_id", "shown_position"))
    assert [shown[pk] for pk in assignment.shown_order] == [0, 1, 2, 3]
    assert [sorted(group) for group in ranking.order] == [[c], sorted([a, d]), [b]]
    assert ranking.assignment.seconds_spent == 12.5
    task.refresh_from_db()
    assignment.refresh_from_db()
    assert (task.status, task.claims) == (TaskStatus.CLOSED, 1)
    assert assignment.status == AssignmentStatus.SUBMITTED


def test_a_task_closes_with_its_last_wanted_judgement(project, bob, alice):
    task = ranking_task_make(project, judgements_wanted=2)
    submit_in_order(claim_make(project, bob), bob)
    task.refresh_from_db()
    assert task.status == TaskStatus.OPEN
    submit_in_order(claim_make(project, alice), alice)
    task.refresh_from_db()
    assert (task.status, task.claims) == (TaskStatus.CLOSED, 2)


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (lambda a, b, c: [[a], [b]], RankingIncomplete),
        (lambda a, b, c: [], RankingIncomplete),
        (lambda a, b, c: [[a], [b, c], [a]], RankingRepeatsCompletion),
        (lambda a, b, c: [[a], [b], [c], [c + 999]], RankingUnknownCompletion),
        (lambda a, b, c: [[a], [b], [c], []], InvalidInput),
        (lambda a, b, c: [a, b, c], InvalidInput),
        (lambda a, b, c: "abc", InvalidInput),
        (lambda a, b, c: [[a], [b], [{"id": c}]], InvalidInput),
        (lambda a, b, c: [[a], [b], [True], [c]], InvalidInput),
        (lambda a, b, c: [[a], [b], [10**30]], InvalidInput),
    ],
)
def test_a_ranking_that_does_not_fit_is_refused_and_can_be_repaired(project, bob, order, error):
    task = ranking_task_make(project)
    assignment = claim_make(project, bob)
    with pytest.raises(InvalidInput) as refusal:
        assignment_submit(
            assignment_id=assignment.pk,
            annotator=bob,
            payload={"order": order(*completion_ids(task))},
        )
    assert type(refusal.value) is error
    assert Ranking.objects.count() == 0
    submit_in_order(assignment, bob)


def test_a_demonstration_becomes_a_completion_of_its_author(project, bob):
    task = demonstration_task_make(project)
    assignment = claim_make(project, bob)
    assert assignment.shown_order == []
    demonstration = assignment_submit(
        assignment_id=assignment.pk, annotator=bob, payload={"text": "  Boil it.\n"}
    )
    completion = demonstration.completion
    assert (completion.text, completion.origin, completion.author, completion.prompt) == (
        "Boil it.",
        Origin.PERSON,
        bob,
        task.prompt,
    )


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"text": " \n\t "}, DemonstrationEmpty),
        ({"text": "x" * 32_001}, DemonstrationTooLong),
        ({"text": "a\x00b"}, InvalidInput),
        ({"text": "\ud800"}, InvalidInput),
        ({"text": None}, InvalidInput),
        ({"text": ["a"]}, InvalidInput),
        ({}, InvalidInput),
        ([], InvalidInput),
        ({"text": "fine", "n": float("nan")}, InvalidInput),
    ],
)
def test_a_demonstration_that_does_not_fit_is_refused(project, bob, payload, error):
    demonstration_task_make(project)
    assignment = claim_make(project, bob)
    with pytest.raises(InvalidInput) as refusal:
        assignment_submit(assignment_id=assignment.pk, annotator=bob, payload=payload)
    assert type(refusal.value) is error
    assert Completion.objects.count() == 0


@pytest.mark.parametrize(
    "text", ["é" * 30_000, "שלום\u202eאב", "👩🏽‍🚀" * 50, "<script>alert(1)</script>"]
)
def test_unusual_text_is_kept_as_written(project, bob, text):
    demonstration_task_make(project)
    assignment = claim_make(project, bob)
    assignment_submit(assignment_id=assignment.pk, annotator=bob, payload={"text": text})
    assert Demonstration.objects.get().completion.text == text


def test_a_second_submit_stores_nothing_and_names_the_first(project, bob):
    ranking_task_make(project)
    assignment = claim_make(project, bob)
    ranking = submit_in_order(assignment, bob)
    with pytest.raises(AssignmentAlreadySubmitted) as refusal:
        submit_in_order(assignment, bob)
    assert refusal.value.extra == {"judgement_id": ranking.pk}
    assert Ranking.objects.count() == 1


@pytest.mark.parametrize("swept", [False, True])
def test_a_late_submit_is_refused_but_kept_as_a_draft(project, bob, swept):
    task = ranking_task_make(project)
    assignment = claim_make(project, bob)
    overdue(assignment)
    if swept:
        assignments_expire()
    payload = {"order": [[pk] for pk in assignment.shown_order]}
    with pytest.raises(AssignmentExpired):
        assignment_submit(assignment_id=assignment.pk, annotator=bob, payload=payload)
    assignment.refresh_from_db()
    task.refresh_from_db()
    assert (assignment.status, assignment.draft) == (AssignmentStatus.EXPIRED, payload)
    assert task.claims == 0
    again = claim_make(project, bob)
    assert (again.pk, again.draft) == (assignment.pk, payload)
    assignment_submit(assignment_id=again.pk, annotator=bob, payload=again.draft)
    again.refresh_from_db()
    assert again.draft == payload, "kept for an undo"


@pytest.mark.parametrize(
    "act",
    [
        lambda pk, user: assignment_submit(assignment_id=pk, annotator=user, payload={}),
        lambda pk, user: assignment_skip(assignment_id=pk, annotator=user, reason="no"),
        lambda pk, user: assignment_renew(assignment_id=pk, annotator=user),
        lambda pk, user: assignment_save_draft(assignment_id=pk, annotator=user, draft={}),
        lambda pk, user: assignment_get(user=user, assignment_id=pk),
    ],
)
def test_someone_elses_assignment_is_not_found(project, bob, alice, charlie, act):
    ranking_task_make(project)
    assignment = claim_make(project, bob)
    for stranger in (alice, charlie):
        with pytest.raises(NotFound):
            act(assignment.pk, stranger)
    with pytest.raises(NotFound):
        act(10**30, bob)
