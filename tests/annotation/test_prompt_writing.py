"""Labelers write prompts in InstructGPT's three forms."""

import pytest

from annotation.choices import BriefKind, PromptSource
from annotation.errors import InvalidInput
from annotation.judgements import kind_get
from annotation.judgements.prompt_writing import (
    PromptFormRefused,
    PromptIncomplete,
    PromptTooLong,
)
from annotation.models import Assignment, Brief, Prompt, Task, WrittenPrompt
from annotation.selectors.assignments import assignment_present
from annotation.services.assignments import assignment_submit
from annotation.services.projects import project_update
from annotation.services.prompts import PromptExists
from annotation.services.undo import UndoRefused, assignment_undo
from tests.factories import (
    claim_make,
    completion_make,
    demonstration_make,
    exchange_make,
    labeler_make,
    prompt_make,
    talk_begin,
)

pytestmark = pytest.mark.django_db

PAIRS = [
    {"query": "dog", "response": "Hund"},
    {"query": "cat", "response": "Katze"},
    {"query": "cow", "response": "Kuh"},
]
FEW_SHOT = {
    "form": "few_shot",
    "use_case": "rewrite",
    "instruction": "Say it in German.",
    "pairs": PAIRS,
}
PLAIN = {"form": "plain", "use_case": "chat", "text": "How are you?"}


@pytest.fixture
def assignment(project, bob) -> Assignment:
    project_update(
        actor=None,
        project=project,
        kinds=["prompt_writing", "demonstration"],
        targets={"prompt_writing": 2},
    )
    return claim_make(project, bob, "prompt_writing")


@pytest.fixture
def use_case(project) -> Brief:
    return Brief.objects.create(
        project=project, kind=BriefKind.USE_CASE, name="mail", text="Answer mail."
    )


def submit(assignment, bob, **payload) -> WrittenPrompt:
    return assignment_submit(assignment_id=assignment.pk, annotator=bob, payload=payload)


def test_a_plain_prompt_is_stored_as_the_persons_own(project, bob, assignment):
    written = submit(assignment, bob, **{**PLAIN, "text": "  How are you?\n"})
    prompt = written.prompt
    assert prompt.messages == [{"role": "user", "content": "How are you?"}]
    assert (prompt.source, prompt.author, prompt.use_case) == (PromptSource.WRITTEN, bob, "chat")
    assert (prompt.is_active, prompt.project) == (True, project)
    assert (written.form, written.instruction, written.pairs) == ("plain", "", [])
    kind = kind_get("prompt_writing")
    [record] = kind.export(project)
    assert (record["prompt_id"], record["brief"]) == (prompt.pk, None)
    assert list(kind.training_records(record)) == []


def test_a_few_shot_prompt_gives_a_demonstration_for_each_pair(project, bob, assignment):
    written = submit(assignment, bob, **FEW_SHOT)
    asked = "Say it in German.\n\ndog\nHund\n\ncat\nKatze\n\ncow"
    assert written.prompt.messages == [{"role": "user", "content": asked}]
    kind = kind_get("prompt_writing")
    [record] = kind.export(project)
    assert (record["instruction"], record["pairs"]) == ("Say it in German.", PAIRS)
    prompts = {
        "Hund": "Say it in German.\n\ncat\nKatze\n\ncow\nKuh\n\ndog",
        "Katze": "Say it in German.\n\ndog\nHund\n\ncow\nKuh\n\ncat",
        "Kuh": asked,
    }
    assert list(kind.training_records(record)) == [
        (
            "demonstrations",
            {"prompt": [{"role": "user", "content": text}], "completion": completion},
        )
        for completion, text in prompts.items()
    ]


