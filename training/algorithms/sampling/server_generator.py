"""Completions of an OpenAI-compatible server: vLLM, SGLang, `transformers serve`. Torch-free.

A request that fails quietly is as bad as a wrong answer: it would leave out the prompts that are
hard for the server. So every answer is checked, what may pass is tried again, and what remains
ends the run (GenerationFailed); nothing is left out.

Only addresses in the environment variable PREFERENDUM_GENERATOR_URLS are called: run settings come
from a project, but what this machine may talk to is its owner's decision. Redirects and proxies are
not followed. PREFERENDUM_GENERATOR_API_KEY, if set, is sent as a bearer token.
"""

import http.client
import json
import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from training.algorithms.configs import ConfigError, require
from training.algorithms.errors import GenerationFailed
from training.algorithms.sampling.generator import ChatPrompt, TextCompletion

AnswerT = TypeVar("AnswerT")

URLS_VARIABLE = "PREFERENDUM_GENERATOR_URLS"
API_KEY_VARIABLE = "PREFERENDUM_GENERATOR_API_KEY"
MAX_ANSWER_BYTES = 2**24
# Servers differ in the largest seed they take; all take 31 bits.
SEED_MASK = 2**31 - 1


class _RequestFailed(Exception):
    """One attempt failed. `retry_after` seconds were asked for; None: trying again is no use."""

    def __init__(self, reason: str, retry_after: float | None = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.retry_after = reason, retry_after


def server_fields_check(url: str | None, model: str | None) -> None:
    """Raises ConfigError for fields that cannot be right on any machine."""
    if url is None:
        require(model is None, "server_model", model, "expected only with server_url")
        return
    try:
        address = urlsplit(url)
        is_address = address.scheme in ("http", "https") and bool(address.hostname)
        is_plain = address.port != 0 and not (address.query or address.fragment or address.username)
    except ValueError:
        is_address = is_plain = False
    expectation = "expected an address like http://host:8000, without user, query and /v1"
    is_base = not _trimmed(url).endswith("/v1")
    require(is_address and is_plain and is_base, "server_url", url, expectation)


def server_url_check(url: str, environment: Mapping[str, str] = os.environ) -> None:
    """Raises ConfigError for an address that the owner of this machine did not list."""
    listed = {_trimmed(each) for each in environment.get(URLS_VARIABLE, "").split()}
    if _trimmed(url) not in listed:
        raise ConfigError(
            "server_url",
            url,
            f"not among the {len(listed)} addresses that this machine may call; its owner can add "
            f"it to the environment variable {URLS_VARIABLE}",
        )


def _trimmed(url: str) -> str:
    return url.strip().rstrip("/")


@dataclass(frozen=True, slots=True)
class ShortAnswer:
    """A greedy answer, and what else the model might have said."""

    text: str
    places: tuple[tuple[str, dict[str, float]], ...] | None
    """(token, {likely token: its log-probability, nats}) in order; None: the server tells none."""


@dataclass(frozen=True, slots=True)
class ServerGenerator:
    """A Generator that asks a server. Make it with `server_open`."""

    url: str
    """Without the /v1."""
    model: str
    """The name the server gives the model."""
    api_key: str = ""
    timeout_seconds: float = 300.0
    """Longest silence of the server during one request."""
    max_attempts: int = 5
    num_requests: int = 16
    """Requests under way together; the server makes batches of them."""
    sleep: Callable[[float], None] = time.sleep

    def generate(
        self,
        prompts: Sequence[ChatPrompt],
        seeds: Sequence[int],
        *,
        temperature: float,
        max_new_tokens: int,
        on_batch: Callable[[int], None] | None = None,
    ) -> list[TextCompletion]:
        """See Generator. A seed reaches the server as its lowest 31 bits."""
        bodies = [
            self._body(prompt, temperature, max_new_tokens, seed)
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        return self._post_all(bodies, [_completion_reader(seed) for seed in seeds], on_batch)

    def short_answers(
        self,
        prompts: Sequence[ChatPrompt],
        *,
        max_new_tokens: int,
        num_top: int,
        on_batch: Callable[[int], None] | None = None,
    ) -> list[ShortAnswer]:
        """The greedy answer to each prompt with the num_top likeliest tokens at each of its places.

        Raises GenerationFailed.
        """
        extra = {"logprobs": True, "top_logprobs": num_top}
        bodies = [self._body(prompt, 0.0, max_new_tokens, 0) | extra for prompt in prompts]
        return self._post_all(bodies, [_short_answer_read] * len(bodies), on_batch)

    def _body(
        self, prompt: ChatPrompt, temperature: float, max_new_tokens: int, seed: int
    ) -> dict[str, Any]:
        return {
            "model": self.model,
            "messages": prompt.messages,
            "temperature": temperature,
            "top_p": 1,
            "max_tokens": max_new_tokens,
            "n": 1,
            "seed": seed & SEED_MASK,
        }

    def _post_all(
        self,
        bodies: Sequence[Any],
        readers: Sequence[Callable[[Any], AnswerT]],
        on_batch: Callable[[int], None] | None,
    ) -> list[AnswerT]:
        """What readers[i] makes of the answer to bodies[i]; all, or GenerationFailed."""
        num_done, lock = 0, threading.Lock()

        def one(body: Any, read: Callable[[Any], AnswerT]) -> AnswerT | _RequestFailed:
            nonlocal num_done
            try:
                answer = self._attempts("/v1/chat/completions", body, read)
            except _RequestFailed as failure:
                return failure
            with lock:
                num_done += 1
                if on_batch is not None:
                    on_batch(num_done)
            return answer

        with ThreadPoolExecutor(self.num_requests) as pool:
            outcomes = list(pool.map(one, bodies, readers))
        failures = [each for each in outcomes if isinstance(each, _RequestFailed)]
        if failures:
            raise GenerationFailed(
                f"{self.url} failed on {len(failures)} of {len(outcomes)} completions; the first: "
                f"{failures[0].reason} Look at the server, then retry the run: finished chunks "
                "are kept.",
                num_failed=len(failures),
                num_completions=len(outcomes),
                reason=failures[0].reason,
            )
        return [each for each in outcomes if not isinstance(each, _RequestFailed)]

    def models(self) -> list[str]:
        """Names of the models the server has."""
        return self._attempts("/v1/models", None, _model_names)

    def _attempts(self, path: str, body: Any, read: Callable[[Any], AnswerT]) -> AnswerT:
        """Up to max_attempts requests, waiting 1, 2, 4... seconds or what the server asks for."""
        for attempt in range(self.max_attempts):
            try:
                return read(self._request(path, body))
            except _RequestFailed as failure:
                if failure.retry_after is None or attempt == self.max_attempts - 1:
                    raise
                self.sleep(max(min(failure.retry_after, 60.0), min(2.0**attempt, 30.0)))
        raise AssertionError("max_attempts is at least 1")

    def _request(self, path: str, body: Any) -> Any:
        """The JSON of one request; GET without a body."""
        address = urlsplit(self.url)
        host, port = address.hostname or "", address.port
        connection: http.client.HTTPConnection
        if address.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                host, port, timeout=self.timeout_seconds, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self.timeout_seconds)
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        try:
            connection.request(
                "GET" if body is None else "POST",
                address.path.rstrip("/") + path,
                None if body is None else json.dumps(body).encode(),
                headers,
            )
            answer = connection.getresponse()
            content = answer.read(MAX_ANSWER_BYTES + 1)
        except TimeoutError:
            raise _RequestFailed(f"no answer within {self.timeout_seconds:g} seconds.") from None
        except (OSError, http.client.HTTPException) as error:
            raise _RequestFailed(f"{type(error).__name__}: {error}.") from None
        finally:
            connection.close()
        if answer.status != 200:
            raise _status_failure(answer.status, answer.getheader("Retry-After"), content)
        if len(content) > MAX_ANSWER_BYTES:
            raise _RequestFailed(f"the answer is longer than {MAX_ANSWER_BYTES} bytes.")
        try:
            return json.loads(content)
        except ValueError:
            raise _RequestFailed(f"the answer is not JSON: {content[:200]!r}.") from None


def server_open(url: str, model: str | None, **settings: Any) -> ServerGenerator:
    """A generator on a listed server that has the model, whose name may be left out if it is alone.

    Only the name is compared: that the server serves this very checkpoint is on who started it.
    Raises ConfigError for the address, GenerationFailed for the server.
    """
    server_url_check(url)
    api_key = os.environ.get(API_KEY_VARIABLE, "")
    generator = ServerGenerator(_trimmed(url), model or "", api_key, **settings)
    try:
        names = generator.models()
    except _RequestFailed as failure:
        raise GenerationFailed(
            f"{url}/v1/models: {failure.reason} Is the server running?", reason=failure.reason
        ) from None
    wanted = model if model is not None else (names[0] if len(names) == 1 else None)
    if wanted is None or wanted not in names:
        raise GenerationFailed(
            f"{url} serves {names}, expected {model or 'one model'}; set server_model to the name "
            "under which it serves the checkpoint of this run.",
            models=names,
        )
    return ServerGenerator(generator.url, wanted, api_key, **settings)


def _status_failure(status: int, retry_after: str | None, content: bytes) -> _RequestFailed:
    reason = f"HTTP status {status}: {content[:200].decode(errors='replace')!r}."
    if status != 429 and status < 500:
        return _RequestFailed(reason, None)
    try:
        return _RequestFailed(reason, max(0.0, float(retry_after or 0)))
    except ValueError:  # a date
        return _RequestFailed(reason)


def _model_names(answer: Any) -> list[str]:
    try:
        return [str(each["id"]) for each in answer["data"]]
    except (KeyError, TypeError):
        raise _RequestFailed(f"no list of models: {str(answer)[:200]}.") from None


def _completion_reader(seed: int) -> Callable[[Any], TextCompletion]:
    def read(answer: Any) -> TextCompletion:
        try:
            choice = answer["choices"][0]
            text, reason = choice["message"]["content"], choice["finish_reason"]
        except (KeyError, IndexError, TypeError):
            raise _RequestFailed(f"no choice in the answer: {str(answer)[:200]}.") from None
        if reason not in ("stop", "length"):
            raise _RequestFailed(f"finish_reason {reason!r}, expected 'stop' or 'length'.")
        usage = answer.get("usage") or {}
        num_tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
        if not isinstance(num_tokens, int) or isinstance(num_tokens, bool) or num_tokens < 1:
            num_tokens = None
        # A model may end its answer at once; the server then counts one token, EOS.
        ended_at_once = text == "" and reason == "stop" and num_tokens == 1
        if not isinstance(text, str) or (text == "" and not ended_at_once):
            raise _RequestFailed(f"content {text!r} with finish_reason {reason!r}.")
        return TextCompletion(
            text.replace("\x00", "\ufffd").strip(), None, num_tokens, reason == "stop", seed
        )

    return read


def _short_answer_read(answer: Any) -> ShortAnswer:
    try:
        choice = answer["choices"][0]
        text = choice["message"]["content"] or ""
        content = (choice.get("logprobs") or {}).get("content")
        places = content and tuple(
            (str(place["token"]), {str(top["token"]): float(top["logprob"]) for top in tops})
            for place in content
            if (tops := place.get("top_logprobs"))
        )
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        raise _RequestFailed(f"no choice in the answer: {str(answer)[:200]}.") from None
    return ShortAnswer(str(text), places or None)
