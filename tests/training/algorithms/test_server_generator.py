"""Completions from a server, against a real HTTP server that misbehaves on cue."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.tiny import chat, prompt_records, run_folder_make, tiny_checkpoint
from training.algorithms.configs import ConfigError, config_resolve
from training.algorithms.entry import EXIT_EXPECTED, run_folder
from training.algorithms.errors import GenerationFailed
from training.algorithms.sample import SampleConfig
from training.algorithms.sampling import server_generator
from training.algorithms.sampling.generator import ChatPrompt, TextCompletion
from training.algorithms.sampling.server_generator import SEED_MASK, server_open


def good(text="fine", finish="stop", tokens=3):
    usage = {} if tokens is None else {"usage": {"completion_tokens": tokens}}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    return 200, {}, {"choices": [choice | {"finish_reason": finish}], **usage}


class Server(ThreadingHTTPServer):
    """Plays `script` (status, headers, body) in order, then good answers; records requests."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.requests, self.names = [], [], ["policy"]
        self.answer = lambda body: good(f"seed {body['seed']}")
        self.free = threading.Event()
        self.mutex = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        assert self.path == "/v1/models"
        self.reply(200, {}, {"data": [{"id": name} for name in self.server.names]})

    def do_POST(self):
        assert self.path == "/v1/chat/completions"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.mutex:
            self.server.requests.append((body, dict(self.headers)))
            step = self.server.script.pop(0) if self.server.script else self.server.answer(body)
        if step == "hang":
            self.server.free.wait(5)
            step = good()
        self.reply(*step)

    def reply(self, status, headers, body):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):  # the client gave up waiting
            self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("PREFERENDUM_GENERATOR_URLS", f"http://other:1 {server.url}/")
    monkeypatch.delenv("PREFERENDUM_GENERATOR_API_KEY", raising=False)
    yield server
    server.free.set()
    server.shutdown()
    thread.join()
    server.server_close()


PROMPT = ChatPrompt(7, [1, 2], chat("hello"))


def ask(server, seeds=(5,), **settings):
    """Completions of one prompt at some seeds, and the waits between attempts in seconds."""
    waits = []
    generator = server_open(server.url, "policy", sleep=waits.append, **settings)
    answers = generator.generate([PROMPT] * len(seeds), seeds, temperature=0.5, max_new_tokens=9)
    return answers, waits


def test_a_request_says_everything_and_its_answer_is_read(server):
    server.script = [good(" Fine.\x00 ", "length", 9)]
    answers, waits = ask(server, [2**40 + 5])
    assert answers == [TextCompletion("Fine.\ufffd", None, 9, False, 2**40 + 5)]
    assert waits == []
    ((body, headers),) = server.requests
    assert body == {
        "model": "policy",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0.5,
        "top_p": 1,
        "max_tokens": 9,
        "n": 1,
        "seed": 5,
    }
    assert "Authorization" not in headers


def test_answers_keep_the_order_of_the_prompts(server):
    seeds = list(range(40))
    answers, _ = ask(server, seeds)
    assert [answer.text for answer in answers] == [f"seed {seed}" for seed in seeds]
    assert [answer.seed for answer in answers] == seeds


def test_the_api_key_of_the_environment_is_sent(server, monkeypatch):
    monkeypatch.setenv("PREFERENDUM_GENERATOR_API_KEY", "secret-1")
    ask(server)
    assert server.requests[0][1]["Authorization"] == "Bearer secret-1"


NO_CHOICE = (200, {}, {"choices": []})
PASSING = {
    "500": ([(500, {}, b"oops")], [1.0]),
    "503 twice": ([(503, {}, b"")] * 2, [1.0, 2.0]),
    "429": ([(429, {"Retry-After": "7"}, b"slow down")], [7.0]),
    "429 until a date": ([(429, {"Retry-After": "Sat, 21 Nov 2026 13:00:00 GMT"}, b"")], [1.0]),
    "429 for a day": ([(429, {"Retry-After": "86400"}, b"")], [60.0]),
    "no choice": ([NO_CHOICE], [1.0]),
    "error inside": ([(200, {}, {"error": {"message": "overloaded"}})], [1.0]),
    "empty": ([good("", "length", 9)], [1.0]),
    "empty, not counted": ([good("", "stop", None)], [1.0]),
    "null": ([good(None, "stop", 1)], [1.0]),
    "finish_reason error": ([good("half", "error")], [1.0]),
    "finish_reason null": ([good("half", None)], [1.0]),
    "not JSON": ([(200, {}, b"<html>")], [1.0]),
}


@pytest.mark.parametrize("case", PASSING)
def test_what_may_pass_is_tried_again(server, case):
    script, expected_waits = PASSING[case]
    server.script = list(script)
    answers, waits = ask(server)
    assert [answer.text for answer in answers] == ["seed 5"]
    assert waits == expected_waits
    assert len(server.requests) == len(script) + 1


def test_a_server_that_hangs_is_asked_again(server):
    server.script = ["hang"]
    answers, waits = ask(server, timeout_seconds=0.1)
    assert [answer.text for answer in answers] == ["seed 5"]
    assert waits == [1.0]


