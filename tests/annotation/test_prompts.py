import hashlib
import json

import pytest

from annotation.models import Prompt, Task
from annotation.services.projects import project_update
from annotation.services.prompts import (
    PromptLinesInvalid,
    content_hash,
    prompt_text_lines,
    prompts_import,
)

pytestmark = pytest.mark.django_db


def test_both_forms_of_a_line_are_read_and_blank_lines_passed_over(project, alice):
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Who are you?"},
    ]
    lines = [
        json.dumps({"prompt": "How?", "external_id": "a-1"}),
        "",
        json.dumps({"messages": chat}),
        "  ",
    ]
    result = prompts_import(actor=alice, project=project, lines=lines)
    assert (result.created, result.duplicates) == (2, 0)
    first, second = Prompt.objects.order_by("pk")
    assert first.messages == [{"role": "user", "content": "How?"}]
    assert first.external_id == "a-1"
    assert second.messages == chat


def test_a_text_is_stored_once_within_and_across_imports(project, alice):
    lines = ['{"prompt": "A"}', '{"messages": [{"content": "A", "role": "user"}]}']
    first = prompts_import(actor=alice, project=project, lines=lines)
    second = prompts_import(actor=alice, project=project, lines=[*lines, '{"prompt": "B"}'])
    assert (first.created, first.duplicates) == (1, 1)
    assert (second.created, second.duplicates) == (1, 2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is not JSON"),
        ("[1]", "a list"),
        ("null", "null"),
        ("{}", 'needs either "messages" or "prompt"'),
        ('{"prompt": "a", "messages": []}', 'needs either "messages" or "prompt"'),
        ('{"prompt": ""}', "empty text"),
        ('{"prompt": "  "}', "text is expected"),
        ('{"prompt": 5}', "a int"),
        ('{"prompt": null}', "null"),
        ('{"prompt": "a\\u0000"}', "NUL"),
        ('{"prompt": "\\ud800"}', "surrogate"),
        ('{"prompt": "a", "promt": "b"}', "unknown key 'promt'"),
        ('{"prompt": "a", "external_id": [1]}', "external_id"),
        ('{"messages": []}', "1 to 200"),
        ('{"messages": "hi"}', "1 to 200"),
        ('{"messages": [{"role": "user"}]}', "exactly"),
        ('{"messages": [{"role": "root", "content": "a"}]}', "'root'"),
        ('{"messages": [{"role": ["user"], "content": "a"}]}', "one of"),
        ('{"messages": [{"role": "assistant", "content": "a"}]}', "last message"),
        ("[" * 100_000, "nested too deep"),
        ('{"prompt": ' + "9" * 5_000 + "}", "is not JSON"),
        (json.dumps({"prompt": "x" * 32_001}), "32001 characters"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_stored(project, alice, line, message):
    with pytest.raises(PromptLinesInvalid) as refusal:
        prompts_import(actor=alice, project=project, lines=['{"prompt": "good"}', "", line])
    [error] = refusal.value.extra["errors"]
    assert error["line"] == 3
    assert message in error["message"]
    assert Prompt.objects.count() == 0


def test_line_separators_inside_a_string_do_not_split_the_line(project, alice):
    text = '\ufeff{"prompt": "a\u2028b\x85c"}\r\n{"prompt": "d"}\n'
    assert len(prompt_text_lines(text)) == 3
    result = prompts_import(actor=alice, project=project, lines=prompt_text_lines(text))
    assert result.created == 2


def test_the_hash_is_of_the_canonical_json():
    canonical = '[{"content":"ä","role":"user"}]'.encode()
    expected = hashlib.sha256(canonical).hexdigest()
    assert content_hash([{"role": "user", "content": "ä"}]) == expected


def test_demonstration_tasks_are_made_up_to_the_target(project, alice):
    project_update(actor=alice, project=project, demonstrations_target=2)
    lines = [json.dumps({"prompt": f"P{n}"}) for n in range(3)]
    prompts_import(actor=alice, project=project, lines=lines)
    tasks = Task.objects.filter(kind="demonstration")
    oldest = Prompt.objects.order_by("pk").values_list("pk", flat=True)[:2]
    assert list(tasks.values_list("prompt", flat=True)) == list(oldest)


def test_a_large_import_needs_few_queries(project, alice, django_assert_max_num_queries):
    lines = [json.dumps({"prompt": f"Prompt {n}"}) for n in range(2_000)]
    # 2,000 lines are 4 chunks, each looked up and stored at once, beside about ten others.
    with django_assert_max_num_queries(40):
        prompts_import(actor=alice, project=project, lines=lines)
