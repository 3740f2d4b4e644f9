import random

import pytest

from annotation.judgements import UnknownKind, kind_get, kind_list
from annotation.judgements.base import JudgementKind
from annotation.judgements.records import RecordSerializer
from annotation.models import Assignment
from annotation.services.assignments import assignment_submit
from annotation.services.projects import project_update
from tests.factories import (
    claim_make,
    completion_ids,
    conversation_make,
    demonstration_make,
    labeler_make,
    ranking_make,
    ranking_task_make,
    thumb_make,
)

MAKERS = {
    "ranking": ranking_make,
    "demonstration": demonstration_make,
    "thumbs": thumb_make,
    "conversation": conversation_make,
}


def test_the_registry_finds_the_kinds_by_themselves():
    streams = {kind.name: kind.training_streams for kind in kind_list()}
    assert streams == {
        "comparison": {"rankings"},
        "conversation": {"rankings"},
        "demonstration": {"demonstrations", "rankings"},
        "dialogue": {"demonstrations", "rankings"},
        "evidence": {"ratings"},
        "prompt_writing": {"demonstrations"},
        "ranking": {"rankings"},
        "rating": {"rankings"},
        "red_team": {"rankings"},
        "rule_probe": {"ratings", "rankings"},
        "thumbs": {"ratings"},
    }
    for name in ("base", "records", "", None, [], "x" * 1_000):
        with pytest.raises(UnknownKind, match="there are: comparison, conversation, demonstration"):
            kind_get(name)


@pytest.mark.django_db
def test_the_number_of_completions_is_the_projects_for_rankings_and_none_for_writing(project):
    assert kind_get("ranking").num_completions(project) == 4
    assert kind_get("demonstration").num_completions(project) == 0
    assert kind_get("thumbs").num_completions(project) == 1


@pytest.mark.django_db
def test_the_same_generator_shows_the_same_order(project):
    task = ranking_task_make(project, num_completions=6)
    kind = kind_get("ranking")
    first, second = (kind.shown_order(task, random.Random(7)) for _ in range(2))
    assert first == second
    assert sorted(first) == completion_ids(task)


@pytest.mark.django_db
def test_a_demonstration_is_exported_as_one_plain_record(project, bob):
    demonstration = demonstration_make(project, bob, "Boil it.")
    assert list(kind_get("demonstration").export(project)) == [
        {
            "id": demonstration.pk,
            "prompt_id": demonstration.prompt_id,
            "prompt": demonstration.prompt.messages,
            "completion": "Boil it.",
            "completion_id": demonstration.completion_id,
            "edited_from": None,
            "annotator": bob.pk,
            "created_at": demonstration.created_at.isoformat(),
            "guidelines_version": None,
            "seconds_spent": None,
        }
    ]


@pytest.mark.django_db
def test_a_ranking_is_exported_in_the_tasks_order_with_its_ties(project, bob):
    task = ranking_task_make(project, num_completions=4)
    a, b, c, d = completion_ids(task)
    assignment = claim_make(project, bob)
    ranking = assignment_submit(
        assignment_id=assignment.pk, annotator=bob, payload={"order": [[d], [b, a], [c]]}
    )
    [record] = kind_get("ranking").export(project)
    assert [completion["id"] for completion in record["completions"]] == [a, b, c, d]
    assert record["ranks"] == [2, 2, 3, 1]
    assert (record["id"], record["prompt_id"]) == (ranking.pk, task.prompt_id)
    assert (record["prompt"], record["annotator"]) == (task.prompt.messages, bob.pk)


def test_what_every_record_says_is_said_in_one_place():
    for kind in kind_list():
        assert issubclass(kind.record_serializer, RecordSerializer), kind.name
        assert type(kind).record is JudgementKind.record, kind.name


@pytest.mark.django_db
@pytest.mark.parametrize("name", MAKERS)
def test_a_record_tells_the_guidelines_it_followed_and_the_seconds_it_took(
    project, alice, bob, name
):
    make, kind = MAKERS[name], kind_get(name)
    make(project, bob)
    for text in ("Be kind.", "Be kind and brief."):
        project_update(actor=alice, project=project, guidelines=text)
    later = make(project, labeler_make(project))
    Assignment.objects.filter(pk=later.assignment_id).update(seconds_spent=12.5)
    records = list(kind.export(project))
    told = [(record["guidelines_version"], record["seconds_spent"]) for record in records]
    assert told == [(None, None), (2, 12.5)]
    for record in records:
        assert set(record) == set(kind.record_serializer().fields)
        assert kind.record_serializer(record).data["seconds_spent"] == record["seconds_spent"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", MAKERS)
def test_an_export_has_a_constant_number_of_queries(
    project, bob, name, django_assert_max_num_queries
):
    project_update(actor=None, project=project, guidelines="Be kind.")
    make, kind = MAKERS[name], kind_get(name)
    make(project, bob)
    for _ in range(2):
        with django_assert_max_num_queries(5):
            assert list(kind.export(project))
        for _ in range(3):
            make(project, labeler_make(project))
