"""Prompts with sources, answers that cite them, and the verdicts of people on both."""

import json

import pytest

from annotation.choices import PromptSource
from annotation.evidence import MAX_STATEMENTS, statements_split
from annotation.judgements import kind_get
from annotation.judgements.evidence import StatementsMismatch
from annotation.models import EvidenceMark, Prompt
from annotation.selectors.assignments import assignment_present
from annotation.services.assignments import assignment_submit
from annotation.services.prompts import (
    PromptLinesInvalid,
    content_hash,
    prompts_import,
)
from annotation.services.tasks import task_create
from annotation.services.undo import assignment_undo
from tests.factories import claim_make, completion_make, prompt_make

SOURCES = [
    {"title": "Sky", "text": "The sky is blue.", "url": "https://sky.example/"},
    {"title": "Grass", "text": "Grass is green."},
]
AS_READ = "Sources:\n\n[1] Sky: The sky is blue.\n\n[2] Grass: Grass is green."
ANSWER = "The sky is blue [1]. That is nice. Grass is red [2]. So is this [9]."
QUESTION = {"role": "user", "content": "Colours?"}


def parts(text: str) -> list[tuple[str, list[int]]]:
    return [(text[s.start : s.end].strip(), list(s.sources)) for s in statements_split(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("No source at all. None.", [("No source at all. None.", [])]),
        ("One [1]. Two. Three. Four [2, 3]!", [("One [1].", [1]), ("Two. Three.", []),
                                               ("Four [2, 3]!", [2, 3])]),
        ("After the stop. [1] Next.[2] Last [1-3]", [("After the stop. [1]", [1]),
                                                     ("Next.[2]", [2]), ("Last [1-3]", [1, 2, 3])]),
        ("It is so. [2] says it.", [("It is so.", []), ("[2] says it.", [2])]),
        ("E.g. Dr. Who of 3.5 cm, i.e. J. Doe [1]. Yes.", [
            ("E.g. Dr. Who of 3.5 cm, i.e. J. Doe [1].", [1]), ("Yes.", [])]),
        ("1. First [1].\n2. Second [2].\n- Third\n- Fourth [1]", [
            ("1. First [1].", [1]), ("2. Second [2].", [2]), ("- Third", []),
            ("- Fourth [1]", [1])]),
        ("Hard\nwrapped [1].\n\nNew [2]", [("Hard\nwrapped [1].", [1]), ("New [2]", [2])]),
        ("天是蓝的[1]。草是绿的【2】。很好。对吗？[1]", [  # noqa: RUF001
            ("天是蓝的[1]。", [1]), ("草是绿的【2】。", [2]), ("很好。", []),
            ("对吗？[1]", [1])]),  # noqa: RUF001
        ("Use `a[1]` here.\n```py\nb[2]. c[3]\n```\nDone [1].", [
            ("Use `a[1]` here.\n```py\nb[2]. c[3]\n```", []), ("Done [1].", [1])]),
        ("Year [2024] and [x] and [] cite nothing.", [
            ("Year [2024] and [x] and [] cite nothing.", [])]),
        ("[1, 1] once", [("[1, 1] once", [1])]),
    ],
)  # fmt: skip
def test_an_answer_is_split_into_the_statements_that_cite(text, expected):
    assert parts(text) == expected


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text",
    ["a[1]. " * 5_000, "[1" * 16_000, "." * 32_000, ". " * 16_000, "```\n" * 8_000, "[1]" * 10_000,
     ".[1 " * 8_000, "\n" * 32_000, "- \n" * 10_000, ". [1]" * 6_000, "." + " " * 31_000,
     "a.b." * 8_000, "`[1]" * 8_000, "[1,[1–" * 5_000, "\u2028.\x85[1]" * 5_000],  # noqa: RUF001
)  # fmt: skip
def test_a_hostile_answer_is_split_at_once_and_nothing_is_lost(text):
    text *= 4  # what goes back over the text at each sign would take minutes
    statements = statements_split(text)
    assert "".join(text[s.start : s.end] for s in statements) == text
    assert len(statements) <= MAX_STATEMENTS


def line(**fields) -> str:
    return json.dumps({"prompt": "Colours?", "sources": SOURCES} | fields)


