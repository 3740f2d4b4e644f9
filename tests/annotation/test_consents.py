"""Work that may upset people: asked first, a number of times a day, and never by surprise."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from annotation.choices import AssignmentStatus
from annotation.errors import InvalidInput, NotFound
from annotation.judgements import UnknownKind, kind_get
from annotation.models import Assignment, AuditEvent, Consent, Turn
from annotation.selectors.queue import work_list
from annotation.services.assignments import (
    assignment_claim,
    assignment_save_draft,
    assignment_submit,
)
from annotation.services.consents import (
    ConsentNeeded,
    ExposureCapReached,
    consent_give,
    consent_withdraw,
)
from annotation.services.leases import AssignmentWithdrawn
from annotation.services.projects import project_update
from annotation.services.turns import turn_choose, turn_start
from annotation.services.undo import assignment_undo
from tests.factories import (
    brief_make,
    claim_make,
    exchange_make,
    labeler_make,
    project_make,
    ranking_task_make,
    replies_make,
    turn_make,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def attacking(project):
    """Ten attacks wanted, two a day from anyone, and a ranking besides."""
    brief_make(project, "goal", "Get it to swear.")
    project_update(
        actor=None,
        project=project,
        kinds=["ranking", "red_team"],
        targets={"red_team": 10},
        options={"red_team": {"per_day": 2, "warning": "It may swear."}},
    )
    return project


@pytest.fixture
def agreed(attacking, bob):
    consent_give(project=attacking, user=bob, kind="red_team")
    return attacking


def attack(project, user):
    """One whole attack; returns its assignment."""
    assignment = claim_make(project, user, "red_team")
    exchange_make(assignment)
    assignment_submit(assignment_id=assignment.pk, annotator=user, payload={"attack_success": 1})
    return assignment


def ago(assignment, **since):
    finished_at = timezone.now() - timedelta(**since)
    Assignment.objects.filter(pk=assignment.pk).update(finished_at=finished_at)
    return finished_at


def item(user, kind="red_team"):
    [found] = [item for item in work_list(user=user) if item.kind == kind]
    return found


def test_without_consent_it_is_refused_with_the_warning(attacking, bob):
    with pytest.raises(ConsentNeeded) as refusal:
        claim_make(attacking, bob, "red_team")
    assert refusal.value.extra == {"kind": "red_team", "warning": "It may swear."}
    consent_give(project=attacking, user=bob, kind="red_team")
    assert claim_make(attacking, bob, "red_team").task.kind == "red_team"


def test_the_warning_has_a_text_of_its_own(project, bob):
    project_update(actor=None, project=project, kinds=["red_team"])
    with pytest.raises(ConsentNeeded) as refusal:
        claim_make(project, bob, "red_team")
    assert type(refusal.value.extra["warning"]) is str
    assert "upsetting" in refusal.value.extra["warning"]


def test_who_asks_for_any_work_is_not_given_it_without_consent(attacking, bob):
    assert assignment_claim(project=attacking, annotator=bob) is None
    ranking = ranking_task_make(attacking)
    assert claim_make(attacking, bob).task == ranking


def test_consent_holds_for_one_person_one_project_and_while_in_force(agreed, bob):
    other = project_make(kinds=["red_team"])
    for project, user in ((agreed, labeler_make(agreed)), (other, labeler_make(other))):
        with pytest.raises(ConsentNeeded):
            claim_make(project, user, "red_team")
    consent_withdraw(project=agreed, user=bob, kind="red_team")
    with pytest.raises(ConsentNeeded):
        claim_make(agreed, bob, "red_team")
    consent_give(project=agreed, user=bob, kind="red_team")
    assert claim_make(agreed, bob, "red_team")
    assert Consent.objects.count() == 2


def test_agreeing_twice_is_agreeing_once(agreed, bob):
    first = Consent.objects.get()
    assert consent_give(project=agreed, user=bob, kind="red_team") == first
    assert AuditEvent.objects.filter(verb="consent:given").count() == 1
    for _ in range(2):
        consent_withdraw(project=agreed, user=bob, kind="red_team")
    assert AuditEvent.objects.filter(verb="consent:withdrawn").count() == 1


def test_who_withdraws_gives_back_what_they_hold_of_it_and_nothing_else(agreed, bob):
    ranking_task_make(agreed)
    kept = claim_make(agreed, bob, "ranking")
    held = claim_make(agreed, bob, "red_team")
    assignment_save_draft(assignment_id=held.pk, annotator=bob, draft={"text": "Say"})
    consent_withdraw(project=agreed, user=bob, kind="red_team")
    for assignment in (kept, held):
        assignment.refresh_from_db()
    held.task.refresh_from_db()
    assert (kept.status, held.status) == (AssignmentStatus.ACTIVE, AssignmentStatus.WITHDRAWN)
    assert (held.draft, held.task.claims) == ({"text": "Say"}, 0)
    consent_give(project=agreed, user=bob, kind="red_team")
    assert claim_make(agreed, bob, "red_team") == held


def test_only_a_kind_with_a_warning_is_agreed_to(agreed, bob, charlie):
    other = project_make()
    eve = labeler_make(other)
    for act in (consent_give, consent_withdraw):
        with pytest.raises(InvalidInput, match="no work of the kind ranking"):
            act(project=agreed, user=bob, kind="ranking")
        with pytest.raises(UnknownKind):
            act(project=agreed, user=bob, kind="war")
        with pytest.raises(NotFound):
            act(project=agreed, user=charlie, kind="red_team")
        with pytest.raises(InvalidInput):
            act(project=other, user=eve, kind="red_team")


def test_after_so_many_in_24_hours_there_is_no_more(agreed, bob):
    first, second = attack(agreed, bob), attack(agreed, bob)
    ago(second, hours=1)
    finished_at = ago(first, hours=23)
    with pytest.raises(ExposureCapReached) as refusal:
        claim_make(agreed, bob, "red_team")
    extra = refusal.value.extra
    assert (extra["kind"], extra["maximum"]) == ("red_team", 2)
    assert parse_datetime(extra["retry_at"]) == finished_at + timedelta(hours=24)
    # Other work goes on, and others may.
    ranking = ranking_task_make(agreed)
    assert claim_make(agreed, bob).task == ranking
    eve = labeler_make(agreed)
    consent_give(project=agreed, user=eve, kind="red_team")
    assert claim_make(agreed, eve, "red_team")
    ago(first, hours=24, seconds=1)
    assert claim_make(agreed, bob, "red_team")


def test_lowering_the_number_counts_from_the_newest(agreed, bob):
    first, second = attack(agreed, bob), attack(agreed, bob)
    ago(first, hours=20)
    finished_at = ago(second, hours=5)
    project_update(actor=None, project=agreed, options={"red_team": {"per_day": 1}})
    with pytest.raises(ExposureCapReached) as refusal:
        claim_make(agreed, bob, "red_team")
    retry_at = parse_datetime(refusal.value.extra["retry_at"])
    assert retry_at == finished_at + timedelta(hours=24)


def test_nothing_is_reserved_ahead_of_an_attack(agreed, bob):
    held = claim_make(agreed, bob, "red_team")
    for kind in ("red_team", None):
        again = assignment_claim(project=agreed, annotator=bob, kind=kind, ahead_of=held.pk)
        assert again == held
    assert Assignment.objects.filter(annotator=bob).count() == 1


def test_what_is_held_counts_as_handed_in(agreed, bob, monkeypatch):
    monkeypatch.setattr(kind_get("red_team"), "prefetches", True)
    attack(agreed, bob)
    held = claim_make(agreed, bob, "red_team")
    with pytest.raises(ExposureCapReached):
        assignment_claim(project=agreed, annotator=bob, kind="red_team", ahead_of=held.pk)
    assert assignment_claim(project=agreed, annotator=bob, ahead_of=held.pk) is None


def test_what_is_held_may_be_finished_after_the_number_was_lowered(agreed, bob):
    attack(agreed, bob)
    held = claim_make(agreed, bob, "red_team")
    project_update(actor=None, project=agreed, options={"red_team": {"per_day": 1}})
    assert claim_make(agreed, bob, "red_team") == held


def test_nothing_is_taken_back_without_consent(agreed, bob, api):
    handed_in = attack(agreed, bob)
    consent_withdraw(project=agreed, user=bob, kind="red_team")
    with pytest.raises(ConsentNeeded):
        assignment_undo(assignment_id=handed_in.pk, annotator=bob)
    refused = api(bob).post(f"/api/v1/assignments/{handed_in.pk}/undo/")
    assert (refused.status_code, refused.json()["code"]) == (409, "consent_needed")
    handed_in.refresh_from_db()
    assert handed_in.status == AssignmentStatus.SUBMITTED
    consent_give(project=agreed, user=bob, kind="red_team")
    assert assignment_undo(assignment_id=handed_in.pk, annotator=bob).status == "active"


def test_no_conversation_goes_on_without_consent(agreed, bob):
    held = claim_make(agreed, bob, "red_team")
    turn = turn_make(held)
    chosen, worst = [reply.pk for reply in replies_make(turn)]
    consent_withdraw(project=agreed, user=bob, kind="red_team")
    with pytest.raises(AssignmentWithdrawn):
        turn_start(assignment_id=held.pk, annotator=bob, text="Swear!")
    with pytest.raises(AssignmentWithdrawn):
        turn_choose(turn_id=turn.pk, annotator=bob, chosen=chosen, most_harmful=worst)
    assert Turn.objects.get().chosen is None


def test_what_is_taken_back_does_not_count(agreed, bob):
    attack(agreed, bob)
    second = attack(agreed, bob)
    with pytest.raises(ExposureCapReached):
        claim_make(agreed, bob, "red_team")
    assignment_undo(assignment_id=second.pk, annotator=bob)
    assert claim_make(agreed, bob, "red_team") == second


def test_my_work_says_what_is_in_the_way(attacking, bob):
    assert (item(bob).num_open, item(bob).needs_consent, item(bob).capped_until) == (10, True, None)
    assert not item(bob, "ranking").needs_consent
    consent_give(project=attacking, user=bob, kind="red_team")
    first = attack(attacking, bob)
    assert (item(bob).needs_consent, item(bob).capped_until) == (False, None)
    attack(attacking, bob)
    first.refresh_from_db()
    assert item(bob).capped_until == first.finished_at + timedelta(hours=24)
    assert item(bob, "ranking").capped_until is None


def test_my_work_needs_two_more_queries_for_any_number_of_such_projects(
    agreed, bob, alice, django_assert_max_num_queries
):
    for num in range(3):
        with django_assert_max_num_queries(5):
            assert len(work_list(user=bob)) == 2 + num
        attack(agreed, labeler_agreeing(agreed))
        project_make(admin=bob, kinds=["red_team"])


def labeler_agreeing(project):
    user = labeler_make(project)
    consent_give(project=project, user=user, kind="red_team")
    return user


def test_ones_own_consent_over_the_api(attacking, bob, charlie, api):
    claim = "/api/v1/projects/project/assignments/claim/"
    address = "/api/v1/projects/project/consents/red_team/"
    refused = api(bob).post(claim, {"kind": "red_team"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "consent_needed")
    assert refused.json()["extra"] == {"kind": "red_team", "warning": "It may swear."}
    assert api(charlie).post(address).status_code == 404
    assert api(None).post(address).status_code == 401
    given = api(bob).post(address)
    assert (given.status_code, given.json()["kind"]) == (200, "red_team")
    assert api(bob).post(address).json() == given.json()
    assert api(bob).post(claim, {"kind": "red_team"}, format="json").status_code == 200
    assert api(charlie).delete(address).status_code == 404
    assert api(bob).delete(address).status_code == 204
    assert api(bob).delete(address).status_code == 204
    assert not Assignment.objects.filter(status=AssignmentStatus.ACTIVE).exists()
    wrong = api(bob).post("/api/v1/projects/project/consents/ranking/")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_input")


def test_the_cap_over_the_api(agreed, bob, api):
    attack(agreed, bob)
    attack(agreed, bob)
    claim = "/api/v1/projects/project/assignments/claim/"
    refused = api(bob).post(claim, {"kind": "red_team"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "exposure_cap_reached")
    assert set(refused.json()["extra"]) == {"kind", "maximum", "retry_at"}
