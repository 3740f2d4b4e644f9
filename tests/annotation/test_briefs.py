"""Briefs: versions under one name, and tasks that follow them."""

import pytest

from annotation.choices import BriefKind, Role, TaskStatus
from annotation.errors import InvalidInput, NotFound
from annotation.models import AuditEvent, Brief, Task
from annotation.selectors.briefs import brief_get, brief_list
from annotation.services.assignments import assignment_skip
from annotation.services.briefs import (
    BriefNameTaken,
    brief_create,
    brief_set_active,
    brief_update,
)
from annotation.services.projects import membership_set, project_update
from tests.factories import brief_make, claim_make, project_make, user_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def probing(project):
    """The project wants four probes and has no rule yet."""
    project_update(actor=None, project=project, kinds=["rule_probe"], targets={"rule_probe": 4})
    return project


def create(project, actor=None, **fields):
    given = {"kind": "rule", "name": "brevity", "text": "Be brief."} | fields
    return brief_create(project=project, actor=actor, **given)


def open_briefs(project):
    """The briefs of the tasks that can be taken, in order of the tasks."""
    tasks = Task.objects.filter(project=project, status=TaskStatus.OPEN).order_by("pk")
    return [task.brief for task in tasks.select_related("brief")]


def test_a_first_brief_brings_the_tasks_that_waited_for_it(probing, alice):
    assert open_briefs(probing) == []
    rule = create(probing, alice, text="  Be brief. ")
    assert (rule.version, rule.text, rule.is_active, rule.author) == (1, "Be brief.", True, alice)
    assert open_briefs(probing) == [rule] * 4
    event = AuditEvent.objects.get(verb="brief:created")
    assert (event.actor, event.project) == (alice, probing)
    assert event.data == {"kind": "rule", "name": "brevity", "version": 1}


def test_a_name_is_taken_within_its_kind_and_project(probing):
    rule = create(probing)
    with pytest.raises(BriefNameTaken) as refusal:
        create(probing, text="Other words.")
    assert refusal.value.extra == {"name": "brevity"}
    brief_set_active(brief=rule, actor=None, is_active=False)
    with pytest.raises(BriefNameTaken):
        create(probing, text="Other words.")
    assert create(probing, kind="goal").kind == BriefKind.GOAL
    assert create(project_make()).version == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "law"},
        {"name": " "},
        {"name": "x" * 101},
        {"name": "a\x00b"},
        {"text": "\n"},
        {"text": "x" * 4_001},
        {"text": "a\ud800b"},
    ],
)
def test_a_brief_that_cannot_be_kept_is_refused(probing, fields):
    with pytest.raises(InvalidInput):
        create(probing, **fields)
    assert not Brief.objects.exists()


def test_another_wording_is_the_next_version_and_tasks_follow(probing, bob):
    rule = create(probing)
    taken = claim_make(probing, bob).task
    latest = brief_update(brief=rule, actor=None, text="Be very brief.")
    rule.refresh_from_db()
    assert (latest.version, latest.name, latest.is_active) == (2, "brevity", True)
    assert (rule.text, rule.is_active) == ("Be brief.", False)
    # The task that somebody took keeps its wording; the other three are made anew.
    taken.refresh_from_db()
    assert (taken.brief, taken.status) == (rule, TaskStatus.OPEN)
    assert open_briefs(probing) == [rule, latest, latest, latest]
    assert Task.objects.filter(brief=rule, status=TaskStatus.WITHDRAWN).count() == 3


def test_the_same_wording_is_no_new_version(probing):
    rule = create(probing)
    tasks = list(Task.objects.values_list("pk", "status"))
    assert brief_update(brief=rule, actor=None, text=" Be brief. ") == rule
    assert Brief.objects.count() == 1
    assert list(Task.objects.values_list("pk", "status")) == tasks
    assert not AuditEvent.objects.filter(verb="brief:updated").exists()


def test_rewording_an_old_version_goes_on_from_the_newest(probing):
    first = create(probing)
    second = brief_update(brief=first, actor=None, text="Two.")
    third = brief_update(brief=first, actor=None, text="Three.")
    assert (second.version, third.version) == (2, 3)
    assert [brief.is_active for brief in brief_list(probing)] == [False, False, True]
    brief_set_active(brief=third, actor=None, is_active=False)
    assert brief_update(brief=first, actor=None, text="Three.") == third
    third.refresh_from_db()
    assert third.is_active