@pytest.mark.django_db
class TestImport:
    def test_the_model_reads_the_sources_first(self, project, alice):
        prompts_import(actor=alice, project=project, lines=[line(external_id="a")])
        prompt = Prompt.objects.get()
        assert prompt.messages == [{"role": "system", "content": AS_READ}, QUESTION]
        assert prompt.content_hash == content_hash(prompt.messages)
        assert prompt.sources == [SOURCES[0], {**SOURCES[1], "url": ""}]
        again = prompts_import(
            actor=alice, project=project, lines=[line(), '{"prompt": "Colours?"}']
        )
        assert (again.created, again.duplicates) == (1, 1)

    def test_an_instruction_stays_one_message_with_the_sources(self, project, alice, bob):
        chat = [{"role": "system", "content": "Be brief."}, QUESTION]
        messages = json.dumps({"messages": chat, "sources": SOURCES})
        prompts_import(actor=alice, project=project, lines=[messages])
        prompt = Prompt.objects.get()
        assert prompt.messages == [
            {"role": "system", "content": f"{AS_READ}\n\nBe brief."},
            QUESTION,
        ]
        evidence_task_make(project, prompt)
        assert shown_to(project, bob)["prompt"]["messages"] == chat

    @pytest.mark.parametrize(
        ("sources", "message"),
        [
            ("Sky", "a list of at most 20"),
            ([SOURCES[0]] * 21, "a list of at most 20"),
            ([{"title": "Sky"}], 'source 1 must have "title" and "text"'),
            ([SOURCES[0], {**SOURCES[1], "x": 1}], 'source 2 must have "title" and "text"'),
            (["Sky"], 'source 1 must have "title" and "text"'),
            ([{"title": " ", "text": "a"}], "source 1 has an empty title or text"),
            ([{"title": "a", "text": 5}], "source 1 has a int as text"),
            ([{"title": "a" * 301, "text": "b"}], "source 1 has a str as title"),
            ([{"title": "a", "text": "b" * 32_000}], "together; at most 32000"),
            ([{**SOURCES[0], "url": "javascript:alert(1)"}], "begins with http://"),
            ([{**SOURCES[0], "url": "//sky.example"}], "begins with http://"),
            ([{**SOURCES[0], "url": "http://[x"}], "begins with http://"),
            ([{**SOURCES[0], "url": "https://"}], "begins with http://"),
            ([{**SOURCES[0], "text": "a\x00"}], "NUL"),
        ],
    )
    def test_bad_sources_are_named_and_nothing_is_stored(self, project, alice, sources, message):
        with pytest.raises(PromptLinesInvalid) as refusal:
            prompts_import(actor=alice, project=project, lines=[line(), line(sources=sources)])
        [error] = refusal.value.extra["errors"]
        assert error["line"] == 2
        assert message in error["message"]
        assert not Prompt.objects.exists()

    def test_a_turn_of_a_conversation_becomes_a_prompt_when_imported(self, project, alice):
        opening = prompt_make(project, "Hello")
        turn = prompt_make(project, "Colours?")
        Prompt.objects.filter(pk=turn.pk).update(
            source=PromptSource.CONVERSATION, is_active=False, opening=opening
        )
        lines = ['{"prompt": "Colours?", "external_id": "a"}', '{"prompt": "Colours?"}']
        for created in (1, 0):
            result = prompts_import(actor=alice, project=project, lines=lines)
            assert (result.created, result.duplicates) == (created, 2 - created)
        turn.refresh_from_db()
        assert (turn.source, turn.is_active) == (PromptSource.IMPORTED, True)
        assert (turn.external_id, turn.opening) == ("a", opening)

    def test_an_inactive_prompt_that_was_imported_before_stays_inactive(self, project, alice):
        prompt = prompt_make(project, "Colours?")
        Prompt.objects.update(is_active=False)
        result = prompts_import(actor=alice, project=project, lines=['{"prompt": "Colours?"}'])
        assert (result.created, result.duplicates) == (0, 1)
        prompt.refresh_from_db()
        assert not prompt.is_active


