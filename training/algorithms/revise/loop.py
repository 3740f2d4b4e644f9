"""Answer, critique by a principle, revision, and again: writes revisions.jsonl.

Bai et al. 2022 (arXiv 2212.08073), section 3.1, with chat turns in place of few-shot text.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.algorithms.ai_feedback.questions import Principle, principles_choose, principles_read
from training.algorithms.data import record_checks as checks
from training.algorithms.data.chat import Message, prompt_encode
from training.algorithms.data.encoding import prompt_limit
from training.algorithms.errors import DataTooSmall
from training.algorithms.models.checkpoint_io import policy_load, tokenizer_load
from training.algorithms.models.encoder_decoder import require_decoder_only
from training.algorithms.revise import ReviseConfig
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.sampling.generator import ChatPrompt, Generator
from training.algorithms.sampling.local_generator import LocalGenerator
from training.algorithms.sampling.server_generator import server_open
from training.algorithms.seeds import seed_mix

CRITIQUE_REQUEST = (
    "Principle: {principle}\n\n"
    "Where does your last answer fall short of this principle? Be specific."
)
REVISION_REQUEST = (
    "Write your answer again so that this criticism no longer holds. Give the new answer only."
)

Revision = dict[str, Any]
"""A line of revisions.jsonl."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Draws the next turn of chats; chats that became too long get None."""

    generator: Generator
    tokenizer: Any | None
    """None for a server, which has its own."""
    max_prompt_tokens: int
    config: ReviseConfig
    on_batch: Callable[[int], None]

    def turns(self, chats: Sequence[list[Message]], seeds: Sequence[int]) -> list[str | None]:
        prompts = [ChatPrompt(row, self._encode(chat), chat) for row, chat in enumerate(chats)]
        fitting = [
            row for row, p in enumerate(prompts) if len(p.token_ids) <= self.max_prompt_tokens
        ]
        answers = self.generator.generate(
            [prompts[row] for row in fitting],
            [seeds[row] for row in fitting],
            temperature=self.config.temperature,
            max_new_tokens=self.config.max_new_tokens,
            on_batch=self.on_batch,
        )
        turns: list[str | None] = [None] * len(chats)
        for row, answer in zip(fitting, answers, strict=True):
            turns[row] = answer.text
        return turns

    def _encode(self, chat: list[Message]) -> list[int]:
        return [] if self.tokenizer is None else prompt_encode(self.tokenizer, chat)


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(ReviseConfig)
    principles = principles_read(run_dir.records("principles"))
    prompts = run_dir.records("prompts")
    if not prompts:
        raise DataTooSmall("prompts", 0, 1)
    for record in prompts:
        checks.prompt_id_get(record)
        checks.prompt_get(record)
    chunks = _revise_all(run_dir, writer_open(run_dir, config), prompts, principles)
    revisions = [revision for chunk in chunks for revision in chunk]
    if not revisions:
        raise DataTooSmall(
            "revisions", 0, 1, "Every chat grew too long or every revision was empty."
        )
    run_dir.records_write("revisions", revisions)
    metrics = revisions_metrics(revisions, len(prompts) * config.num_revisions)
    run_dir.metrics_write(0, metrics)
    return Result(metrics, {"num_prompts": len(prompts), "num_revisions": len(revisions)})


def writer_open(run_dir: RunDir, config: ReviseConfig) -> Writer:
    """Raises CheckpointInvalid, ConfigError or GenerationFailed."""
    limit, on_batch = config.max_prompt_tokens, run_dir.leave_if_asked
    if config.server_url is not None:
        server = server_open(config.server_url, config.server_model)
        return Writer(server, None, limit, config, on_batch)
    location = run_dir.input_path("judge")
    tokenizer = tokenizer_load(location)
    model = policy_load(location, tokenizer)
    require_decoder_only(model, "Revising")
    limit = prompt_limit(model, config.max_new_tokens, config.max_prompt_tokens)
    generator = LocalGenerator(model, tokenizer, config.batch_rows)
    return Writer(generator, tokenizer, limit, config, on_batch)


def _revise_all(
    run_dir: RunDir,
    writer: Writer,
    prompts: Sequence[dict[str, Any]],
    principles: Sequence[Principle],
) -> list[list[Revision]]:
    """Chunk by chunk in the order given; finished chunks survive a kill."""
    chunks: list[list[Revision]] = []
    if (folder := run_dir.state_path()) is not None:
        chunks = json.loads((folder / "chunks.json").read_text(encoding="utf-8"))

    def write(folder: Path) -> None:
        (folder / "chunks.json").write_text(json.dumps(chunks), encoding="utf-8")

    size = writer.config.batch_rows
    for start in range(len(chunks) * size, len(prompts), size):
        chunks.append(revise_chunk(writer, prompts[start : start + size], principles, run_dir.seed))
        run_dir.progress_write(min(start + size, len(prompts)), len(prompts), "prompts revised")
        run_dir.state_save(write)
        run_dir.leave_if_asked()
    return chunks


def revise_chunk(
    writer: Writer,
    prompts: Sequence[dict[str, Any]],
    principles: Sequence[Principle],
    seed: int,
) -> list[Revision]:
    """The revisions of some prompts; a chain ends where a turn is empty or does not fit."""

    def turns(rows: Sequence[int], chats: Sequence[list[Message]], what: str) -> list[str | None]:
        seeds = [seed_mix(seed, "revise", prompts[row]["prompt_id"], what) for row in rows]
        return [text or None for text in writer.turns(chats, seeds)]

    rows = list(range(len(prompts)))
    answers = dict(enumerate(turns(rows, [record["prompt"] for record in prompts], "answer")))
    revisions: list[Revision] = []
    for step in range(writer.config.num_revisions):
        # 1. what an earlier step left to go on with
        rows = [row for row in rows if answers[row] is not None]
        drawn = {
            row: principles_choose(
                principles, 1, seed, "principle", prompts[row]["prompt_id"], step
            )[0]
            for row in rows
        }
        # 2. the critiques
        chats = [
            [
                *prompts[row]["prompt"],
                _said("assistant", answers[row]),
                _said("user", CRITIQUE_REQUEST.format(principle=drawn[row].text)),
            ]
            for row in rows
        ]
        critiques = turns(rows, chats, f"critique {step}")
        # 3. the revisions
        criticized = [
            (row, [*chat, _said("assistant", critique), _said("user", REVISION_REQUEST)], critique)
            for row, chat, critique in zip(rows, chats, critiques, strict=True)
            if critique is not None
        ]
        rows = [row for row, _, _ in criticized]
        written = turns(rows, [chat for _, chat, _ in criticized], f"revision {step}")
        for (row, _, critique), revision in zip(criticized, written, strict=True):
            if revision is not None:
                revisions.append(
                    {
                        "prompt_id": prompts[row]["prompt_id"],
                        "step": step,
                        "principle_id": drawn[row].principle_id,
                        "initial": answers[row],
                        "critique": critique,
                        "revision": revision,
                    }
                )
            answers[row] = revision
    return revisions


def _said(role: str, text: str | None) -> Message:
    assert text is not None
    return {"role": role, "content": text}


def revisions_metrics(revisions: Sequence[Revision], num_wanted: int) -> dict[str, float]:
    """Of at least one revision; num_wanted counts also those that were left out."""
    unchanged = sum(each["revision"] == each["initial"] for each in revisions)
    return {
        "revise/num_revisions": len(revisions),
        "revise/left_out": num_wanted - len(revisions),
        "revise/unchanged_share": unchanged / len(revisions),
    }
