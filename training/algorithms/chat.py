"""Text to token ids and back. A tokenizer is any transformers tokenizer with a chat template.

A prompt is encoded by the chat template with the generation prompt; a completion by its own, with
EOS appended. Prompts and completions are hostile text: a special token spelled out in them is
encoded as plain characters, never as the token.
"""

from collections.abc import Sequence
from typing import Any

from training.algorithms.errors import RunFolderInvalid

Message = dict[str, str]

# For base models without a template of their own; saved with every tokenizer we write.
FALLBACK_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ message['role'] | capitalize }}:\n{{ message['content'] }}\n\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}Assistant:\n{% endif %}"
)


def prompt_encode(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Token ids of the chat up to where the assistant starts to answer.

    Raises RunFolderInvalid when the template refuses the messages (e.g. no system role).
    """
    try:
        if not _names_special_token(tokenizer, messages):
            return list(
                tokenizer.apply_chat_template(
                    messages, add_generation_prompt=True, tokenize=True, return_dict=False
                )
            )
        return _prompt_encode_piecewise(tokenizer, messages)
    except RunFolderInvalid:
        raise
    except Exception as error:  # jinja2 errors have no common base that transformers promises
        raise RunFolderInvalid(f"the chat template refuses {messages!r}: {error}") from error


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
    """Renders the template around placeholders, then encodes template and contents apart."""
    marks = [f"\ue000{index}\ue001" for index in range(len(messages))]
    marked = [{**message, "content": mark} for message, mark in zip(messages, marks, strict=True)]
    rest = tokenizer.apply_chat_template(marked, add_generation_prompt=True, tokenize=False)
    token_ids: list[int] = []
    for message, mark in zip(messages, marks, strict=True):
        before, found, rest = rest.partition(mark)
        if not found:
            raise RunFolderInvalid("the chat template hides or reorders a message")
        token_ids += tokenizer(before, add_special_tokens=False)["input_ids"]
        token_ids += plain_encode(tokenizer, message["content"])
    return token_ids + list(tokenizer(rest, add_special_tokens=False)["input_ids"])
