"""Who answers the questions: a checkpoint in this process, or a model on a server."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from training.algorithms.ai_feedback.questions import OPTIONS
from training.algorithms.data.chat import Message, plain_encode, prompt_encode
from training.algorithms.formulas.ai_labels import option_probability
from training.algorithms.kernel.completion_totals import all_totals
from training.algorithms.models.checkpoint_io import context_length
from training.algorithms.sampling.generator import ChatPrompt
from training.algorithms.sampling.server_generator import ServerGenerator, ShortAnswer

# A letter alone or before punctuation, perhaps after a bracket, a quote or a star; no article.
_LETTER = re.compile(rf"^\W*([{''.join(OPTIONS)}])(?:\W*$|[).:,])")
# Tokens of an answer within which the letter must come, and likely tokens asked at each.
MAX_ANSWER_TOKENS = 4
NUM_TOP = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """P(option A) of one question."""

    probability: float
    is_hard: bool
    """Only the letter was told, so the probability is 0 or 1."""


class Judge(Protocol):
    def fits(self, messages: list[Message]) -> bool:
        """Whether the question is short enough to be asked."""

    def verdicts(
        self, questions: Sequence[list[Message]], on_batch: Callable[[int], None]
    ) -> list[Verdict | None]:
        """One for each question; None where the answer names no option."""


@dataclass(frozen=True, slots=True)
class LocalJudge:
    """Reads the log-probabilities of the options' tokens after the question."""

    model: Any
    tokenizer: Any
    max_tokens: int
    micro_batch_tokens: int

    def fits(self, messages: list[Message]) -> bool:
        longest_option = max(map(len, self._options()))
        num_tokens = len(prompt_encode(self.tokenizer, messages)) + longest_option
        context = context_length(self.model)
        return num_tokens <= min(self.max_tokens, context or self.max_tokens)

    @torch.no_grad()
    def verdicts(
        self, questions: Sequence[list[Message]], on_batch: Callable[[int], None]
    ) -> list[Verdict | None]:
        """See Judge. Every option has a probability here, so there is always a verdict."""
        on_batch(0)
        totals = all_totals(
            lambda function, *args: function(self.model, *args),
            [prompt_encode(self.tokenizer, messages) for messages in questions],
            [self._options() for _ in questions],
            self.micro_batch_tokens,
            self.tokenizer.pad_token_id,
        )
        return [Verdict(option_probability(*row.tolist()), False) for row in totals]

    def _options(self) -> list[list[int]]:
        return [plain_encode(self.tokenizer, option) for option in OPTIONS]


@dataclass(frozen=True, slots=True)
class ServerJudge:
    """Reads the options among the likely tokens of a short answer, or the letter in its text."""

    generator: ServerGenerator
    max_tokens: int

    def fits(self, messages: list[Message]) -> bool:
        """By characters, four to a token: the server's tokenizer is not known."""
        return sum(len(message["content"]) for message in messages) <= 4 * self.max_tokens

    def verdicts(
        self, questions: Sequence[list[Message]], on_batch: Callable[[int], None]
    ) -> list[Verdict | None]:
        """See Judge."""
        answers = self.generator.short_answers(
            [ChatPrompt(index, [], messages) for index, messages in enumerate(questions)],
            max_new_tokens=MAX_ANSWER_TOKENS,
            num_top=NUM_TOP,
            on_batch=on_batch,
        )
        return [answer_read(answer) for answer in answers]


def answer_read(answer: ShortAnswer) -> Verdict | None:
    """P(A) at the first place where a letter was said; from the text alone, 0 or 1.

    An option that is not among the likely tokens there is taken to be as likely as the least of
    them, which is the most it can be.
    """
    for token, likely in answer.places or ():
        if _option_of(token) is not None and len(likely) > 1:
            least = min(likely.values())
            return Verdict(
                option_probability(*(_logprob_of(each, likely, least) for each in OPTIONS)), False
            )
        if re.search(r"\w", token):
            break
    if found := _LETTER.match(answer.text):
        return Verdict(float(found[1] == OPTIONS[0]), True)
    return None


def _option_of(token: str) -> str | None:
    """The option that a token says: brackets, quotes and marks of a word's start aside."""
    bare = token.strip("\"'()[]*.:, \n\u2581\u0120")
    return bare if bare in OPTIONS else None


def _logprob_of(option: str, likely: dict[str, float], least: float) -> float:
    """log of the summed probability of the tokens that say the option."""
    own = [logprob for token, logprob in likely.items() if _option_of(token) == option]
    if not own:
        return least
    highest = max(own)
    return highest + math.log(math.fsum(math.exp(each - highest) for each in own))
