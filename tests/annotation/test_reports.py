import pytest

from annotation.errors import InvalidInput, NotFound
from annotation.evidence import messages_with_sources
from annotation.models import AuditEvent, Completion, Prompt, Report
from annotation.selectors.reports import report_list, reports_seen
from annotation.selectors.turns import turns_present
from annotation.services.assignments import assignment_claim, assignment_skip
from annotation.services.projects import membership_set, project_update
from annotation.services.reports import report_create, report_resolve
from tests.annotation.acts import submit_in_order
from tests.factories import (
    answers_task_make,
    claim_make,
    completion_make,
    demonstration_task_make,
    exchange_make,
    prompt_make,
    ranking_task_make,
    talk_begin,
    user_make,
)

pytestmark = pytest.mark.django_db

PROBLEM = {"kind": "problem", "text": "Look at this."}
SOURCES = [{"title": "Ferns", "text": "Ferns like shade.", "url": "https://fern.example"}]


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


def seen_of(assignment):
    report_create(assignment_id=assignment.pk, reporter=assignment.annotator, **PROBLEM)
    [report] = report_list(assignment.task.project).filter(assignment=assignment)
    return reports_seen([report])[assignment.pk]


def test_a_report_comes_with_what_its_labeler_saw(project, bob):
    prompt = prompt_make(project, "Where do ferns grow?")
    sent = messages_with_sources(prompt.messages, SOURCES)
    Prompt.objects.filter(pk=prompt.pk).update(messages=sent, sources=SOURCES)
    prompt.refresh_from_db()
    project_update(actor=None, project=project, kinds=["comparison"])
    answers_task_make(project, "comparison", num_completions=2, prompt=prompt)
    assignment = claim_make(project, bob)
    seen = seen_of(assignment)
    texts = dict(Completion.objects.values_list("pk", "text"))
    assert seen.answers == [texts[pk] for pk in assignment.shown_order]
    assert seen.messages == [{"role": "user", "content": "Where do ferns grow?"}]
    assert (seen.sources, seen.brief, seen.is_draft, seen.turns) == (SOURCES, None, False, [])


def test_a_report_on_a_conversation_comes_with_every_turn_and_reply(project, bob):
    assignment = talk_begin(project, bob, "red_team")
    first = exchange_make(assignment, "Hello?")
    exchange_make(assignment, "And then?", parent=first)
    seen = seen_of(assignment)
    assert (seen.messages, seen.answers) == ([], [])
    assert seen.brief == assignment.task.brief
    assert seen.turns == turns_present(assignment)
    assert [len(turn["replies"]) for turn in seen.turns] == [2, 2]


def test_a_draft_and_a_task_that_begins_with_nothing(project, bob):
    task = demonstration_task_make(project)
    draft = completion_make(task.the_prompt, "A draft.")
    written = claim_make(project, bob, "demonstration")
    written.shown_order = [draft.pk]
    written.save()
    seen = seen_of(written)
    assert (seen.answers, seen.is_draft) == (["A draft."], True)
    project_update(
        actor=None, project=project, kinds=["prompt_writing"], targets={"prompt_writing": 1}
    )
    seen = seen_of(claim_make(project, bob, "prompt_writing"))
    assert (seen.messages, seen.brief, seen.answers, seen.turns) == ([], None, [], [])


def test_more_reports_take_no_more_queries(project, bob, django_assert_num_queries):
    ranking_task_make(project)
    ranking = claim_make(project, bob, "ranking")
    report_create(assignment_id=ranking.pk, reporter=bob, **PROBLEM)
    assignment_skip(assignment_id=ranking.pk, annotator=bob, reason="Next")
    first = talk_begin(project, bob, "conversation")
    exchange_make(first)
    report_create(assignment_id=first.pk, reporter=bob, **PROBLEM)
    with django_assert_num_queries(4):
        reports_seen(report_list(project))
    assignment_skip(assignment_id=first.pk, annotator=bob, reason="Next")
    second = talk_begin(project, bob, "conversation")
    exchange_make(second, "Again?", parent=exchange_make(second))
    report_create(assignment_id=second.pk, reporter=bob, **PROBLEM)
    with django_assert_num_queries(4):
        assert len(reports_seen(report_list(project))) == 3
