import pytest
from django.core.exceptions import ValidationError

from annotation.choices import Role, TaskStatus
from annotation.errors import InvalidInput, NotFound, PermissionDenied
from annotation.judgements import UnknownKind
from annotation.models import AuditEvent, Membership, Project, Task
from annotation.selectors.access import project_get, project_list, role_of
from annotation.services.projects import (
    LastAdmin,
    SlugTaken,
    membership_remove,
    membership_set,
    project_create,
    project_update,
)
from annotation.services.prompts import prompts_import
from annotation.services.tasks import (
    CompletionsInvalid,
    demonstration_tasks_ensure,
    task_create,
    tasks_withdraw,
)
from tests.factories import (
    claim_make,
    completion_make,
    project_make,
    prompt_make,
    ranking_task_make,
    user_make,
)

pytestmark = pytest.mark.django_db


# Access


@pytest.mark.parametrize("role", [Role.LABELER, Role.REVIEWER, Role.ADMIN])
def test_a_role_includes_the_lower_ones(project, role):
    user = user_make()
    Membership.objects.create(project=project, user=user, role=role)
    order = [Role.LABELER, Role.REVIEWER, Role.ADMIN]
    for needed in order:
        if order.index(role) >= order.index(needed):
            assert project_get(user=user, slug="project", role=needed) == project
        else:
            with pytest.raises(PermissionDenied):
                project_get(user=user, slug="project", role=needed)


def test_a_stranger_cannot_tell_a_project_from_none(project, charlie):
    with pytest.raises(NotFound) as there:
        project_get(user=charlie, slug="project")
    with pytest.raises(NotFound) as missing:
        project_get(user=charlie, slug="missing")
    assert there.value.message.replace("project", "") == missing.value.message.replace(
        "missing", ""
    ).replace("project", "")
    assert list(project_list(user=charlie)) == []


def test_a_superuser_is_admin_of_everything_and_an_inactive_member_of_nothing(project, alice):
    root = user_make(is_superuser=True)
    assert role_of(root, project) == Role.ADMIN
    assert list(project_list(user=root)) == [project]
    alice.is_active = False
    assert role_of(alice, project) is None


# Projects and members


def test_the_maker_is_admin(alice):
    project = project_create(actor=alice, slug="new", name="New")
    assert role_of(alice, project) == Role.ADMIN
    assert AuditEvent.objects.filter(verb="project:created", actor=alice).count() == 1


def test_a_slug_is_taken_once(project, alice):
    with pytest.raises(SlugTaken):
        project_create(actor=alice, slug="project", name="Again")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"kinds": []}, InvalidInput),
        ({"kinds": "ranking"}, InvalidInput),
        ({"kinds": ["ranking", "ranking"]}, InvalidInput),
        ({"kinds": ["divination"]}, UnknownKind),
        ({"kinds": [{}]}, UnknownKind),
        ({"slug": "other"}, InvalidInput),
        ({"guidelines": "a\x00"}, InvalidInput),
        ({"completions_per_task": 1}, ValidationError),
        ({"completions_per_task": 10}, ValidationError),
        ({"lease_minutes": 0}, ValidationError),
    ],
)
def test_values_that_make_no_sense_are_refused(project, alice, fields, error):
    with pytest.raises(error):
        project_update(actor=alice, project=project, **fields)
    assert Project.objects.filter(pk=project.pk, completions_per_task=4, lease_minutes=30).exists()


def test_an_update_records_what_changed_and_only_that(project, alice):
    project_update(actor=alice, project=project, name="The project", lease_minutes=5)
    event = AuditEvent.objects.get(verb="project:updated")
    assert event.data == {"fields": {"lease_minutes": 5}}


def test_the_last_admin_cannot_leave(project, alice, bob):
    with pytest.raises(LastAdmin):
        membership_remove(actor=alice, project=project, user=alice)
    with pytest.raises(LastAdmin):
        membership_set(actor=alice, project=project, user=alice, role=Role.LABELER)
    membership_set(actor=alice, project=project, user=bob, role=Role.ADMIN)
    membership_remove(actor=alice, project=project, user=alice)
    assert role_of(alice, project) is None


def test_an_unknown_role_is_refused(project, alice, bob):
    with pytest.raises(InvalidInput):
        membership_set(actor=alice, project=project, user=bob, role="king")


# Tasks


def test_a_ranking_task_takes_two_to_nine_different_completions_of_its_prompt(project):
    prompt = prompt_make(project)
    completions = [completion_make(prompt) for _ in range(10)]
    foreign = completion_make(prompt_make(project))
    for wrong in (completions[:1], completions, [completions[0]] * 2, [completions[0], foreign]):
        with pytest.raises(CompletionsInvalid):
            task_create(project=project, kind="ranking", prompt=prompt, completions=wrong)
    with pytest.raises(CompletionsInvalid):
        task_create(
            project=project_make(), kind="ranking", prompt=prompt, completions=completions[:2]
        )
    assert Task.objects.count() == 0
    for num in (2, 9):
        task_create(project=project, kind="ranking", prompt=prompt, completions=completions[:num])


def test_only_unclaimed_open_tasks_are_withdrawn(project, bob):
    claimed, free = ranking_task_make(project), ranking_task_make(project)
    claim_make(project, bob)
    assert tasks_withdraw(tasks_queryset=Task.objects.all(), reason="A newer policy") == 1
    free.refresh_from_db()
    claimed.refresh_from_db()
    assert (free.status, free.withdrawn_reason) == (TaskStatus.WITHDRAWN, "A newer policy")
    assert claimed.status == TaskStatus.OPEN


def test_the_target_of_demonstrations_can_be_raised_lowered_and_raised(project, alice):
    lines = [f'{{"prompt": "P{n}"}}' for n in range(5)]
    prompts_import(actor=alice, project=project, lines=lines)

    def num_open() -> int:
        return Task.objects.filter(kind="demonstration", status=TaskStatus.OPEN).count()

    for target in (4, 1, 3, 9):
        project_update(actor=alice, project=project, demonstrations_target=target)
        assert num_open() == min(target, 5)
    assert demonstration_tasks_ensure(project=project) == 0
