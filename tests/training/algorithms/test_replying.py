"""Several replies to one chat by the policies in memory."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import chat, tiny_checkpoint
from training.algorithms.errors import CheckpointInvalid
from training.algorithms.replying.answering import MAX_POLICIES, Policies, replies_draw
from training.algorithms.replying.protocol import ReplyRefused
from training.algorithms.replying.serving import answered
from training.algorithms.sample import SampleConfig


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("policies")
    return [tiny_checkpoint(root / f"policy{seed}", seed) for seed in range(3)]


def request_make(
    locations: list[Path], text: str = "hello", seed: int = 5, **config: Any
) -> dict[str, Any]:
    values = {"max_new_tokens": 20} | config
    return {
        "prompt_id": 7,
        "messages": chat(text),
        "seed": seed,
        "config": asdict(SampleConfig(**values)),
        "parts": [
            {"index": index, "location": str(location), "is_served": False}
            for index, location in enumerate(locations)
        ],
    }


def draw(request: dict[str, Any], policies: Policies | None = None) -> list[dict[str, Any]]:
    return replies_draw(policies or Policies(), request, lambda progress: None)


def test_a_repeat_gives_the_same_replies_and_another_seed_gives_others(
    folders: list[Path],
) -> None:
    request = request_make([folders[0], folders[0]])
    first, second = draw(request), draw(request)
    assert first == second
    assert [reply["index"] for reply in first] == [0, 1]
    assert len({reply["text"] for reply in first}) == 2
    assert all(1 <= reply["num_tokens"] <= 20 for reply in first)
    others = draw(request_make([folders[0], folders[0]], seed=6))
    assert {reply["text"] for reply in others}.isdisjoint(reply["text"] for reply in first)


def test_each_reply_is_by_the_policy_named_for_it(folders: list[Path]) -> None:
    ours = [reply["text"] for reply in draw(request_make(folders[:2]))]
    alone = [
        draw(request_make([folder] * 2))[place]["text"] for place, folder in enumerate(folders[:2])
    ]
    assert ours == alone


def test_the_same_words_by_two_policies_are_drawn_again(
    folders: list[Path], tmp_path: Path
) -> None:
    twin = shutil.copytree(folders[0], tmp_path / "twin")
    near_sure = {"max_new_tokens": 2, "temperature": 0.1}
    locations = [folders[0], twin, folders[0]]
    plain = draw(request_make(locations, max_resamples=0, **near_sure))
    assert len({reply["text"] for reply in plain}) == 1
    again = draw(request_make(locations, max_resamples=30, **near_sure))
    assert len({reply["text"] for reply in again}) == 3
    # The first keeps its words.
    assert again[0] == plain[0]


def test_progress_is_the_share_of_all_replies_tokens_and_never_falls(folders: list[Path]) -> None:
    told: list[float] = []
    request = request_make(folders[:2], max_new_tokens=30)
    replies = replies_draw(Policies(), request, told.append)
    assert told == sorted(told)
    # A first pass makes one token of thirty, for one reply of two.
    assert told[0] == pytest.approx(1 / 60)
    longest = max(reply["num_tokens"] for reply in replies)
    assert len(told) >= longest
    assert 0.5 < told[-1] <= 1


def test_memory_holds_the_last_policies_only(folders: list[Path]) -> None:
    policies = Policies()
    config = SampleConfig()
    first = policies.get(str(folders[0]), config)
    policies.get(str(folders[1]), config)
    assert policies.get(str(folders[0]), config) is first
    policies.get(str(folders[2]), config)
    assert len(policies) == MAX_POLICIES == 2
    # The second was not used for longest.
    assert policies.get(str(folders[0]), config) is first


def test_a_policy_whose_files_changed_or_went_is_forgotten(
    folders: list[Path], tmp_path: Path
) -> None:
    own = Path(shutil.copytree(folders[0], tmp_path / "own"))
    policies, config = Policies(), SampleConfig()
    first = policies.get(str(own), config)
    shutil.rmtree(own)
    shutil.copytree(folders[1], own)
    os.utime(own / "config.json", ns=(1, 1))
    assert policies.get(str(own), config) is not first
    assert len(policies) == 1
    shutil.rmtree(own)
    with pytest.raises(CheckpointInvalid):
        policies.get(str(own), config)
    assert len(policies) == 0


def test_a_long_conversation_gets_short_replies_and_then_none(folders: list[Path]) -> None:
    # The tiny model reads 128 tokens, a byte each, three of them the template's.
    (reply,) = draw(request_make([folders[0]], "a" * 100, max_new_tokens=60))
    assert 1 <= reply["num_tokens"] <= 25
    request = request_make([folders[0]], "a" * 110, max_new_tokens=60)
    with pytest.raises(ReplyRefused, match=r"113 tokens, and it reads 112"):
        draw(request)
    message = answered(request, lambda r, t: replies_draw(Policies(), r, t), lambda p: None)
    assert list(message) == ["refusal"]


def test_the_process_answers_over_its_pipes_and_leaves_when_idle(folders: list[Path]) -> None:
    command = [sys.executable, "-m", "training.algorithms.replying", "1", "2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        request = request_make(folders[:2])
        broken = request | {"parts": [{"index": 0, "location": "/nowhere", "is_served": False}]}
        for each in (broken, request):
            process.stdin.write(json.dumps(each).encode() + b"\n")
        process.stdin.flush()
        messages = [json.loads(line) for line in _finals(process.stdout, 2)]
        assert messages[0]["defect"].startswith("checkpoint_invalid: ")
        assert messages[1]["replies"] == draw(request)
        began = time.monotonic()
        assert process.wait(20) == 0
        assert time.monotonic() - began > 1


def _finals(out: io.BufferedIOBase | Any, num: int) -> list[bytes]:
    lines: list[bytes] = []
    while len(lines) < num:
        line = out.readline()
        assert line, "the process left before it answered"
        if b'"progress"' not in line:
            lines.append(line)
    return lines