def test_an_inactive_brief_leaves_its_tasks_to_the_others(probing):
    first, second = create(probing), create(probing, name="warmth", text="Be warm.")
    assert open_briefs(probing) == [first] * 4
    brief_set_active(brief=first, actor=None, is_active=False)
    assert open_briefs(probing) == [second] * 4
    brief_set_active(brief=second, actor=None, is_active=False)
    assert open_briefs(probing) == []
    brief_set_active(brief=first, actor=None, is_active=True)
    assert open_briefs(probing) == [first] * 4
    verbs = AuditEvent.objects.filter(verb__startswith="brief:").values_list("verb", flat=True)
    assert sorted(set(verbs)) == ["brief:activated", "brief:created", "brief:deactivated"]


def test_an_old_version_may_come_back_in_the_place_of_the_newest(probing):
    first = create(probing)
    second = brief_update(brief=first, actor=None, text="Two.")
    brief_set_active(brief=first, actor=None, is_active=True)
    brief_set_active(brief=first, actor=None, is_active=True)
    second.refresh_from_db()
    assert not second.is_active
    assert open_briefs(probing) == [first] * 4


def test_new_tasks_take_the_brief_that_was_used_least(probing):
    first, second = create(probing), create(probing, name="warmth", text="Be warm.")
    project_update(actor=None, project=probing, targets={"rule_probe": 9})
    # Four had the first; of the five new ones four even it out.
    briefs = open_briefs(probing)
    assert sorted([briefs.count(first), briefs.count(second)]) == [4, 5]


def test_a_topic_is_offered_to_conversations_that_need_none(project, bob):
    project_update(actor=None, project=project, kinds=["conversation"])
    project_update(actor=None, project=project, targets={"conversation": 1})
    without = claim_make(project, bob)
    assert without.task.brief is None
    topic = brief_make(project, "topic", "The sea.")
    project_update(actor=None, project=project, targets={"conversation": 2})
    assignment_skip(assignment_id=without.pk, annotator=bob, reason="no")
    assert claim_make(project, bob).task.brief == topic


def test_a_brief_of_another_project_is_not_found(project):
    rule = brief_make(project_make())
    with pytest.raises(NotFound):
        brief_get(project, rule.pk)
    with pytest.raises(InvalidInput, match="rule, goal, use_case, topic"):
        brief_list(project, "law")


@pytest.fixture
def carol(project):
    user = user_make("carol")
    membership_set(actor=None, project=project, user=user, role=Role.REVIEWER)
    return user


def test_admins_write_briefs_and_reviewers_read_them(probing, alice, carol, bob, charlie, api):
    address = "/api/v1/projects/project/briefs/"
    fields = {"kind": "rule", "name": "brevity", "text": "Be brief."}
    for user, status in ((carol, 403), (bob, 403), (charlie, 404), (None, 401)):
        assert api(user).post(address, fields, format="json").status_code == status
    made = api(alice).post(address, fields, format="json")
    assert made.status_code == 201
    assert made.json() == fields | {
        "id": made.json()["id"],
        "version": 1,
        "is_active": True,
        "created_at": made.json()["created_at"],
    }
    assert api(alice).post(address, fields, format="json").json()["code"] == "brief_name_taken"
    for user, status in ((alice, 200), (carol, 200), (bob, 403), (charlie, 404), (None, 401)):
        assert api(user).get(address).status_code == status
    assert api(carol).get(address).json()["results"] == [made.json()]
    assert api(carol).get(f"{address}?kind=goal").json()["results"] == []
    assert api(carol).get(f"{address}?kind=law").json()["code"] == "invalid_input"


def test_a_change_over_the_api_answers_the_version_it_led_to(probing, alice, carol, api):
    rule = create(probing)
    address = f"/api/v1/projects/project/briefs/{rule.pk}/"
    assert api(carol).patch(address, {"text": "No."}, format="json").status_code == 403
    changed = api(alice).patch(address, {"text": "Shorter."}, format="json").json()
    assert (changed["version"], changed["text"], changed["is_active"]) == (2, "Shorter.", True)
    address = f"/api/v1/projects/project/briefs/{changed['id']}/"
    off = api(alice).patch(address, {"is_active": False}, format="json").json()
    assert (off["id"], off["is_active"]) == (changed["id"], False)
    both = api(alice).patch(address, {"text": "Three", "is_active": False}, format="json").json()
    assert (both["version"], both["is_active"]) == (3, False)
    assert api(alice).patch(address, {}, format="json").json()["id"] == changed["id"]
    assert api(alice).patch("/api/v1/projects/project/briefs/0/", {}).status_code == 404


def test_half_a_character_in_a_choice_is_refused_like_any_other(project, alice, api):
    address = f"/api/v1/projects/{project.slug}/briefs/"
    body = b'{"kind": "\\ud800", "name": "n", "text": "t"}'
    answer = api(alice).post(address, body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert answer.json()["extra"]["fields"] == {"kind": ['"?" is not a valid choice.']}
