"""Several replies to one chat, each by the policy named, all different where the policies can.

Drawn like the answers that people rank: at the same temperature, by seeds that depend on the
request's seed and the reply's index only, and again where a text is empty or repeated.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from training.algorithms.configs import config_resolve
from training.algorithms.data.chat import prompt_encode
from training.algorithms.models.checkpoint_io import tokenizer_load
from training.algorithms.replying.protocol import ReplyRefused, Tell
from training.algorithms.sample import SampleConfig
from training.algorithms.sample.candidates import slots_draw
from training.algorithms.sampling.generator import ChatPrompt, Generator, TextCompletion
from training.algorithms.sampling.local_generator import (
    LocalGenerator,
    completion_length,
    generator_open,
    longest_prompt,
)

MAX_POLICIES = 2
# A conversation that leaves room for fewer tokens is not answered.
MIN_NEW_TOKENS = 16
NO_LIMIT = 2**31


@dataclass(frozen=True, slots=True)
class Policy:
    location: str
    tokenizer: Any
    generator: Generator


class Policies:
    """The last policies used, at most MAX_POLICIES of them, the most recent last."""

    def __init__(self) -> None:
        self._open: dict[tuple[Any, ...], Policy] = {}

    def __len__(self) -> int:
        return len(self._open)

    def get(self, location: str, config: SampleConfig) -> Policy:
        """Loads the policy, unless it is here and its files are the same. Raises RunError."""
        self._forget_changed()
        key = (location, _stamp(location), config.server_url, config.server_model)
        policy = self._open.pop(key, None)
        if policy is None:
            while len(self._open) >= MAX_POLICIES:
                self._forget(next(iter(self._open)))
            tokenizer = tokenizer_load(location)
            policy = Policy(location, tokenizer, generator_open(config, location, tokenizer))
        self._open[key] = policy
        return policy

    def _forget_changed(self) -> None:
        for key in [key for key in self._open if _stamp(key[0]) != key[1]]:
            self._forget(key)

    def _forget(self, key: tuple[Any, ...]) -> None:
        del self._open[key]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def replies_draw(policies: Policies, request: dict[str, Any], tell: Tell) -> list[dict[str, Any]]:
    """The replies in the order of their index, none for a request that only wants the policies
    loaded. Raises ReplyRefused and RunError.
    """
    config = config_resolve(SampleConfig, request["config"])
    parts = sorted(request["parts"], key=lambda part: part["index"])
    replies: dict[int, dict[str, Any]] = {}
    for location in dict.fromkeys(part["location"] for part in parts):
        own = [part for part in parts if part["location"] == location]
        served = config if own[0]["is_served"] else replace(config, server_url=None)
        policy = policies.get(location, served)
        if request.get("only_load"):
            continue
        prompt, own_config = _fit(policy, request, config)
        taken = {0: [reply["text"] for reply in replies.values()]}
        slots = [(0, part["index"]) for part in own]
        with _progress(policy, own_config, len(replies), len(own), len(parts), tell):
            drawn = slots_draw(
                policy.generator, [prompt], slots, range(config.max_resamples + 1), own_config,
                request["seed"], taken,
            )  # fmt: skip
        for (_, index), completion in drawn.items():
            replies[index] = _record(index, policy, completion)
    return [replies[index] for index in sorted(replies)]


def _fit(
    policy: Policy, request: dict[str, Any], config: SampleConfig
) -> tuple[ChatPrompt, SampleConfig]:
    """The prompt, and the config with as many new tokens as it leaves room for."""
    messages = request["messages"]
    token_ids = prompt_encode(policy.tokenizer, messages)
    num_new = min(MIN_NEW_TOKENS, config.max_new_tokens)
    widest = replace(config, max_new_tokens=num_new, max_prompt_tokens=NO_LIMIT)
    longest = longest_prompt(widest, policy.location)
    if len(token_ids) > longest:
        raise ReplyRefused(
            f"The conversation is too long for the model: {len(token_ids)} tokens, and it reads "
            f"{longest}. Hand in what there is, or go on from an earlier turn."
        )
    room = longest + num_new - len(token_ids)
    own = replace(config, max_new_tokens=min(config.max_new_tokens, room))
    return ChatPrompt(request["prompt_id"], token_ids, messages), own


@contextmanager
def _progress(
    policy: Policy, config: SampleConfig, num_before: int, num_own: int, num_all: int, tell: Tell
) -> Iterator[None]:
    """Tells the share of all replies' tokens: each pass of the model is one more of each row."""
    if not isinstance(policy.generator, LocalGenerator):
        yield
        return
    num_passes = 0

    def count(*_: Any) -> None:
        nonlocal num_passes
        num_passes += 1
        # Texts that are drawn again take passes of their own.
        share = min(num_passes / config.max_new_tokens, 1.0)
        tell((num_before + share * num_own) / num_all)

    handle = policy.generator.model.base_model.register_forward_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _record(index: int, policy: Policy, completion: TextCompletion) -> dict[str, Any]:
    return {
        "index": index,
        "text": completion.text,
        "num_tokens": completion_length(policy.tokenizer, completion),
        "finished": completion.finished,
        "seed": completion.seed,
    }


def _stamp(location: str) -> int | None:
    """Changes when the files of a folder are replaced; None for a hub id, or when they are gone."""
    try:
        return (Path(location) / "config.json").stat().st_mtime_ns
    except OSError:
        return None
