"""Critique and revision: which turns are asked for, what is kept, and that it goes on."""

import json

import pytest

from tests.tiny import chat, prompt_records, run_folder_make
from tests.training.algorithms.test_ai_feedback import PRINCIPLES, judge  # noqa: F401
from tests.training.algorithms.test_server_generator import good, server  # noqa: F401
from training.algorithms.ai_feedback.questions import Principle
from training.algorithms.configs import config_resolve
from training.algorithms.entry import EXIT_STOPPED, run_folder
from training.algorithms.revise import ReviseConfig
from training.algorithms.revise import loop as revise_loop
from training.algorithms.sampling.generator import TextCompletion


class Scripted:
    """A generator that answers by a function of the chat; remembers the chats."""

    def __init__(self, answer):
        self.answer, self.chats = answer, []

    def generate(self, prompts, seeds, *, temperature, max_new_tokens, on_batch=None):
        self.chats += [prompt.messages for prompt in prompts]
        texts = [self.answer(prompt.messages) for prompt in prompts]
        return [
            TextCompletion(text, None, None, True, seed)
            for text, seed in zip(texts, seeds, strict=True)
        ]


def revise(answer, prompts, **config):
    resolved = config_resolve(ReviseConfig, config)
    generator = Scripted(answer)
    writer = revise_loop.Writer(generator, None, 100, resolved, lambda num_done: None)
    principles = [Principle(1, "Be short."), Principle(2, "Be kind.")]
    return revise_loop.revise_chunk(writer, prompts, principles, 5), generator.chats


def by_turn(messages):
    """answer, critique 1, revision 1, ... by how long the chat is and what was asked last."""
    last = messages[-1]["content"]
    if last.startswith("Principle: "):
        return f"critique of {messages[-2]['content']}"
    if last == revise_loop.REVISION_REQUEST:
        return f"better {messages[-4]['content']}"
    return "answer"


PROMPT = {"prompt_id": 3, "prompt": chat("Why?")}


def test_each_revision_starts_from_the_one_before():
    revisions, chats = revise(by_turn, [PROMPT], num_revisions=2)
    first, second = revisions
    assert (first["prompt_id"], first["step"], second["step"]) == (3, 0, 1)
    assert first["initial"] == "answer"
    assert first["critique"] == "critique of answer"
    assert first["revision"] == "better answer"
    assert second["initial"] == "better answer"
    assert second["critique"] == "critique of better answer"
    # One answer, then a critique and a revision each; a chat holds no turn of an earlier step.
    assert [len(messages) for messages in chats] == [1, 3, 5, 3, 5]
    text = {1: "Be short.", 2: "Be kind."}[first["principle_id"]]
    assert f"Principle: {text}" in chats[1][-1]["content"]


def test_principles_are_drawn_by_the_seed():
    prompts = [{"prompt_id": number, "prompt": chat("Why?")} for number in range(40)]
    revisions, _ = revise(by_turn, prompts)
    drawn = [each["principle_id"] for each in revisions]
    assert 8 < drawn.count(1) < 32  # 20 expected, standard deviation 3.2
    assert [each["principle_id"] for each in revise(by_turn, prompts)[0]] == drawn


@pytest.mark.parametrize("empty", ["answer", "critique", "better"])
def test_a_chain_ends_at_an_empty_turn(empty):
    def answer(messages):
        text = by_turn(messages)
        return "" if text.startswith(empty) else text

    revisions, _ = revise(answer, [PROMPT], num_revisions=2)
    assert revisions == []


def test_a_stopped_run_goes_on_and_ends_the_same(tmp_path, judge, monkeypatch):  # noqa: F811
    config = {"batch_rows": 2, "max_new_tokens": 8, "num_revisions": 2}
    data = {"prompts": prompt_records(5), "principles": PRINCIPLES}
    whole, again = (
        run_folder_make(tmp_path / name, "revise", config, {"judge": judge}, data)
        for name in ("whole", "again")
    )
    assert run_folder("revise", str(whole)) == 0
    save = revise_loop.RunDir.state_save
    saved = []

    def save_then_stop(run_dir, write):
        save(run_dir, write)
        saved.append(1)
        run_dir.stop_requested = len(saved) == 1

    monkeypatch.setattr(revise_loop.RunDir, "state_save", save_then_stop)
    assert run_folder("revise", str(again)) == EXIT_STOPPED
    assert run_folder("revise", str(again)) == 0
    assert len(saved) == 3  # 5 prompts, two at a time; none of the chunks was done twice
    assert (again / "revisions.jsonl").read_text() == (whole / "revisions.jsonl").read_text()
    revisions = [json.loads(line) for line in (whole / "revisions.jsonl").read_text().splitlines()]
    metrics = json.loads((whole / "result.json").read_text())["metrics"]
    assert metrics["revise/num_revisions"] == len(revisions)
    assert metrics["revise/num_revisions"] + metrics["revise/left_out"] == 10
    assert {each["principle_id"] for each in revisions} == {1, "kind"}


def test_a_server_writes(tmp_path, server):  # noqa: F811
    server.answer = lambda body: good(f"turn {len(body['messages'])}")
    data = {"prompts": prompt_records(2), "principles": PRINCIPLES}
    folder = run_folder_make(tmp_path / "run", "revise", {"server_url": server.url}, {}, data)
    assert run_folder("revise", str(folder)) == 0
    lines = (folder / "revisions.jsonl").read_text().splitlines()
    for revision in map(json.loads, lines):
        told = [revision[name] for name in ("initial", "critique", "revision")]
        assert told == ["turn 1", "turn 3", "turn 5"]
    assert len(lines) == 2
