"""Text to token ids and back. A tokenizer is any transformers tokenizer with a chat template.

A prompt is encoded by the chat template with the generation prompt; a completion by its own, with
EOS appended. Prompts and completions are hostile text: a special token spelled out in them is
encoded as plain characters, never as the token.
"""

from collections.abc import Sequence
from typing import Any

from training.algorithms.errors import RunFolderInvalid

Message = dict[str, str]
Span = tuple[int, int]

# For base models without a template of their own; saved with every tokenizer we write.
FALLBACK_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ message['role'] | capitalize }}:\n{{ message['content'] }}\n\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}Assistant:\n{% endif %}"
)

# For encoder-decoder models, whose encoders were trained on texts that end with EOS.
ENCODER_CHAT_TEMPLATE = (
    FALLBACK_CHAT_TEMPLATE + "{% if add_generation_prompt %}{{ eos_token }}{% endif %}"
)


def prompt_encode(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Token ids of the chat up to where the assistant starts to answer, at least one.

    Raises RunFolderInvalid when the template refuses the messages (e.g. no system role).
    """
    try:
        if _names_special_token(tokenizer, messages):
            token_ids = _prompt_encode_piecewise(tokenizer, messages)
        else:
            token_ids = tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=True, return_dict=False
            )
    except RunFolderInvalid:
        raise
    except Exception as error:  # jinja2 errors have no common base that transformers promises
        raise RunFolderInvalid(f"the chat template refuses {messages!r}: {error}") from error
    if not token_ids:
        raise RunFolderInvalid(f"the chat template makes no token of {messages!r}")
    return list(token_ids)


def prompt_encode_with_spans(
    tokenizer: Any, messages: Sequence[Message]
) -> tuple[list[int], tuple[Span, ...]]:
    """Token ids as of prompt_encode, and the (start, end) of every assistant turn in them.

    A turn is its content, encoded alone as a sampled completion would be, and what the template
    writes after it up to and including EOS, if it writes EOS before the next message's header.
    Raises RunFolderInvalid when the template changes the words of a message.
    """
    try:
        pieces = _pieces(tokenizer, _as_rendered(tokenizer, messages))
    except RunFolderInvalid:
        raise
    except Exception as error:
        raise RunFolderInvalid(f"the chat template refuses {messages!r}: {error}") from error
    token_ids: list[int] = []
    spans: list[Span] = []
    for index, piece in enumerate(pieces):
        is_turn = index % 2 == 1 and messages[index // 2]["role"] == "assistant"
        if is_turn:
            end = len(token_ids) + len(piece) + _end_of_turn(tokenizer, pieces[index + 1])
            spans.append((max(1, len(token_ids)), end))  # nothing predicts position 0
        token_ids += piece
    return token_ids, tuple(span for span in spans if span[0] < span[1])


def completion_encode(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a completion, EOS appended."""
    return [*plain_encode(tokenizer, text), tokenizer.eos_token_id]


def completion_decode(tokenizer: Any, token_ids: Sequence[int]) -> str:
    """Text of a sampled completion, without special tokens and without NUL.

    A byte-level model may well sample NUL, which PostgreSQL refuses to store.
    """
    text = tokenizer.decode(token_ids, skip_special_tokens=True)
    return text.replace("\x00", "\ufffd").strip()


def plain_encode(tokenizer: Any, text: str) -> list[int]:
    """Token ids of text in which special tokens are only characters."""
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def _names_special_token(tokenizer: Any, messages: Sequence[Message]) -> bool:
    specials = [str(token) for token in tokenizer.added_tokens_encoder]
    return any(token in message["content"] for token in specials for message in messages)


def _prompt_encode_piecewise(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Template and contents encoded apart, so that no content can turn into template."""
    return [i for piece in _pieces(tokenizer, messages) for i in piece]


def _pieces(tokenizer: Any, messages: Sequence[Message]) -> list[list[int]]:
    """Token ids of template, content, template, ..., content, template: 2 M + 1 for M messages."""
    parts = _template_parts(tokenizer, messages)
    pieces = [list(tokenizer(parts[0], add_special_tokens=False)["input_ids"])]
    for message, part in zip(messages, parts[1:], strict=True):
        pieces.append(plain_encode(tokenizer, message["content"]))
        pieces.append(list(tokenizer(part, add_special_tokens=False)["input_ids"]))
    return pieces


def _template_parts(tokenizer: Any, messages: Sequence[Message]) -> list[str]:
    """What the template writes before, between and after the contents: M + 1 texts."""
    marks = [f"\ue000{index}\ue001" for index in range(len(messages))]
    marked = [{**message, "content": mark} for message, mark in zip(messages, marks, strict=True)]
    rest = _render(tokenizer, marked)
    parts = []
    for mark in marks:
        before, found, rest = rest.partition(mark)
        if not found:
            raise RunFolderInvalid("the chat template hides or reorders a message")
        parts.append(before)
    return [*parts, rest]


def _render(tokenizer: Any, messages: Sequence[Message]) -> str:
    return str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))


def _end_of_turn(tokenizer: Any, template_ids: Sequence[int]) -> int:
    """How many of the ids that follow a turn belong to it: through EOS, 0 without one.

    EOS counts only when no other special token stands before it: that would open the next turn.
    """
    specials = set(tokenizer.all_special_ids)
    for count, token_id in enumerate(template_ids, start=1):
        if token_id == tokenizer.eos_token_id:
            return count
        if token_id in specials:
            break
    return 0


def _as_rendered(tokenizer: Any, messages: Sequence[Message]) -> Sequence[Message]:
    """The messages with the contents that the template really writes: as given, or stripped."""
    rendered, parts = _render(tokenizer, messages), _template_parts(tokenizer, messages)
    stripped = [{**message, "content": message["content"].strip()} for message in messages]
    for candidate in (messages, stripped):
        contents = [*(message["content"] for message in candidate), ""]
        if rendered == "".join(p + c for p, c in zip(parts, contents, strict=True)):
            return candidate
    raise RunFolderInvalid(
        "the chat template rewrites messages (some drop reasoning from earlier turns), so the "
        "tokens of the assistant's turns cannot be told; train on the last turn only."
    )