def test_a_use_case_is_written_for_where_the_task_names_one(project, bob, assignment, use_case):
    payload = {**PLAIN, "form": "use_case"}
    assert assignment_present(assignment)["details"] == {"forms": ["plain", "few_shot"]}
    with pytest.raises(PromptFormRefused) as refusal:
        submit(assignment, bob, **payload)
    assert refusal.value.extra == {"form": "use_case", "forms": ["plain", "few_shot"]}
    Task.objects.filter(pk=assignment.task_id).update(brief=use_case)
    assignment.task.refresh_from_db()
    presented = assignment_present(assignment)
    assert presented["details"] == {"forms": ["plain", "few_shot", "use_case"]}
    assert presented["brief"] == {"kind": "use_case", "name": "mail", "text": "Answer mail."}
    submit(assignment, bob, **payload)
    [record] = kind_get("prompt_writing").export(project)
    assert (record["form"], record["brief"]) == ("use_case", "mail")


def test_new_tasks_take_turns_with_the_use_cases(project, use_case):
    project_update(
        actor=None, project=project, kinds=["prompt_writing"], targets={"prompt_writing": 1}
    )
    assert Task.objects.get(kind="prompt_writing").brief == use_case


def test_a_project_chooses_the_forms_and_the_number_of_pairs(project, bob, assignment):
    project_update(
        actor=None,
        project=project,
        options={"prompt_writing": {"forms": ["few_shot"], "num_pairs": 2}},
    )
    with pytest.raises(PromptFormRefused):
        submit(assignment, bob, **PLAIN)
    with pytest.raises(PromptIncomplete) as refusal:
        submit(assignment, bob, **FEW_SHOT)
    assert refusal.value.extra == {"missing": ["2 pairs (there are 3)"]}
    submit(assignment, bob, **{**FEW_SHOT, "pairs": PAIRS[:2]})
    assert Prompt.objects.get().text_last == "Say it in German.\n\ndog\nHund\n\ncat"


@pytest.mark.parametrize(
    "change",
    [
        {"text": " \n"},
        {"text": "\x00"},
        {"text": "x" * 32_001},
        {"use_case": "poetry"},
        {"use_case": None},
        {"form": "sonnet"},
        {"form": "few_shot"},
        {**FEW_SHOT, "instruction": ""},
        {**FEW_SHOT, "pairs": []},
        {**FEW_SHOT, "pairs": "dog"},
        {**FEW_SHOT, "pairs": [*PAIRS[:2], {"query": "cow", "response": " "}]},
        {**FEW_SHOT, "pairs": [*PAIRS[:2], {"query": "c" * 16_000, "response": "Kuh"}] * 2},
    ],
)
def test_what_does_not_fit_is_refused_and_can_be_repaired(project, bob, assignment, change):
    with pytest.raises(InvalidInput):
        submit(assignment, bob, **{**PLAIN, **change})
    assert not Prompt.objects.exists()
    submit(assignment, bob, **PLAIN)


def test_a_few_shot_prompt_that_is_too_long_together_is_refused(project, bob, assignment):
    # 12,000 twice, 12,000 of instruction, and their line breaks.
    long = [{"query": "q" * 6_000, "response": "r" * 6_000}] * 3
    with pytest.raises(PromptTooLong) as refusal:
        submit(assignment, bob, **{**FEW_SHOT, "instruction": "i" * 12_000, "pairs": long})
    # instruction, two examples of 12,001 characters, the last query, three blank lines.
    assert refusal.value.extra == {"characters": 12_000 + 2 * 12_001 + 6_000 + 6, "maximum": 32_000}


def test_a_text_that_the_project_has_is_refused(project, bob, assignment):
    there = prompt_make(project, "How are you?")
    with pytest.raises(PromptExists) as refusal:
        submit(assignment, bob, **PLAIN)
    assert refusal.value.extra == {"prompt": there.pk}
    assignment.refresh_from_db()
    assert (assignment.status, WrittenPrompt.objects.count()) == ("active", 0)


@pytest.fixture
def said(project, assignment):
    """Carol said in a conversation what Bob is about to write."""
    talk = talk_begin(project, labeler_make(project, "carol"), "conversation")
    return exchange_make(talk, "How are you?").prompt


