"""The sampler of this process as a Generator, and the choice between it and a server."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

from transformers import AutoConfig

from training.algorithms.data.chat import completion_decode, completion_encode
from training.algorithms.data.encoding import prompt_limit
from training.algorithms.errors import CheckpointInvalid
from training.algorithms.models.checkpoint_io import policy_load
from training.algorithms.models.encoder_decoder import require_decoder_only
from training.algorithms.sampling.generation import generate
from training.algorithms.sampling.generator import ChatPrompt, Generator, TextCompletion
from training.algorithms.sampling.server_generator import server_open


@dataclass(frozen=True, slots=True)
class LocalGenerator:
    """A Generator around a policy in memory."""

    model: Any
    tokenizer: Any
    batch_rows: int

    def generate(
        self,
        prompts: Sequence[ChatPrompt],
        seeds: Sequence[int],
        *,
        temperature: float,
        max_new_tokens: int,
        on_batch: Callable[[int], None] | None = None,
    ) -> list[TextCompletion]:
        """See Generator."""
        completions = generate(
            self.model,
            [prompt.token_ids for prompt in prompts],
            seeds,
            eos_id=self.tokenizer.eos_token_id,
            pad_id=self.tokenizer.pad_token_id,
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            batch_rows=self.batch_rows,
            on_batch=on_batch,
        )
        return [
            TextCompletion(
                completion_decode(self.tokenizer, each.token_ids),
                each.token_ids,
                len(each.token_ids),
                each.finished,
                each.seed,
            )
            for each in completions
        ]


class SamplingConfig(Protocol):
    """The fields that methods which sample for people or for selection have in common."""

    @property
    def max_new_tokens(self) -> int: ...
    @property
    def max_prompt_tokens(self) -> int: ...
    @property
    def batch_rows(self) -> int: ...
    @property
    def server_url(self) -> str | None: ...
    @property
    def server_model(self) -> str | None: ...


def generator_open(config: SamplingConfig, location: str, tokenizer: Any) -> Generator:
    """The generator of a checkpoint; with a server_url no weights are loaded here."""
    if config.server_url is not None:
        return server_open(config.server_url, config.server_model)
    model = policy_load(location, tokenizer)
    require_decoder_only(model, "Sampling")
    return LocalGenerator(model, tokenizer, config.batch_rows)


def longest_prompt(config: SamplingConfig, location: str) -> int:
    """In tokens; the checkpoint's config.json gives the context. Raises ConfigError for none."""
    model = SimpleNamespace(config=_config_load(location))
    return prompt_limit(model, config.max_new_tokens, config.max_prompt_tokens)


def completion_tokens(tokenizer: Any, completion: TextCompletion) -> list[int]:
    """Its token ids; those of its text, with EOS when finished, where a server told only that."""
    if completion.token_ids is not None:
        return completion.token_ids
    token_ids = completion_encode(tokenizer, completion.text)
    return token_ids if completion.finished or len(token_ids) == 1 else token_ids[:-1]


def completion_length(tokenizer: Any, completion: TextCompletion) -> int:
    """Its tokens as counted by who sampled it, else by our tokenizer."""
    return completion.num_tokens or len(completion_tokens(tokenizer, completion))


def _config_load(location: str) -> Any:
    try:
        return AutoConfig.from_pretrained(location, trust_remote_code=False)
    except Exception as error:
        raise CheckpointInvalid(
            f"Cannot read the config.json of {location}: {error}", location=location
        ) from error
