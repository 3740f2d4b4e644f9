from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.choices import AssignmentStatus, Role, TaskStatus
from annotation.errors import InvalidInput, NotFound
from annotation.judgements import UnknownKind
from annotation.models import Assignment, AuditEvent
from annotation.selectors.assignments import assignment_present
from annotation.services.assignments import (
    assignment_claim,
    assignment_renew,
    assignment_save_draft,
    assignment_skip,
    assignments_expire,
)
from annotation.services.leases import AssignmentExpired, AssignmentNotActive
from annotation.services.projects import membership_remove, membership_set, project_update
from tests.annotation.acts import assignment_skip_all, overdue, submit_in_order
from tests.factories import (
    claim_make,
    completion_ids,
    demonstration_task_make,
    labeler_make,
    ranking_task_make,
)

pytestmark = pytest.mark.django_db


# Claiming


def test_claim_takes_the_oldest_open_task_and_its_slot(project, bob):
    first, _ = ranking_task_make(project), ranking_task_make(project)
    assignment = claim_make(project, bob)
    first.refresh_from_db()
    assert assignment.task == first
    assert first.claims == 1
    assert sorted(assignment.shown_order) == completion_ids(first)
    assert assignment.lease_expires_at > timezone.now() + timedelta(minutes=29)


def test_claim_again_returns_the_same_assignment_with_its_lease_renewed(project, bob):
    ranking_task_make(project)
    ranking_task_make(project)
    held = claim_make(project, bob)
    overdue(held)
    again = claim_make(project, bob)
    assert again.pk == held.pk
    assert again.lease_expires_at > timezone.now()


def test_claim_says_nothing_to_do_when_every_slot_is_taken(project, bob):
    ranking_task_make(project)
    claim_make(project, bob)
    other = labeler_make(project)
    assert assignment_claim(project=project, annotator=other) is None


def test_an_annotator_judges_a_task_once_however_many_judgements_it_wants(project, bob):
    task = ranking_task_make(project, judgements_wanted=2)
    submit_in_order(claim_make(project, bob), bob)
    assert assignment_claim(project=project, annotator=bob) is None
    task.refresh_from_db()
    assert task.status == TaskStatus.OPEN


def test_claim_of_one_kind_leaves_the_other(project, bob):
    ranking_task_make(project)
    task = demonstration_task_make(project)
    assert claim_make(project, bob, "demonstration").task == task


def test_claim_of_a_kind_the_project_does_not_collect_is_refused(project, bob, alice):
    project_update(actor=alice, project=project, kinds=["ranking"])
    demonstration_task_make(project)
    with pytest.raises(UnknownKind, match="it collects: ranking"):
        assignment_claim(project=project, annotator=bob, kind="demonstration")
    assert assignment_claim(project=project, annotator=bob) is None


def test_claim_by_a_stranger_tells_nothing(project, charlie):
    ranking_task_make(project)
    with pytest.raises(NotFound):
        assignment_claim(project=project, annotator=charlie)


def test_a_paused_project_lets_finish_but_hands_out_nothing_new(project, bob, alice):
    ranking_task_make(project)
    ranking_task_make(project)
    held = claim_make(project, bob)
    project_update(actor=alice, project=project, is_active=False)
    assert claim_make(project, bob) == held
    submit_in_order(held, bob)
    assert assignment_claim(project=project, annotator=bob) is None


def test_the_order_shown_is_random_and_stored(project):
    orders = set()
    ranking_task_make(project, num_completions=4, judgements_wanted=30)
    for _ in range(30):
        assignment = claim_make(project, labeler_make(project))
        orders.add(tuple(Assignment.objects.get(pk=assignment.pk).shown_order))
    # 4! = 24 orders: 30 draws fall into at most 5 of them with probability below 1e-16.
    assert len(orders) > 5


def test_nobody_waits_for_the_sweep_while_a_lapsed_lease_blocks_the_slot(project, bob):
    ranking_task_make(project)
    lapsed = claim_make(project, bob)
    overdue(lapsed)
    other = labeler_make(project)
    assert claim_make(project, other).task == lapsed.task
    lapsed.refresh_from_db()
    assert lapsed.status == AssignmentStatus.EXPIRED


def test_an_expired_assignment_with_a_draft_comes_before_older_tasks(project, bob, alice):
    ranking_task_make(project)
    claim_make(project, alice)
    ranking_task_make(project)
    drafted = claim_make(project, bob)
    assignment_save_draft(assignment_id=drafted.pk, annotator=bob, draft={"order": []})
    overdue(drafted)
    assignments_expire()
    assignment_skip_all(project, alice)
    again = claim_make(project, bob)
    assert again.pk == drafted.pk
    assert again.draft == {"order": []}
    assert again.shown_order == drafted.shown_order


def test_an_expired_assignment_is_offered_to_the_same_person_again(project, bob):
    task = ranking_task_make(project)
    lapsed = claim_make(project, bob)
    overdue(lapsed)
    assert assignments_expire() == 1
    task.refresh_from_db()
    assert task.claims == 0
    assert claim_make(project, bob).pk == lapsed.pk
    task.refresh_from_db()
    assert task.claims == 1