def test_what_was_only_said_in_a_conversation_becomes_the_writers(project, bob, assignment, said):
    project_update(actor=None, project=project, demonstrations_target=5)
    assert submit(assignment, bob, **PLAIN).prompt == said
    said.refresh_from_db()
    assert (said.source, said.author, said.use_case) == (PromptSource.WRITTEN, bob, "chat")
    assert said.is_active
    assert Task.objects.get(kind="demonstration").prompt == said


def test_undo_leaves_the_conversation_its_turn(project, bob, assignment, said):
    project_update(actor=None, project=project, demonstrations_target=5)
    submit(assignment, bob, **PLAIN)
    assert assignment_undo(assignment_id=assignment.pk, annotator=bob).draft == PLAIN
    said.refresh_from_db()
    assert (said.source, said.author, said.use_case) == (PromptSource.CONVERSATION, None, "")
    assert not said.is_active
    assert not Task.objects.filter(kind="demonstration").exists()
    assert submit(assignment, bob, **PLAIN).prompt == said


def test_what_was_said_and_is_worked_with_stays_written(project, bob, assignment, said):
    project_update(actor=None, project=project, demonstrations_target=5)
    submit(assignment, bob, **PLAIN)
    claim_make(project, labeler_make(project), "demonstration")
    with pytest.raises(UndoRefused) as refusal:
        assignment_undo(assignment_id=assignment.pk, annotator=bob)
    assert refusal.value.extra == {"why": "used"}
    said.refresh_from_db()
    assert (said.source, said.is_active) == (PromptSource.WRITTEN, True)


def test_it_gets_a_demonstration_task_where_the_project_collects_these(project, bob, assignment):
    project_update(actor=None, project=project, demonstrations_target=5)
    written = submit(assignment, bob, **PLAIN)
    assert Task.objects.get(kind="demonstration").prompt == written.prompt


def test_undo_takes_the_prompt_back_with_its_untouched_task(project, bob, assignment):
    project_update(actor=None, project=project, demonstrations_target=5)
    submit(assignment, bob, **PLAIN)
    undone = assignment_undo(assignment_id=assignment.pk, annotator=bob)
    assert undone.draft == PLAIN
    assert not Prompt.objects.exists()
    assert not Task.objects.filter(kind="demonstration").exists()
    assert not WrittenPrompt.objects.exists()
    submit(assignment, bob, **PLAIN)


def test_a_prompt_that_others_work_with_stays(project, bob, assignment):
    project_update(actor=None, project=project, demonstrations_target=5)
    written = submit(assignment, bob, **PLAIN)
    carol = labeler_make(project)
    claim_make(project, carol, "demonstration")
    with pytest.raises(UndoRefused) as refusal:
        assignment_undo(assignment_id=assignment.pk, annotator=bob)
    assert refusal.value.extra == {"why": "used"}
    assert WrittenPrompt.objects.get() == written
    assert Task.objects.filter(kind="demonstration").count() == 1


def test_a_prompt_that_a_model_answered_stays_with_its_task(project, bob, assignment):
    project_update(actor=None, project=project, demonstrations_target=5)
    completion_make(submit(assignment, bob, **PLAIN).prompt)
    with pytest.raises(UndoRefused):
        assignment_undo(assignment_id=assignment.pk, annotator=bob)
    assert Task.objects.filter(kind="demonstration").count() == 1


def test_written_prompts_are_listed_for_reviewers(project, bob, alice, api, assignment):
    written = submit(assignment, bob, **FEW_SHOT)
    demonstration_make(project, bob)
    [record] = api(alice).get("/api/v1/projects/project/written-prompts/").json()["results"]
    assert (record["id"], record["use_case"], record["pairs"]) == (written.pk, "rewrite", PAIRS)
    assert api(bob).get("/api/v1/projects/project/written-prompts/").status_code == 403
