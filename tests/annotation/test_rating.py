"""Ratings: each answer alone on 1 to 7 with its flags, then the order; and the flags' versions."""

import pytest

from annotation.errors import InvalidInput
from annotation.judgements import kind_get
from annotation.judgements.ranking import (
    RankingIncomplete,
    RankingRepeatsCompletion,
    RankingUnknownCompletion,
)
from annotation.judgements.rating import FlagSchemaUnknown, RatingUnknownFlag
from annotation.models import AuditEvent, CompletionRating, FlagSchema, Ranking
from annotation.services.assignments import assignment_submit
from annotation.services.flag_schemas import (
    FlagSchemaInvalid,
    flag_schema_get,
    flag_schema_publish,
)
from annotation.services.undo import assignment_undo
from tests.factories import answers_task_make, claim_make, project_make

pytestmark = pytest.mark.django_db

P = "/api/v1/projects/project/"
# InstructGPT, Table 3, in its order.
ELEVEN = [
    "fails_instruction",
    "inappropriate",
    "hallucination",
    "satisfies_constraint",
    "sexual_content",
    "violent_content",
    "encourages_harm",
    "denigrates",
    "harmful_advice",
    "opinion",
    "moral_judgement",
]


@pytest.fixture
def project(project):
    project.kinds = ["rating"]
    project.save()
    return project


@pytest.fixture
def assignment(project, bob):
    answers_task_make(project, "rating", num_completions=3)
    return claim_make(project, bob, "rating")


def rated(assignment, overall=(7, 1, 4), flags=((), (), ())):
    """A whole payload, by the answers as shown: the order is that of the ratings."""
    shown = assignment.shown_order
    best_first = sorted(range(3), key=lambda index: -overall[index])
    return {
        "ratings": [
            {"completion": pk, "overall": number, "flags": list(names)}
            for pk, number, names in zip(shown, overall, flags, strict=True)
        ],
        "order": [[shown[index]] for index in best_first],
        "schema_version": 1,
    }


def submit(assignment, bob, payload):
    return assignment_submit(assignment_id=assignment.pk, annotator=bob, payload=payload)


def test_the_page_asks_instructgpts_eleven_flags(project, assignment):
    details = kind_get("rating").present(assignment)
    assert details["schema_version"] == 1
    assert [flag["name"] for flag in details["flags"]] == ELEVEN
    assert all(flag["question"].endswith("?") for flag in details["flags"])
    kind_get("rating").present(assignment)
    assert FlagSchema.objects.count() == 1


def test_each_answer_is_stored_with_its_rating_and_flags_beside_the_order(project, assignment, bob):
    flag_schema_get(project)
    a, b, c = assignment.shown_order
    flags = ((), ("opinion", "hallucination", "opinion"), ())
    payload = rated(assignment, flags=flags) | {"all_bad": True, "seconds_spent": 9}
    ranking = submit(assignment, bob, payload)
    assert ranking.order == [[a], [c], [b]]
    assert (ranking.all_bad, ranking.levels, ranking.strength) == (True, None, None)
    stored = CompletionRating.objects.values_list("completion", "overall", "flags")
    # Each flag once, in the schema's order.
    assert list(stored) == [(a, 7, []), (b, 1, ["hallucination", "opinion"]), (c, 4, [])]
    assert {rating.schema.version for rating in ranking.ratings.all()} == {1}


def test_a_rating_that_does_not_cover_what_was_shown_is_refused(project, assignment, bob):
    flag_schema_get(project)
    whole = rated(assignment)
    first, second, third = whole["ratings"]
    unknown = first | {"completion": sum(assignment.shown_order)}
    for ratings, error in (
        ([first, second], RankingIncomplete),
        ([first, second, third, third], RankingRepeatsCompletion),
        ([unknown, first, second, third], RankingUnknownCompletion),
    ):
        with pytest.raises(error, match="The rating"):
            submit(assignment, bob, whole | {"ratings": ratings})
    with pytest.raises(RankingIncomplete, match="The ranking"):
        submit(assignment, bob, whole | {"order": whole["order"][:2]})
    assert not Ranking.objects.exists()
    submit(assignment, bob, whole)


@pytest.mark.parametrize("overall", [0, 8, "good", None, 3.5])
def test_an_overall_rating_is_a_whole_number_from_1_to_7(project, assignment, bob, overall):
    flag_schema_get(project)
    whole = rated(assignment)
    wrong = [whole["ratings"][0] | {"overall": overall}, *whole["ratings"][1:]]
    with pytest.raises(InvalidInput, match="ratings"):
        submit(assignment, bob, whole | {"ratings": wrong})
    assert submit(assignment, bob, whole).pk


def test_flags_belong_to_the_version_named(project, assignment, bob):
    flag_schema_publish(
        project=project, actor=bob, flags=[{"name": "rude", "question": "Is it rude?"}]
    )
    whole = rated(assignment, flags=(("rude",), (), ()))
    with pytest.raises(RatingUnknownFlag) as unknown:
        submit(assignment, bob, whole)
    assert unknown.value.extra == {"flags": ["rude"], "version": 1}
    with pytest.raises(FlagSchemaUnknown) as version:
        submit(assignment, bob, whole | {"schema_version": 3})
    assert version.value.extra == {"version": 3, "newest": 2}
    # The person began before the change.
    submit(assignment, bob, rated(assignment, flags=(("opinion",), (), ())))
    assert CompletionRating.objects.first().schema.version == 1


