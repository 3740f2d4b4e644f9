"""Comparisons: what each scale takes, what is stored, what training gets."""

import pytest

from annotation.choices import TaskStatus
from annotation.errors import InvalidInput
from annotation.judgements import kind_get
from annotation.judgements.comparison import (
    BothBadNotOffered,
    ComparisonDimensionMissing,
    ComparisonDimensionUnknown,
    ComparisonReasonMissing,
    ComparisonScaleChanged,
    ComparisonStrengthOffScale,
    ComparisonUnknownCompletion,
    TieNotOffered,
)
from annotation.models import ComparisonDimension, Ranking
from annotation.services.assignments import assignment_submit
from annotation.services.projects import project_update
from annotation.services.tasks import CompletionsInvalid
from annotation.services.undo import assignment_undo
from tests.factories import answers_task_make, claim_make, completion_ids

pytestmark = pytest.mark.django_db

P = "/api/v1/projects/project/"


@pytest.fixture
def project(project):
    return project_with(project)


def project_with(project, **options):
    project.kinds = ["comparison"]
    project.options = {"comparison": options}
    project.save()
    return project


def claimed(project, bob):
    """Bob's assignment and the two completions as he sees them."""
    answers_task_make(project, "comparison", num_completions=2)
    assignment = claim_make(project, bob, "comparison")
    return assignment, *assignment.shown_order


def submit(assignment, bob, **payload):
    return assignment_submit(assignment_id=assignment.pk, annotator=bob, payload=payload)


def test_the_better_answer_its_strength_and_the_scale_are_stored(project, bob):
    assignment, a, b = claimed(project, bob)
    ranking = submit(
        assignment, bob, preferred=b, strength=3, both_bad=True, reason=" Kinder. ", levels=8
    )
    assert ranking.order == [[b], [a]]
    assert (ranking.strength, ranking.levels) == (3, 8)
    assert (ranking.all_bad, ranking.reason) == (True, "Kinder.")
    assignment.task.refresh_from_db()
    assert assignment.task.status == TaskStatus.CLOSED


def test_a_tie_is_one_place_without_strength(project, bob):
    assignment, a, b = claimed(project, bob)
    ranking = submit(assignment, bob, preferred=None)
    assert ranking.order == [[a, b]]
    assert (ranking.strength, ranking.levels, ranking.all_bad) == (None, 8, False)


# floor(L / 2) strengths on each side.
HIGHEST = {2: 1, 3: 1, 4: 2, 5: 2, 6: 3, 7: 3, 8: 4, 9: 4}


@pytest.mark.parametrize("levels", HIGHEST)
def test_each_scale_takes_its_strengths_and_no_more(project, bob, levels):
    project_with(project, levels=levels)
    for strength in range(1, HIGHEST[levels] + 1):
        assignment, a, _ = claimed(project, bob)
        assert submit(assignment, bob, preferred=a, strength=strength).strength == strength
    assignment, a, _ = claimed(project, bob)
    for wrong in {0, HIGHEST[levels] + 1, 9, -1}:
        with pytest.raises(InvalidInput):
            submit(assignment, bob, preferred=a, strength=wrong)
    with pytest.raises(ComparisonStrengthOffScale) as refusal:
        submit(assignment, bob, preferred=a, strength=HIGHEST[levels] + 1)
    assert refusal.value.extra["maximum"] == HIGHEST[levels]
    with pytest.raises(ComparisonStrengthOffScale):
        submit(assignment, bob, preferred=None, strength=1)
    assert Ranking.objects.count() == HIGHEST[levels]


def test_a_strength_goes_without_saying_where_there_is_but_one(project, bob):
    for levels, strength in ((2, 1), (3, 1)):
        project_with(project, levels=levels)
        assignment, a, _ = claimed(project, bob)
        assert submit(assignment, bob, preferred=a).strength == strength
    project_with(project, levels=4)
    assignment, a, _ = claimed(project, bob)
    with pytest.raises(ComparisonStrengthOffScale, match="the strength is missing"):
        submit(assignment, bob, preferred=a)


