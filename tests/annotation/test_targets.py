"""Tasks that start from nothing or from a brief, and the project's choices for each kind."""

from collections import Counter

import pytest

from annotation.errors import InvalidInput
from annotation.judgements import UnknownKind, kind_get
from annotation.models import Brief, Task
from annotation.services.projects import project_create, project_update
from tests.factories import claim_make

pytestmark = pytest.mark.django_db
KINDS = ["ranking", "conversation", "red_team", "prompt_writing"]


@pytest.fixture
def project(project, alice):
    return project_update(actor=alice, project=project, kinds=KINDS)


def tasks(project, kind):
    return Task.objects.filter(project=project, kind=kind, status="open")


def goal(project, name):
    return Brief.objects.create(project=project, kind="goal", name=name, text=name)


def test_as_many_tasks_are_made_as_the_project_wants_and_no_more_the_second_time(project, alice):
    for _ in range(2):
        project_update(actor=alice, project=project, targets={"conversation": 3})
    assert tasks(project, "conversation").count() == 3
    assert all(task.prompt is None for task in tasks(project, "conversation"))
    project_update(actor=alice, project=project, targets={"conversation": 5})
    assert tasks(project, "conversation").count() == 5


def test_fewer_wanted_withdraws_what_nobody_took(project, alice, bob):
    project_update(actor=alice, project=project, targets={"conversation": 3})
    taken = claim_make(project, bob, "conversation").task
    project_update(actor=alice, project=project, targets={})
    assert list(tasks(project, "conversation")) == [taken]


def test_a_kind_that_is_not_collected_has_no_tasks(project, alice):
    project_update(actor=alice, project=project, targets={"dialogue": 2})
    assert not tasks(project, "dialogue").exists()
    project_update(actor=alice, project=project, kinds=[*KINDS, "dialogue"])
    assert tasks(project, "dialogue").count() == 2
    project_update(actor=alice, project=project, kinds=KINDS)
    assert not tasks(project, "dialogue").exists()


def test_a_kind_that_needs_briefs_waits_for_them_and_uses_each_as_often(project, alice):
    project_update(actor=alice, project=project, targets={"red_team": 5})
    assert not tasks(project, "red_team").exists()
    for name in ("first", "second"):
        goal(project, name)
    Brief.objects.create(project=project, kind="goal", name="old", text="old", is_active=False)
    Brief.objects.create(project=project, kind="rule", name="rule", text="rule")
    project_update(actor=alice, project=project, targets={"red_team": 4})
    used = Counter(tasks(project, "red_team").values_list("brief__name", flat=True))
    assert used == {"first": 2, "second": 2}
    goal(project, "third")
    project_update(actor=alice, project=project, targets={"red_team": 6})
    used = Counter(tasks(project, "red_team").values_list("brief__name", flat=True))
    assert used == {"first": 2, "second": 2, "third": 2}


def test_a_new_project_with_targets_has_its_tasks_at_once(alice):
    made = project_create(
        actor=alice, slug="new", name="New", kinds=["dialogue"], targets={"dialogue": 4}
    )
    assert tasks(made, "dialogue").count() == 4


@pytest.mark.parametrize(
    "targets",
    [
        {"ranking": 3},
        {"conversation": -1},
        {"conversation": 1_000_001},
        {"conversation": "3"},
        {"conversation": True},
        {"divination": 1},
        [],
        "conversation",
    ],
)
def test_a_target_that_makes_no_sense_is_refused_and_nothing_changes(project, alice, targets):
    with pytest.raises(InvalidInput) as refused:
        project_update(actor=alice, project=project, targets=targets)
    assert set(refused.value.extra["fields"]) == {"targets"}
    project.refresh_from_db()
    assert project.targets == {}


def test_options_left_out_are_the_kinds_defaults(project, alice):
    assert kind_get("comparison").options(project)["levels"] == 8
    project_update(actor=alice, project=project, options={"comparison": {"levels": 5}})
    options = kind_get("comparison").options(project)
    assert (options["levels"], options["tie"], options["reason"]) == (5, True, "optional")


@pytest.mark.parametrize(
    "options",
    [
        {"comparison": {"levels": 10}},
        {"comparison": {"levels": 1}},
        {"comparison": {"colour": "red"}},
        {"comparison": [5]},
        {"thumbs": {"levels": 5}},
        {"conversation": {"min_turns": 5, "max_turns": 4}},
        [],
    ],
)
def test_an_option_that_a_kind_does_not_know_is_refused(project, alice, options):
    with pytest.raises(InvalidInput) as refused:
        project_update(actor=alice, project=project, options=options)
    assert set(refused.value.extra["fields"]) == {"options"}


def test_options_of_an_unknown_kind_are_refused(project, alice):
    with pytest.raises(UnknownKind):
        project_update(actor=alice, project=project, options={"divination": {}})
