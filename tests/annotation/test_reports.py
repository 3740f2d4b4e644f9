import pytest

from annotation.errors import InvalidInput, NotFound
from annotation.models import AuditEvent, Report
from annotation.services.assignments import assignment_claim
from annotation.services.projects import membership_set
from annotation.services.reports import report_create, report_resolve
from tests.annotation.acts import submit_in_order
from tests.factories import ranking_task_make, user_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def assignment(project, bob):
    ranking_task_make(project)
    return assignment_claim(project=project, annotator=bob)


@pytest.fixture
def report(assignment, bob):
    return report_create(
        assignment_id=assignment.pk, reporter=bob, kind="content", text=" It threatens someone. "
    )


def test_a_report_goes_to_the_project_and_changes_nothing_else(assignment, report, project, bob):
    assert (report.project, report.assignment, report.reporter) == (project, assignment, bob)
    assert (report.kind, report.text) == ("content", "It threatens someone.")
    assignment.refresh_from_db()
    assert assignment.status == "active"
    assert AuditEvent.objects.filter(verb="report:created", actor=bob).count() == 1


def test_the_same_report_twice_is_one_until_it_is_resolved(assignment, report, alice, bob):
    def again() -> Report:
        return report_create(
            assignment_id=assignment.pk, reporter=bob, kind="content", text="It threatens someone."
        )

    assert again() == report
    report_resolve(report=report, actor=alice)
    assert again() != report


def test_a_submitted_task_can_still_be_reported(assignment, bob):
    submit_in_order(assignment, bob)
    report_create(assignment_id=assignment.pk, reporter=bob, kind="problem", text="A was empty")
    assert Report.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "text"),
    [("content", " "), ("praise", "Good"), ("problem", "a\x00"), ("problem", "x" * 2_001)],
)
def test_a_report_says_something_of_a_known_kind(kind, text, assignment, bob):
    with pytest.raises(InvalidInput):
        report_create(assignment_id=assignment.pk, reporter=bob, kind=kind, text=text)
    assert not Report.objects.exists()


def test_nobody_reports_on_the_assignment_of_another(assignment, charlie, alice):
    for other in (charlie, alice):
        with pytest.raises(NotFound):
            report_create(assignment_id=assignment.pk, reporter=other, kind="problem", text="No")


def test_a_report_is_resolved_once(report, alice, project):
    assert report_resolve(report=report, actor=alice).resolved_by == alice
    other = user_make()
    assert report_resolve(report=report, actor=other).resolved_by == alice
    assert AuditEvent.objects.filter(verb="report:resolved").count() == 1


def test_reports_by_the_api(assignment, project, api, alice, bob, charlie):
    address, sent = f"/api/v1/assignments/{assignment.pk}/reports/", {"kind": "problem"}
    assert api(bob).post(address, sent, format="json").status_code == 400
    sent["text"] = "The answers overlap"
    assert api(charlie).post(address, sent, format="json").status_code == 404
    created = api(bob).post(address, sent, format="json")
    assert created.status_code == 201
    assert created.json()["reporter"] == "bob"
    listing = f"/api/v1/projects/{project.slug}/reports/"
    reviewer = user_make()
    membership_set(actor=alice, project=project, user=reviewer, role="reviewer")
    assert api(bob).get(listing).status_code == 403
    assert [found["text"] for found in api(reviewer).get(listing).json()["results"]] == [
        "The answers overlap"
    ]
    resolve = f"{listing}{created.json()['id']}/resolve/"
    assert api(bob).post(resolve).status_code == 403
    assert api(reviewer).post(resolve).json()["resolved_at"] is not None
    assert api(reviewer).get(listing + "?state=open").json()["results"] == []
    assert len(api(reviewer).get(listing + "?state=resolved").json()["results"]) == 1
    assert api(reviewer).get(listing + "?state=loud").status_code == 400