def test_a_rating_is_exported_with_every_answers_own(project, assignment, bob):
    flag_schema_get(project)
    payload = rated(assignment, flags=(("opinion",), (), ()))
    ranking = submit(assignment, bob, payload)
    kind = kind_get("rating")
    [record] = kind.export(project)
    by_completion = {rating["completion"]: rating for rating in payload["ratings"]}
    ids = [part["id"] for part in record["completions"]]
    assert record["ratings"] == [by_completion[pk] for pk in ids]
    assert (record["id"], record["schema_version"], record["all_bad"]) == (ranking.pk, 1, False)
    # 7, 4, 1 are the places 1, 2, 3.
    places = {7: 1, 4: 2, 1: 3}
    assert record["ranks"] == [places[by_completion[pk]["overall"]] for pk in ids]
    [(stream, example)] = kind.training_records(record)
    assert (stream, set(example)) == ("rankings", {"prompt", "completions", "ranks"})


def test_an_export_reads_its_rows_in_a_fixed_number_of_queries(
    project, bob, django_assert_num_queries
):
    flag_schema_get(project)
    for _ in range(3):
        answers_task_make(project, "rating", num_completions=3)
        assignment = claim_make(project, bob, "rating")
        submit(assignment, bob, rated(assignment))
    kind = kind_get("rating")
    # Rankings; their items, ratings, schemas, tasks, parts and completions.
    with django_assert_num_queries(7):
        assert len([kind.record(row) for row in kind.queryset(project)]) == 3


def test_an_undone_rating_leaves_nothing_but_its_draft(project, assignment, bob):
    flag_schema_get(project)
    payload = rated(assignment)
    submit(assignment, bob, payload)
    assert assignment_undo(assignment_id=assignment.pk, annotator=bob).draft == payload
    assert not CompletionRating.objects.exists()


def test_a_changed_schema_is_a_new_version_and_the_old_one_stays(project, alice):
    first = flag_schema_get(project)
    flags = [{"name": "rude", "question": " Is it rude? "}]
    second = flag_schema_publish(project=project, actor=alice, flags=flags)
    assert second.flags == [{"name": "rude", "question": "Is it rude?"}]
    assert (first.version, second.version, second.author) == (1, 2, alice)
    assert flag_schema_publish(project=project, actor=alice, flags=flags) == second
    assert flag_schema_get(project) == second
    first.refresh_from_db()
    assert [flag["name"] for flag in first.flags] == ELEVEN
    assert flag_schema_get(project_make()).version == 1
    published = AuditEvent.objects.get(verb="flag_schema:published")
    assert (published.actor, published.data) == (alice, {"version": 2})


RUDE = {"name": "rude", "question": "Is it rude?"}


@pytest.mark.parametrize(
    "flags",
    [
        [],
        [RUDE | {"name": f"flag_{number}"} for number in range(31)],
        [RUDE, RUDE],
        [RUDE | {"name": "Rude"}],
        [RUDE | {"name": "so rude"}],
        [RUDE | {"name": ""}],
        [RUDE | {"name": "x" * 61}],
        [RUDE | {"question": "  "}],
        [RUDE | {"question": "x" * 301}],
        [RUDE | {"question": "\x00?"}],
        [RUDE | {"question": "\ud800?"}],
    ],
)
def test_flags_that_cannot_be_asked_are_refused(project, flags):
    with pytest.raises(FlagSchemaInvalid):
        flag_schema_publish(project=project, actor=None, flags=flags)
    assert flag_schema_publish(project=project, actor=None, flags=[RUDE]).version == 2


def test_members_read_the_flags_and_admins_change_them(project, bob, alice, charlie, api):
    address = f"{P}flag-schemas/"
    assert api(charlie).get(address).status_code == 404
    [first] = api(bob).get(address).json()["results"]
    assert (first["version"], len(first["flags"])) == (1, 11)
    body = {"flags": [RUDE]}
    assert api(bob).post(address, body, format="json").status_code == 403
    made = api(alice).post(address, body, format="json")
    assert (made.status_code, made.json()["version"]) == (201, 2)
    refused = api(alice).post(address, {"flags": [RUDE, RUDE]}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (400, "flag_schema_invalid")
    assert [row["version"] for row in api(bob).get(address).json()["results"]] == [2, 1]


def test_ratings_go_through_the_api_like_every_kind(project, bob, alice, api):
    answers_task_make(project, "rating", num_completions=3)
    claim = f"{P}assignments/claim/"
    shown = api(bob).post(claim, {"kind": "rating"}, format="json").json()
    assert [flag["name"] for flag in shown["details"]["flags"]] == ELEVEN
    ids = [part["id"] for part in shown["completions"]]
    body = {
        "ratings": [{"completion": pk, "overall": 5, "flags": ["opinion"]} for pk in ids],
        "order": [ids],
        "schema_version": shown["details"]["schema_version"],
    }
    address = f"/api/v1/assignments/{shown['id']}/submit/"
    taken = api(bob).post(address, body, format="json")
    assert taken.status_code == 201
    [record] = api(alice).get(f"{P}ratings/").json()["results"]
    assert record["id"] == taken.json()["id"]
    assert sorted(rating["completion"] for rating in record["ratings"]) == sorted(ids)
