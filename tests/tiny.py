"""A tiny random Llama and a byte-level tokenizer with a chat template, and run folders for them.

Made in well under two seconds, no network. Nothing here imports Django.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAD, END, USER, ASSISTANT = "<|pad|>", "<|end|>", "<|user|>", "<|assistant|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>{% else %}<|user|>{% endif %}"
    "{{ message['content'] }}{{ eos_token }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tiny_tokenizer() -> Any:
    """256 bytes and four special tokens: vocabulary 260, one token per byte of UTF-8."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: index for index, character in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([PAD, END, USER, ASSISTANT])
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[USER, ASSISTANT],
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def tiny_model(seed: int = 0, hidden_size: int = 32) -> Any:
    """A random two-layer Llama in fp32, about 30 thousand parameters, context 128."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=260,
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        initializer_range=0.1,
        bos_token_id=None,
        eos_token_id=257,
        pad_token_id=256,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).eval()


def tiny_checkpoint(folder: Path, seed: int = 0) -> Path:
    """Saves the tiny model and tokenizer as a Hugging Face folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny_model(seed).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def chat(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def demonstration_records(num: int, num_held_out: int = 0) -> list[dict[str, Any]]:
    """Short questions answered with short words; the last num_held_out are held out."""
    return [
        {
            "id": index,
            "prompt_id": index,
            "prompt": chat(f"say {index}"),
            "completion": "yes " * (1 + index % 4) + str(index),
            "split": "held_out" if index >= num - num_held_out else "train",
        }
        for index in range(num)
    ]


def ranking_records(num: int, num_held_out: int = 0, k: int = 4) -> list[dict[str, Any]]:
    """K completions ranked by how many a's they have; the first two are a tie when num is odd."""
    records = []
    for index in range(num):
        counts = [(index + 3 * slot) % (2 * k) for slot in range(k)]
        texts = ["a" * count + "b" * (6 - count % 6) for count in counts]
        order = sorted(set(counts), reverse=True)
        records.append(
            {
                "id": index,
                "prompt_id": index,
                "prompt": chat(f"ask {index}"),
                "completions": texts,
                "ranks": [1 + order.index(count) for count in counts],
                "split": "held_out" if index >= num - num_held_out else "train",
            }
        )
    return records


def rating_records(num: int, num_held_out: int = 0) -> list[dict[str, Any]]:
    """Completions of a's are approved, those of b's are not; four in seven are approved."""
    return [
        {
            "id": index,
            "prompt_id": index,
            "prompt": chat(f"ask {index}"),
            "completion": ("a" if index % 7 < 4 else "b") * (1 + index % 5),
            "desirable": index % 7 < 4,
            "split": "held_out" if index >= num - num_held_out else "train",
        }
        for index in range(num)
    ]


def prompt_records(num: int, num_held_out: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "prompt_id": index,
            "prompt": chat("go " + "on " * (index % 5)),
            "split": "held_out" if index >= num - num_held_out else "train",
        }
        for index in range(num)
    ]


def run_folder_make(
    folder: Path,
    method: str,
    config: dict[str, Any] | None = None,
    inputs: dict[str, Path] | None = None,
    data: dict[str, Sequence[dict[str, Any]]] | None = None,
    seed: int = 1,
) -> Path:
    """Writes run.json and data/ as docs/data_formats.md describes."""
    (folder / "data").mkdir(parents=True)
    document = {
        "method": method,
        "config": config or {},
        "seed": seed,
        "inputs": {role: str(path) for role, path in (inputs or {}).items()},
        "num_threads": 1,
    }
    (folder / "run.json").write_text(json.dumps(document), encoding="utf-8")
    for name, records in (data or {}).items():
        text = "".join(json.dumps(record) + "\n" for record in records)
        (folder / "data" / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder
