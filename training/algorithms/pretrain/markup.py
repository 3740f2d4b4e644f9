"""How the embedded model's conversations are written as text. Torch-free."""

from collections.abc import Sequence

PAD, END = "<|pad|>", "<|end|>"
ROLES = {role: f"<|{role}|>" for role in ("system", "user", "assistant")}
SPECIAL_TOKENS = (PAD, END, *ROLES.values())

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def chat_text(messages: Sequence[dict[str, str]]) -> str:
    """What CHAT_TEMPLATE makes of a conversation, without a tokenizer."""
    return "".join(f"{ROLES[item['role']]}{item['content']}{END}" for item in messages)
