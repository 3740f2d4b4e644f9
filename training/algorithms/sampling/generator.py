"""What every source of completions offers: this process's sampler, or a server. Torch-free."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A prompt in both of its forms; a generator reads the one it needs."""

    prompt_id: int | str
    token_ids: list[int]
    """By our chat template, up to and including the generation prompt."""
    messages: list[dict[str, str]]
    """As recorded; a server applies its own chat template."""


@dataclass(frozen=True, slots=True)
class TextCompletion:
    """A sampled completion as text."""

    text: str
    """Without special tokens and without white space at its ends."""
    token_ids: list[int] | None
    """As sampled, EOS included when finished; None where a server tells only the text."""
    num_tokens: int | None
    """EOS included; None when a server does not say."""
    finished: bool
    """The model ended it with EOS within max_new_tokens."""
    seed: int
    """As asked for."""


class Generator(Protocol):
    """Draws from the whole distribution of a policy: no top-k, no top-p, no minimum length."""

    def generate(
        self,
        prompts: Sequence[ChatPrompt],
        seeds: Sequence[int],
        *,
        temperature: float,
        max_new_tokens: int,
        on_batch: Callable[[int], None] | None = None,
    ) -> list[TextCompletion]:
        """One completion per prompt and seed, in their order; all of them, or an error.

        `on_batch(num_done)` is called now and then. Raises GenerationFailed.
        """