@pytest.mark.parametrize(("levels", "tie", "taken"), [(8, True, True), (9, False, True)])
def test_a_tie_belongs_to_an_odd_scale_or_is_offered_beside_an_even_one(
    project, bob, levels, tie, taken
):
    project_with(project, levels=8, tie=False)
    assignment, *_ = claimed(project, bob)
    with pytest.raises(TieNotOffered):
        submit(assignment, bob, preferred=None)
    project_with(project, levels=levels, tie=tie)
    assert (len(submit(assignment, bob, preferred=None).order) == 1) is taken


def test_what_the_project_does_not_ask_is_refused(project, bob):
    assignment, a, b = claimed(project, bob)
    said = {"preferred": a, "strength": 1}
    with pytest.raises(ComparisonUnknownCompletion, match=f"completion {a + b} is better"):
        submit(assignment, bob, **said | {"preferred": a + b})
    with pytest.raises(ComparisonScaleChanged, match="a scale of 7 levels"):
        submit(assignment, bob, **said, levels=7)
    with pytest.raises(ComparisonDimensionUnknown) as unknown:
        submit(assignment, bob, **said, dimensions={"kind": said})
    assert unknown.value.extra == {"dimensions": ["kind"]}
    project_with(project, both_bad=False)
    with pytest.raises(BothBadNotOffered):
        submit(assignment, bob, **said, both_bad=True)
    project_with(project, reason="required")
    with pytest.raises(ComparisonReasonMissing):
        submit(assignment, bob, **said, reason="  ")
    with pytest.raises(InvalidInput, match="reason"):
        submit(assignment, bob, **said, reason="x" * 2_001)
    with pytest.raises(InvalidInput, match="preferred"):
        submit(assignment, bob, strength=1, reason="Why not?")
    assert not Ranking.objects.exists()
    assert submit(assignment, bob, **said, reason="It is true.").reason == "It is true."


def test_each_dimension_is_stored_on_the_same_scale(project, bob):
    project_with(project, levels=5, dimensions=["helpful", "honest"])
    assignment, a, b = claimed(project, bob)
    said = {"preferred": a, "strength": 2}
    honest = {"preferred": None}
    with pytest.raises(ComparisonDimensionMissing) as missing:
        submit(assignment, bob, **said, dimensions={"honest": honest})
    assert missing.value.extra == {"dimensions": ["helpful"]}
    for wrong, error in (
        ({"preferred": b, "strength": 3}, ComparisonStrengthOffScale),
        ({"preferred": a + b, "strength": 1}, ComparisonUnknownCompletion),
        ({"strength": 1}, InvalidInput),
    ):
        with pytest.raises(error):
            submit(assignment, bob, **said, dimensions={"helpful": wrong, "honest": honest})
    assert not Ranking.objects.exists()
    helpful = {"preferred": b, "strength": 1}
    submit(assignment, bob, **said, dimensions={"honest": honest, "helpful": helpful})
    stored = ComparisonDimension.objects.values_list("name", "preferred", "strength")
    assert list(stored) == [("helpful", b, 1), ("honest", None, None)]


def test_a_comparison_is_exported_with_all_it_says(project, bob):
    project_with(project, dimensions=["harmless"])
    assignment, a, b = claimed(project, bob)
    ranking = submit(
        assignment,
        bob,
        preferred=b,
        strength=4,
        dimensions={"harmless": {"preferred": a, "strength": 2}},
        reason="It is right.",
        seconds_spent=3,
    )
    kind = kind_get("comparison")
    [record] = kind.export(project)
    shown = completion_ids(assignment.task)
    assert [part["id"] for part in record["completions"]] == shown
    # By index in the task: the better one has rank 1.
    assert record["ranks"] == [1 if pk == b else 2 for pk in shown]
    said = {"strength": 4, "levels": 8, "both_bad": False, "reason": "It is right."}
    dimensions = [{"name": "harmless", "preferred": a, "strength": 2}]
    assert said | {"dimensions": dimensions} == {
        name: record[name] for name in [*said, "dimensions"]
    }
    assert record["id"] == ranking.pk
    [(stream, example)] = kind.training_records(record)
    assert stream == "rankings"
    assert example == {
        name: record[name] for name in ("prompt", "completions", "ranks", "strength")
    }