def evidence_task_make(project, prompt, text: str = ANSWER):
    project.kinds = ["evidence"]
    project.save()
    completions = [completion_make(prompt, text)]
    return task_create(project=project, kind="evidence", prompt=prompt, completions=completions)


def shown_to(project, bob) -> dict:
    return assignment_present(claim_make(project, bob, "evidence"))


@pytest.fixture
def assignment(project, bob):
    prompts_import(actor=None, project=project, lines=[line()])
    evidence_task_make(project, Prompt.objects.get())
    return claim_make(project, bob, "evidence")


def verdicts(*said: bool) -> list[dict]:
    """On the statements 0, 2 and 3 of ANSWER; the second cites nothing."""
    return [
        {"index": index, "is_supported": is_supported}
        for index, is_supported in zip([0, 2, 3], said, strict=True)
    ]


def submit(assignment, bob, **payload):
    return assignment_submit(assignment_id=assignment.pk, annotator=bob, payload=payload)


@pytest.mark.django_db
class TestKind:
    def test_the_page_gets_the_sources_apart_and_the_statements(self, project, bob, assignment):
        shown = assignment_present(assignment)
        assert shown["prompt"]["messages"] == [QUESTION]
        assert [source["title"] for source in shown["prompt"]["sources"]] == ["Sky", "Grass"]
        statements = shown["details"]["statements"]
        assert [part["sources"] for part in statements] == [[1], [], [2], [9]]
        assert statements[0]["text"] == "The sky is blue [1]. "
        assert [part["index"] for part in statements] == [0, 1, 2, 3]

    def test_each_verdict_is_stored_at_its_place_and_the_whole_is_a_rating(
        self, project, bob, assignment
    ):
        mark = submit(assignment, bob, is_supported=False, statements=verdicts(True, False, False))
        assert [(ANSWER[s["start"] : s["end"]].strip(), s["sources"], s["is_supported"])
                for s in mark.statements] == [
            ("The sky is blue [1].", [1], True),
            ("Grass is red [2].", [2], False),
            ("So is this [9].", [9], False),
        ]  # fmt: skip
        kind = kind_get("evidence")
        [record] = kind.export(project)
        assert (record["is_supported"], record["statements"]) == (False, mark.statements)
        [(stream, example)] = kind.training_records(record)
        assert (stream, example["is_up"]) == ("ratings", False)
        assert example["completion"]["text"] == ANSWER
        # Training reads what the model read, sources included.
        assert example["prompt"][0]["content"] == AS_READ

    @pytest.mark.parametrize(
        ("statements", "extra"),
        [
            ([], {"missing": [0, 2, 3]}),
            (verdicts(True, True, True)[:2], {"missing": [3]}),
            (
                [*verdicts(True, True, True), {"index": 1, "is_supported": True}],
                {"unknown": [1]},
            ),
            (
                [*verdicts(True, True, True), {"index": 0, "is_supported": False}],
                {"repeated": [0]},
            ),
        ],
    )
    def test_a_verdict_for_each_citing_statement_and_no_other(
        self, project, bob, assignment, statements, extra
    ):
        with pytest.raises(StatementsMismatch) as refusal:
            submit(assignment, bob, is_supported=True, statements=statements)
        assert refusal.value.extra == extra
        assert not EvidenceMark.objects.exists()
        submit(assignment, bob, is_supported=True, statements=verdicts(True, True, True))

    def test_an_answer_that_cites_nothing_is_judged_as_a_whole(self, project, bob):
        prompt = prompt_make(project)
        evidence_task_make(project, prompt, "Nothing cited.")
        assignment = claim_make(project, bob, "evidence")
        assert submit(assignment, bob, is_supported=False).statements == []

    def test_undo_gives_the_verdicts_back_as_a_draft(self, project, bob, assignment):
        said = {"is_supported": True, "statements": verdicts(True, True, False)}
        submit(assignment, bob, **said)
        undone = assignment_undo(assignment_id=assignment.pk, annotator=bob)
        assert undone.draft == said
        assert not EvidenceMark.objects.exists()

    def test_only_prompts_with_sources_are_worth_it(self, project, assignment):
        kind = kind_get("evidence")
        assert kind.takes_prompt(assignment.task.the_prompt)
        assert not kind.takes_prompt(prompt_make(project))
