"""Draws the candidates of all prompts, different from each other, policy by policy.

People cannot rank identical texts, so a repeated or empty one is drawn again a few times. This
tilts the candidates of a prompt away from plain sampling where the policy is nearly sure.

One policy is in memory at a time, and each draws all its candidates before the next. Where two
policies said the same, a fair coin per prompt says whose is drawn again: were it always the second
policy's, the first would keep the likely answers, and comparing the two would favor it.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from training.algorithms.run_dir import RunDir
from training.algorithms.sample import SampleConfig
from training.algorithms.sample.prompts import prompt_chunks
from training.algorithms.sampling.generator import ChatPrompt, Generator, TextCompletion
from training.algorithms.sampling.local_generator import completion_length, generator_open
from training.algorithms.seeds import permutation, seed_mix

Sample = dict[str, Any]
Slot = tuple[int, int]
"""(row of the prompt, place among its candidates)"""


def candidates_draw(
    run_dir: RunDir,
    config: SampleConfig,
    tokenizer: Any,
    prompts: Sequence[ChatPrompt],
    roles: Sequence[Sequence[str]],
) -> list[Sample]:
    """All candidates by index, row * num_drawn + place; roles[row][place] names who draws it.

    Goes chunk by chunk of prompts of similar length; finished chunks survive a kill.
    """
    draw = _Draw(run_dir, config, tokenizer, prompts, roles)
    draw.load()
    names = list(dict.fromkeys(role for own in roles for role in own))
    total = sum(role in own for own in roles for role in names)
    for role in names:
        for slots in draw.chunks("first", role):
            draw.fill(role, slots, range(config.max_resamples + 1))
            draw.done("first", role, slots)
            run_dir.progress_write(sum(draw.num_done.values()), total, "prompts sampled")
            draw.save()
            run_dir.leave_if_asked()
    # The last policy is in memory still, so it begins.
    for role in reversed(names if len(names) > 1 else []):
        for slots in draw.chunks("again", role):
            yielding = [slot for slot in slots if draw.must_yield(slot)]
            more = range(config.max_resamples + 1, 2 * config.max_resamples + 1)
            draw.fill(role, yielding, more, avoid_others=True)
            draw.done("again", role, slots)
            if yielding:
                draw.save()
            run_dir.leave_if_asked()
    return [draw.samples[index] for index in sorted(draw.samples)]


@dataclass(slots=True)
class _Draw:
    """What is drawn so far, and how to go on."""

    run_dir: RunDir
    config: SampleConfig
    tokenizer: Any
    prompts: Sequence[ChatPrompt]
    roles: Sequence[Sequence[str]]
    samples: dict[int, Sample] = field(default_factory=dict)
    """By index."""
    num_done: dict[str, int] = field(default_factory=dict)
    """Prompts done in each pass of each role: {"first policy": 8}."""
    open_role: str | None = None
    generator: Generator | None = None

    def load(self) -> None:
        """Goes on from the saved state, if there is one."""
        if (folder := self.run_dir.state_path()) is not None:
            state = json.loads((folder / "samples.json").read_text(encoding="utf-8"))
            self.samples = {sample["index"]: sample for sample in state["samples"]}
            self.num_done = state["num_done"]

    def save(self) -> None:
        state = {"samples": list(self.samples.values()), "num_done": self.num_done}

        def write(folder: Path) -> None:
            (folder / "samples.json").write_text(json.dumps(state), encoding="utf-8")

        self.run_dir.state_save(write)

    def chunks(self, stage: str, role: str) -> Iterator[list[Slot]]:
        """The role's slots that the stage has not done yet."""
        slots = {
            row: [(row, place) for place, owner in enumerate(own) if owner == role]
            for row, own in enumerate(self.roles)
            if role in own
        }
        most = max(map(len, slots.values()))
        done = self.num_done.get(f"{stage} {role}", 0)
        for rows in prompt_chunks(self.prompts, self.config.batch_rows, most, done, list(slots)):
            yield [slot for row in rows for slot in slots[row]]

    def done(self, stage: str, role: str, slots: Sequence[Slot]) -> None:
        name = f"{stage} {role}"
        self.num_done[name] = self.num_done.get(name, 0) + len({row for row, _ in slots})

    def must_yield(self, slot: Slot) -> bool:
        """Whether another role, before this one in the prompt's order of roles, said the same."""
        row, mine = slot[0], self._sample(slot)
        rivals = sorted(set(self.roles[row]))
        seed = (self.run_dir.seed, "sample", "yield", self.prompts[row].prompt_id)
        turn = dict(zip(rivals, permutation(len(rivals), *seed), strict=True))
        return any(
            turn[other["role"]] < turn[mine["role"]] and other["text"] == mine["text"]
            for other in (self._sample((row, each)) for each in range(len(self.roles[row])))
        )

    def fill(
        self, role: str, slots: Sequence[Slot], attempts: range, avoid_others: bool = False
    ) -> None:
        """Draws slots of a role, different from each other and perhaps from all the others."""
        if not slots or not attempts:
            return
        taken = {row: self._texts(row, set(slots)) for row, _ in slots} if avoid_others else {}
        completions = slots_draw(
            self._generator(role), self.prompts, slots, attempts, self.config, self.run_dir.seed,
            taken, self.run_dir.leave_if_asked,
        )  # fmt: skip
        for slot, completion in completions.items():
            prompt, index = self.prompts[slot[0]], self._index(slot)
            self.samples[index] = sample_record(index, prompt, completion, self.tokenizer, role)

    def _index(self, slot: Slot) -> int:
        return slot[0] * self.config.num_drawn + slot[1]

    def _sample(self, slot: Slot) -> Sample:
        return self.samples[self._index(slot)]

    def _texts(self, row: int, without: Collection[Slot]) -> set[str]:
        slots = [(row, place) for place in range(len(self.roles[row]))]
        return {self._sample(slot)["text"] for slot in slots if slot not in without}

    def _generator(self, role: str) -> Generator:
        if self.generator is None or self.open_role != role:
            self.generator = None  # its memory is free before the next one takes its own
            # A server has one checkpoint, the policy's.
            config = self.config if role == "policy" else replace(self.config, server_url=None)
            self.generator = generator_open(config, self.run_dir.input_path(role), self.tokenizer)
            self.open_role = role
        return self.generator