def test_kinds_that_order_answers_export_only_their_own(project, bob):
    assignment, a, _ = claimed(project, bob)
    submit(assignment, bob, preferred=a, strength=1)
    assert [*kind_get("ranking").export(project), *kind_get("rating").export(project)] == []


def test_an_undone_comparison_leaves_nothing_but_its_draft(project, bob):
    project_with(project, dimensions=["honest"])
    assignment, a, b = claimed(project, bob)
    said = {"preferred": a, "strength": 1, "dimensions": {"honest": {"preferred": None}}}
    submit(assignment, bob, **said)
    assert assignment_undo(assignment_id=assignment.pk, annotator=bob).draft == said
    assert not Ranking.objects.exists()
    assert not ComparisonDimension.objects.exists()
    assert submit(assignment, bob, **said | {"preferred": b}).order == [[b], [a]]


@pytest.mark.parametrize("num", [1, 3])
def test_a_comparison_shows_exactly_two(project, num):
    with pytest.raises(CompletionsInvalid, match=f"given {num} completions; it takes 2"):
        answers_task_make(project, "comparison", num_completions=num)


@pytest.mark.parametrize(
    "options",
    [
        {"levels": 1},
        {"levels": 10},
        {"levels": "many"},
        {"dimensions": ["a", "b", "c", "d", "e", "f"]},
        {"dimensions": ["Honest", "honest"]},
        {"dimensions": [""]},
        {"dimensions": ["x" * 61]},
        {"reason": "never"},
        {"strength": 4},
    ],
)
def test_options_that_make_no_scale_are_refused(project, options):
    with pytest.raises(InvalidInput, match="comparison"):
        project_update(actor=None, project=project, options={"comparison": options})
    project_update(actor=None, project=project, options={"comparison": {"levels": 3}})


def test_a_ranking_may_say_that_all_are_bad_unless_the_project_does_not_ask(project, bob):
    project.kinds = ["ranking"]
    project.save()
    for offered in (True, False):
        project.options = {"ranking": {"all_bad": offered}}
        project.save()
        answers_task_make(project, "ranking", num_completions=3)
        assignment = claim_make(project, bob, "ranking")
        said = {"order": [[pk] for pk in assignment.shown_order]}
        if not offered:
            with pytest.raises(InvalidInput) as refusal:
                submit(assignment, bob, **said, all_bad=True)
            assert refusal.value.code == "all_bad_not_offered"
        submit(assignment, bob, **said, all_bad=offered)
    records = list(kind_get("ranking").export(project))
    assert [record["all_bad"] for record in records] == [True, False]


def test_comparisons_go_through_the_api_like_every_kind(project, bob, alice, api):
    project_with(project, levels=7)
    answers_task_make(project, "comparison", num_completions=2)
    claim = f"{P}assignments/claim/"
    shown = api(bob).post(claim, {"kind": "comparison"}, format="json").json()
    assert shown["options"] == {
        "levels": 7,
        "tie": True,
        "both_bad": True,
        "dimensions": [],
        "reason": "optional",
    }
    address = f"/api/v1/assignments/{shown['id']}/submit/"
    first = shown["completions"][0]["id"]
    refused = api(bob).post(address, {"preferred": first, "strength": 4}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (400, "comparison_strength_off_scale")
    taken = api(bob).post(address, {"preferred": first, "strength": 3}, format="json")
    assert taken.status_code == 201
    [record] = api(alice).get(f"{P}comparisons/").json()["results"]
    assert (record["id"], record["strength"]) == (taken.json()["id"], 3)
    assert api(bob).get(f"{P}comparisons/").status_code == 403