# Skipping, renewing, leaving


def test_a_skip_frees_the_slot_for_others_and_not_for_oneself(project, bob, alice):
    task = ranking_task_make(project)
    assignment = claim_make(project, bob)
    assignment_skip(assignment_id=assignment.pk, annotator=bob, reason="Not my language")
    task.refresh_from_db()
    assert task.claims == 0
    assert assignment_claim(project=project, annotator=bob) is None
    assert claim_make(project, alice).task == task
    with pytest.raises(AssignmentNotActive):
        submit_in_order(assignment, bob)


def test_an_expired_assignment_can_be_skipped_without_freeing_a_slot_twice(project, bob, alice):
    task = ranking_task_make(project, judgements_wanted=2)
    assignment = claim_make(project, bob)
    claim_make(project, alice)
    overdue(assignment)
    assignments_expire()
    assignment_skip(assignment_id=assignment.pk, annotator=bob, reason="no")
    task.refresh_from_db()
    assert task.claims == 1


@pytest.mark.parametrize("reason", ["", "  ", "a\x00b", "x" * 2_001])
def test_a_skip_needs_a_reason_that_can_be_stored(project, bob, reason):
    ranking_task_make(project)
    assignment = claim_make(project, bob)
    with pytest.raises(InvalidInput):
        assignment_skip(assignment_id=assignment.pk, annotator=bob, reason=reason)


def test_renew_starts_the_lease_anew_unless_it_lapsed(project, bob):
    ranking_task_make(project)
    assignment = claim_make(project, bob)
    soon = timezone.now() + timedelta(seconds=5)
    Assignment.objects.filter(pk=assignment.pk).update(lease_expires_at=soon)
    renewed = assignment_renew(assignment_id=assignment.pk, annotator=bob)
    assert renewed.lease_expires_at > soon
    overdue(assignment)
    with pytest.raises(AssignmentExpired):
        assignment_renew(assignment_id=assignment.pk, annotator=bob)


def test_a_draft_on_a_lapsed_lease_is_kept_all_the_same(project, bob):
    demonstration_task_make(project)
    assignment = claim_make(project, bob)
    overdue(assignment)
    with pytest.raises(AssignmentExpired):
        assignment_save_draft(assignment_id=assignment.pk, annotator=bob, draft={"text": "half"})
    assignment.refresh_from_db()
    assert assignment.draft == {"text": "half"}


def test_a_draft_nested_too_deep_or_too_long_is_refused(project, bob):
    demonstration_task_make(project)
    assignment = claim_make(project, bob)
    deep: dict = {}
    for _ in range(5_000):
        deep = {"a": deep}
    for draft in (deep, {"a": "x" * 500_000}, {"a\x00": 1}, {"a": 10**40}, "text"):
        with pytest.raises(InvalidInput):
            assignment_save_draft(assignment_id=assignment.pk, annotator=bob, draft=draft)


def test_leaving_the_project_frees_what_was_held_and_coming_back_resumes_it(project, bob, alice):
    task = ranking_task_make(project)
    assignment = claim_make(project, bob)
    membership_remove(actor=alice, project=project, user=bob)
    task.refresh_from_db()
    assert task.claims == 0
    with pytest.raises(NotFound):
        submit_in_order(assignment, bob)
    membership_set(actor=alice, project=project, user=bob, role=Role.LABELER)
    assert claim_make(project, bob).pk == assignment.pk


def test_what_is_shown_keeps_the_stored_order_and_names_no_model(project, bob):
    task = ranking_task_make(project, num_completions=5)
    assignment = claim_make(project, bob)
    shown = assignment_present(assignment)
    assert [completion["id"] for completion in shown["completions"]] == assignment.shown_order
    assert shown["prompt"] == {"messages": task.prompt.messages, "sources": []}
    assert set(shown) == {
        "id",
        "kind",
        "status",
        "project",
        "prompt",
        "completions",
        "guidelines",
        "brief",
        "options",
        "details",
        "undo_seconds",
        "draft",
        "lease_expires_at",
    }
    assert all(set(completion) == {"id", "text"} for completion in shown["completions"])


def test_every_act_leaves_an_audit_event(project, bob):
    ranking_task_make(project)
    ranking_task_make(project)
    ranking = submit_in_order(claim_make(project, bob), bob)
    second = claim_make(project, bob)
    assignment_skip(assignment_id=second.pk, annotator=bob, reason="no")
    verbs = list(AuditEvent.objects.filter(actor=bob).order_by("pk").values_list("verb", flat=True))
    assert verbs == [
        "assignment:claimed",
        "ranking:submitted",
        "assignment:claimed",
        "assignment:skipped",
    ]
    event = AuditEvent.objects.get(verb="ranking:submitted")
    assert (event.object_type, event.object_id) == ("annotation.ranking", str(ranking.pk))