def test_an_answer_that_ends_at_once_is_a_sample(server):
    server.script = [good("", "stop", 1)]
    answers, waits = ask(server)
    assert answers == [TextCompletion("", None, 1, True, 5)]
    assert waits == []


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ((500, {}, b"oops"), "HTTP status 500: 'oops'"),
        (NO_CHOICE, "no choice"),
        (good(None), "content None"),
        (good("half", "error"), "finish_reason 'error'"),
    ],
)
def test_what_does_not_pass_ends_the_run_and_is_counted(server, step, reason):
    bad = {1, 3}
    server.answer = lambda body: step if body["seed"] in bad else good()
    with pytest.raises(GenerationFailed, match=f"2 of 5 completions.*{reason}") as caught:
        ask(server, range(5))
    assert (caught.value.extra["num_failed"], caught.value.extra["num_completions"]) == (2, 5)
    assert len(server.requests) == 3 + 2 * 5  # each bad one five times


@pytest.mark.parametrize("status", [400, 401, 404, 307])
def test_a_refusal_is_final_and_redirects_are_not_followed(server, status):
    server.script = [(status, {"Location": f"{server.url}/v1/models"}, b"no")]
    with pytest.raises(GenerationFailed, match=f"HTTP status {status}"):
        ask(server)
    assert len(server.requests) == 1


def test_a_server_with_another_model_is_refused(server):
    server.names = ["base"]
    with pytest.raises(GenerationFailed, match=r"serves \['base'\], expected policy"):
        ask(server)
    assert server.requests == []


def test_the_name_may_be_left_out_when_there_is_one_model(server):
    assert server_open(server.url, None).model == "policy"
    server.names = ["policy", "other"]
    with pytest.raises(GenerationFailed, match="server_model"):
        server_open(server.url, None)


def test_nobody_at_the_address(server, monkeypatch):
    monkeypatch.setenv("PREFERENDUM_GENERATOR_URLS", "http://127.0.0.1:1")
    waits = []
    with pytest.raises(GenerationFailed, match=r"ConnectionRefused.*Is the server running"):
        server_open("http://127.0.0.1:1", "policy", sleep=waits.append)
    assert waits == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize("listed", ["", "http://127.0.0.1:80", "http://127.0.0.1"])
def test_only_listed_addresses_are_called(server, monkeypatch, listed):
    monkeypatch.setenv("PREFERENDUM_GENERATOR_URLS", listed)
    with pytest.raises(ConfigError, match="PREFERENDUM_GENERATOR_URLS"):
        server_open(server.url, "policy")


@pytest.mark.parametrize(
    "url",
    ["host:8000", "ftp://host", "http://", "http://host:8000/v1/", "http://u:p@host", "http://h:x"],
)
def test_addresses_that_cannot_be_right_are_refused(url):
    with pytest.raises(ConfigError, match="server_url"):
        config_resolve(SampleConfig, {"server_url": url})


def test_a_model_without_a_server_is_refused():
    with pytest.raises(ConfigError, match="server_model"):
        config_resolve(SampleConfig, {"server_model": "policy"})


def test_both_variables_are_documented():
    documented = (server_generator.__file__.partition("training/")[0]) + "docs/settings.md"
    with open(documented, encoding="utf-8") as page:
        text = page.read()
    for name in (server_generator.URLS_VARIABLE, server_generator.API_KEY_VARIABLE):
        assert f"`{name}`" in text


# ---- the sample method on a server


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("policy") / "policy")


def _sample_folder(folder, policy, server):
    config = {"max_new_tokens": 10, "num_completions": 2, "batch_rows": 1}
    config |= {"server_url": server.url, "server_model": "policy"}
    inputs = {"policy": policy}
    return run_folder_make(folder, "sample", config, inputs, {"prompts": prompt_records(5)})


def _samples(folder):
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def test_a_run_samples_from_a_server(tmp_path, policy, server):
    # The server forgets usage: tokens are then counted by our tokenizer, a byte each and EOS.
    server.answer = lambda body: good(f"seed {body['seed']}", tokens=None)
    folder = _sample_folder(tmp_path / "run", policy, server)
    assert run_folder("sample", str(folder)) == 0
    samples = _samples(folder)
    assert [sample["index"] for sample in samples] == list(range(10))
    for sample in samples:
        assert sample["text"] == f"seed {sample['seed'] & SEED_MASK}"
        assert sample["num_tokens"] == len(sample["text"]) + 1


def test_a_failed_run_goes_on_where_it_was(tmp_path, policy, server):
    whole = _sample_folder(tmp_path / "whole", policy, server)
    assert run_folder("sample", str(whole)) == 0
    num_requests = len(server.requests)
    server.requests.clear()
    answers = []

    def until_the_third_chunk(body):
        answers.append(body)
        return (400, {}, b"broken") if len(answers) > 8 else good(f"seed {body['seed']}")

    server.answer, healthy = until_the_third_chunk, server.answer
    folder = _sample_folder(tmp_path / "run", policy, server)
    assert run_folder("sample", str(folder)) == EXIT_EXPECTED
    assert json.loads((folder / "error.json").read_text())["code"] == "generation_failed"
    server.answer = healthy
    assert run_folder("sample", str(folder)) == 0
    assert len(server.requests) == num_requests + 2  # only the failed chunk was asked again
    assert _samples(folder) == _samples(whole)
