"""The typed records that travel between the functions. Token ids are plain lists of int."""

from dataclasses import dataclass

from torch import Tensor

from training.algorithms.data.record_checks import PERSON


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is given, encoded up to and including the generation prompt."""

    prompt_id: int | str
    token_ids: list[int]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A completion written by a person; completion_ids end with EOS."""

    prompt_ids: list[int]
    completion_ids: list[int]
    loss_spans: tuple[tuple[int, int], ...] = ()
    """Earlier assistant turns as (start, end) into prompt_ids, end excluded; see encoding."""


@dataclass(frozen=True, slots=True)
class RankedCompletions:
    """One person's order over K completions of one prompt; each completion ends with EOS."""

    prompt_id: int | str
    prompt_ids: list[int]
    completions: list[list[int]]
    ranks: list[int]
    """Aligned with completions; 1 best, equal = tie."""
    weight: float = 1.0
    """Trust in who judged, > 0."""
    strength: float | None = None
    """How much better the preferred one is, >= 0; None when nobody asked."""
    sources: tuple[str, ...] | None = None
    """Aligned with completions: what wrote each, e.g. a checkpoint."""
    round: int | None = None
    """The round in which the completions were sampled."""
    probability: float | None = None
    """Of exactly two completions: that the first is the better one; None: what ranks say."""
    labeler: str = PERSON
    """Who judged: a person or an AI."""

    @property
    def prefers(self) -> bool:
        """It says what is better; one of ties only does not."""
        return self.probability is not None or len(set(self.ranks)) > 1


@dataclass(frozen=True, slots=True)
class Rating:
    """One person's thumb up or down on one completion, which ends with EOS."""

    prompt_id: int | str
    prompt_ids: list[int]
    completion_ids: list[int]
    desirable: bool


@dataclass(frozen=True, slots=True)
class Completion:
    """A sampled continuation; token_ids include EOS when finished."""

    token_ids: list[int]
    finished: bool
    """The model ended it with EOS within max_new_tokens."""
    seed: int


@dataclass(frozen=True, slots=True)
class SharedPrompts:
    """Prompts that several completions of a batch continue, right-padded. G prompts, P tokens."""

    prompt_ids: Tensor
    """[G, P]"""
    prompt_lengths: Tensor
    """[G] tokens, >= 1"""
    prompt_index: Tensor
    """[B] the prompt of each completion, 0 to G - 1"""


@dataclass(frozen=True, slots=True)
class Sequences:
    """B prompts followed by completions, T tokens in the longest completion, in rows of L tokens.

    Three layouts (collate.py makes them, hidden.py reads them):
    one sequence per row, right-padded: neither `starts` nor `shared`;
    packed, several sequences per row: `starts` and `position_ids`;
    shared prompts: `shared`; input_ids then hold the completions alone, [B, T].
    Right padding under causal attention needs no attention mask: real tokens never see the pads.
    """

    input_ids: Tensor
    """[R, L]; R = B unless packed"""
    prompt_lengths: Tensor
    """[B] tokens, >= 1"""
    completion_lengths: Tensor
    """[B] tokens, >= 1, EOS included"""
    completion_mask: Tensor
    """[B, T] True at completion tokens"""
    starts: Tensor | None = None
    """[B] where each sequence begins in the flattened input_ids"""
    position_ids: Tensor | None = None
    """[R, L] restarting at 0 with each sequence and where the pads begin"""
    shared: SharedPrompts | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """One batch of completions of the behavior policy and what was measured on them.

    B, T as above; tensors on the CPU, no gradient.
    """

    prompts: list[list[int]]
    """[B] the prompt of each completion; completions of one prompt are neighbors"""
    completions: list[list[int]]
    group_size: int
    """completions per prompt"""
    lengths: Tensor
    """[B] completion tokens"""
    mask: Tensor
    """[B, T] True at completion tokens"""
    logprobs: Tensor
    """[B, T] of the behavior policy at the sampling temperature, nats"""
    reference_logprobs: Tensor
    """[B, T] of the reference policy at the same temperature, nats"""
    entropies: Tensor
    """[B, T] of the behavior policy, nats"""
    scores: Tensor
    """[B] of the reward model, before the missing-EOS penalty"""
    finished: Tensor
    """[B] bool"""
