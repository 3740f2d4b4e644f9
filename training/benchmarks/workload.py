"""Data and models of the benchmarks, made from seeds alone. Plain Python and transformers.

Every word is one token, so lengths are exact. People "like" eight of the words: a completion's
quality is its share of them, plus noise, which a reward model can learn from few rankings.
"""

import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.benchmarks.tasks import MODELS, ModelSize, Task

Record = dict[str, Any]

PAD, END, USER, ASSISTANT, UNKNOWN = "<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|unk|>"
SPECIAL = (PAD, END, USER, ASSISTANT, UNKNOWN)
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
NUM_LIKED = 8
LIKED_SHARE = 0.4
"""Share of liked words in the best possible completion."""
NOISE = 0.02
"""Standard deviation of what a person adds to the share of liked words."""


class Words:
    """Draws texts over words w0, w1, ...; the first NUM_LIKED words are the liked ones."""

    def __init__(self, size: ModelSize, seed: str) -> None:
        self.random = random.Random(seed)
        self.num_words = size.vocab_size - len(SPECIAL)
        # Zipf's law, flattened at the top
        weights = (1.0 / (rank + 10) for rank in range(self.num_words - NUM_LIKED))
        self.cumulative = list(itertools.accumulate(weights))

    def prompt(self, lengths: tuple[int, int]) -> str:
        return self._text(self.random.randint(*lengths), 0.0)

    def completion(self, lengths: tuple[int, int]) -> str:
        return self._text(self.random.randint(*lengths), LIKED_SHARE * self.random.random())

    def _text(self, num_words: int, liked_share: float) -> str:
        rare = range(NUM_LIKED, self.num_words)
        others = self.random.choices(rare, cum_weights=self.cumulative, k=num_words)
        words = [
            self.random.randrange(NUM_LIKED) if self.random.random() < liked_share else other
            for other in others
        ]
        return " ".join(f"w{word}" for word in words)


def liked_share(completion: str) -> float:
    words = completion.split()
    return sum(int(word[1:]) < NUM_LIKED for word in words) / len(words)


def rankings(task: Task, num: int, split: str, seed: int) -> list[Record]:
    """Rankings of task.k completions as docs/data_formats.md describes them; no ties."""
    words = Words(MODELS[task.model], f"rankings {seed} {split}")
    records = []
    for index in range(num):
        prompt = words.prompt(task.prompt_words)
        texts = [words.completion(task.completion_words) for _ in range(task.k)]
        quality = [liked_share(text) + words.random.gauss(0, NOISE) for text in texts]
        ranks = [1 + sum(other > own for other in quality) for own in quality]
        name = f"{split}-{index}"
        records.append(
            {"id": name, "prompt_id": name, "prompt": _chat(prompt), "completions": texts,
             "ranks": ranks, "split": split}
        )  # fmt: skip
    return records


def demonstrations(task: Task, num: int, split: str, seed: int) -> list[Record]:
    words = Words(MODELS[task.model], f"demonstrations {seed} {split}")
    return [
        {"id": f"{split}-{index}", "prompt_id": f"{split}-{index}",
         "prompt": _chat(words.prompt(task.prompt_words)),
         "completion": words.completion(task.completion_words), "split": split}
        for index in range(num)
    ]  # fmt: skip


def prompts(task: Task, num: int, split: str, seed: int) -> list[Record]:
    words = Words(MODELS[task.model], f"prompts {seed} {split}")
    return [
        {"prompt_id": f"{split}-{index}", "prompt": _chat(words.prompt(task.prompt_words)),
         "split": split}
        for index in range(num)
    ]  # fmt: skip


KINDS = {
    "reward": ("rankings", rankings), "dpo": ("rankings", rankings),
    "sft": ("demonstrations", demonstrations),
    "rloo": ("prompts", prompts), "grpo": ("prompts", prompts), "ppo": ("prompts", prompts),
    "generate": ("prompts", prompts),
}  # fmt: skip


def records_make(task: Task, seed: int = 0) -> dict[str, list[Record]]:
    """The task's train and held-out records; the same prompts whatever the number of steps."""
    _, make = KINDS[task.trainer]
    num = task.batch * task.num_steps
    if task.trainer in ("rloo", "grpo", "generate"):
        num //= task.k
    return {
        split: make(task, size, split, seed)
        for split, size in (("train", num), ("held_out", task.num_held_out))
    }


def data_write(task: Task, folder: Path, seed: int = 0) -> None:
    """<kind>.jsonl with the train records, held_out.jsonl with what both are evaluated on."""
    made = records_make(task, seed)
    folder.mkdir(parents=True, exist_ok=True)
    jsonl_write(folder / f"{KINDS[task.trainer][0]}.jsonl", made["train"])
    jsonl_write(folder / "held_out.jsonl", made["held_out"])


def jsonl_write(path: Path, records: Sequence[Record]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def jsonl_read(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# ---- token ids, exactly as training/algorithms/data/chat.py makes them


def prompt_text(record: Record) -> str:
    return f"{USER}{record['prompt'][0]['content']}{END}{ASSISTANT}"


def prompt_ids(tokenizer: Any, record: Record) -> list[int]:
    return list(tokenizer(prompt_text(record), add_special_tokens=False)["input_ids"])


def completion_ids(tokenizer: Any, text: str) -> list[int]:
    return [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]


# ---- models


def tokenizer_make(size: ModelSize) -> Any:
    """One token per word, split at white space."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = [f"w{index}" for index in range(size.vocab_size - len(SPECIAL))]
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *words])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.add_special_tokens(list(SPECIAL))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        additional_special_tokens=[USER, ASSISTANT],
        model_max_length=size.max_positions,
        padding_side="left",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def checkpoint_make(name: str, folder: Path) -> None:
    """Saves the random model and its tokenizer as a Hugging Face folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    size = MODELS[name]
    config = LlamaConfig(
        vocab_size=size.vocab_size,
        hidden_size=size.hidden_size,
        intermediate_size=size.intermediate_size,
        num_hidden_layers=size.num_layers,
        num_attention_heads=size.num_heads,
        num_key_value_heads=size.num_heads,
        max_position_embeddings=size.max_positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=SPECIAL.index(END),
        pad_token_id=SPECIAL.index(PAD),
    )
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer_make(size).save_pretrained(folder)


def _chat(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]
