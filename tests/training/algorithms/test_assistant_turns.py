"""Where the assistant's earlier turns lie in an encoded prompt, under different chat templates."""

import pytest

from tests.tiny import CHAT_TEMPLATE, chat, tiny_tokenizer
from training.algorithms.data.chat import (
    FALLBACK_CHAT_TEMPLATE,
    prompt_encode,
    prompt_encode_with_spans,
)
from training.algorithms.data.encoding import demonstrations_encode
from training.algorithms.errors import RunFolderInvalid

LOOP = "{%% for m in messages %%}%s{%% endfor %%}{%% if add_generation_prompt %%}%s{%% endif %%}"
HEADER = "<|user|>{{ m['role'] }}: "
TEMPLATES = {
    # name: (template, what follows the content within the span)
    "eos_after_turn": (CHAT_TEMPLATE, "<|end|>"),
    "eos_then_newline": (
        LOOP % (HEADER + "{{ m['content'] }}<|end|>\n", "<|assistant|>"),
        "<|end|>",
    ),
    "space_before_eos": (
        LOOP % (HEADER + "{{ m['content'] }} <|end|>", "<|assistant|>"),
        " <|end|>",
    ),
    "other_special_first": (
        LOOP % (HEADER + "{{ m['content'] }}<|pad|><|end|>", "<|assistant|>"),
        "",
    ),
    "no_eos_at_all": (FALLBACK_CHAT_TEMPLATE, ""),
}
MESSAGES = [
    {"role": "system", "content": "two"},
    *chat("one"),
    {"role": "assistant", "content": "two"},  # also the words of the system message
    *chat("three"),
    {"role": "assistant", "content": "<|end|>four"},  # special only in spelling
    *chat("five"),
]


def tokenizer_with(template):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("name", TEMPLATES)
def test_spans_hold_the_turns_and_what_ends_them(name):
    template, after = TEMPLATES[name]
    tokenizer = tokenizer_with(template)
    token_ids, spans = prompt_encode_with_spans(tokenizer, MESSAGES)
    assert token_ids == prompt_encode(tokenizer, MESSAGES)
    assert [tokenizer.decode(token_ids[a:b]) for a, b in spans] == [
        f"two{after}",
        f"<|end|>four{after}",
    ]
    assert all((token_ids[b - 1] == tokenizer.eos_token_id) == (after != "") for a, b in spans)


def test_a_template_that_strips_contents_gives_stripped_turns():
    tokenizer = tokenizer_with(
        LOOP % (HEADER + "{{ m['content'] | trim }}<|end|>", "<|assistant|>")
    )
    messages = [*chat(" one "), {"role": "assistant", "content": "two \n"}, *chat("three")]
    token_ids, spans = prompt_encode_with_spans(tokenizer, messages)
    assert token_ids == prompt_encode(tokenizer, messages)
    assert [tokenizer.decode(token_ids[a:b]) for a, b in spans] == ["two<|end|>"]


def test_a_template_that_drops_words_is_refused():
    tokenizer = tokenizer_with(
        LOOP % (HEADER + "{{ m['content'].split('</think>') | last }}<|end|>", "<|assistant|>")
    )
    messages = [*chat("a"), {"role": "assistant", "content": "hm</think>b"}, *chat("c")]
    with pytest.raises(RunFolderInvalid, match="rewrites messages"):
        prompt_encode_with_spans(tokenizer, messages)


def test_nothing_is_learned_at_the_first_token():
    tokenizer = tokenizer_with(LOOP % ("{{ m['content'] }}", ""))
    messages = [{"role": "assistant", "content": "ab"}, *chat("c")]
    assert prompt_encode_with_spans(tokenizer, messages)[1] == ((1, 2),)


def test_demonstrations_carry_spans_only_on_request(tokenizer):
    record = {"prompt": MESSAGES, "completion": "six"}
    plain = demonstrations_encode(tokenizer, [record], 200).records[0]
    marked = demonstrations_encode(tokenizer, [record], 200, assistant_turns=True).records[0]
    assert plain.loss_spans == ()
    assert len(marked.loss_spans) == 2
    assert plain.prompt_ids == marked.prompt_ids