def slots_draw(
    generator: Generator,
    prompts: Sequence[ChatPrompt],
    slots: Sequence[Slot],
    attempts: range,
    config: SampleConfig,
    seed: int,
    taken: Mapping[int, Collection[str]],
    on_batch: Callable[[int], None] | None = None,
) -> dict[Slot, TextCompletion]:
    """A completion for each slot, different from the texts taken[row], if the attempts suffice.

    Its seed depends on the run's seed, the prompt's id, the place and the attempt only.
    """
    drawn: dict[Slot, TextCompletion] = {}
    wanted = list(slots)
    for attempt in attempts:
        completions = generator.generate(
            [prompts[row] for row, _ in wanted],
            [seed_mix(seed, "sample", prompts[row].prompt_id, k, attempt) for row, k in wanted],
            temperature=config.temperature,
            max_new_tokens=config.max_new_tokens,
            on_batch=on_batch,
        )
        drawn.update(zip(wanted, completions, strict=True))
        wanted = repeated(slots, {slot: each.text for slot, each in drawn.items()}, taken)
        if not wanted:
            break
    return drawn


def repeated(
    slots: Sequence[Slot],
    texts: Mapping[Slot, str],
    taken: Mapping[int, Collection[str]] | None = None,
) -> list[Slot]:
    """The slots whose text is empty, taken, or equal to that of an earlier slot of their row."""
    seen = {(row, text) for row, own in (taken or {}).items() for text in own}
    again = []
    for slot in slots:
        identity = (slot[0], texts[slot])
        if not texts[slot] or identity in seen:
            again.append(slot)
        seen.add(identity)
    return again


def sample_record(
    index: int,
    prompt: ChatPrompt,
    completion: TextCompletion,
    tokenizer: Any,
    role: str = "policy",
) -> Sample:
    """A line of samples.jsonl."""
    return {
        "index": index,
        "prompt_id": prompt.prompt_id,
        "role": role,
        "text": completion.text,
        "num_tokens": completion_length(tokenizer, completion),
        "finished": completion.finished,
        "seed": completion.seed,
    }
