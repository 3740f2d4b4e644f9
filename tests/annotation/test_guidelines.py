import pytest

from annotation.selectors.assignments import assignment_get, assignment_present
from annotation.services.assignments import assignment_claim
from annotation.services.projects import project_update
from tests.annotation.acts import submit_in_order
from tests.factories import ranking_task_make

pytestmark = pytest.mark.django_db


def publish(project, alice, text):
    project_update(project=project, actor=alice, guidelines=text)
    project.refresh_from_db()


def shown(project, bob):
    assignment = assignment_claim(project=project, annotator=bob)
    return assignment, assignment_present(assignment)["guidelines"]


def test_a_project_without_guidelines_has_version_zero(project, bob):
    ranking_task_make(project)
    assert shown(project, bob)[1] == {"version": 0, "text": "", "latest": 0}


def test_a_task_keeps_the_version_it_was_taken_with_and_tells_of_a_newer(project, alice, bob):
    publish(project, alice, "Be kind.")
    ranking_task_make(project)
    assignment, before = shown(project, bob)
    assert before == {"version": 1, "text": "Be kind.", "latest": 1}
    publish(project, alice, "Be kind and short.")
    assert shown(project, bob)[1] == {"version": 1, "text": "Be kind.", "latest": 2}
    submit_in_order(assignment, bob)
    assignment = assignment_get(user=bob, assignment_id=assignment.pk)
    assert assignment.guidelines.number == 1


def test_the_same_text_is_no_new_version(project, alice, api, bob, charlie):
    for text in ("Be kind.", "Be kind.", "Be kind and short."):
        publish(project, alice, text)
    address = f"/api/v1/projects/{project.slug}/guidelines/"
    found = api(bob).get(address).json()["results"]
    assert [(version["version"], version["text"]) for version in found] == [
        (2, "Be kind and short."),
        (1, "Be kind."),
    ]
    assert api(charlie).get(address).status_code == 404
