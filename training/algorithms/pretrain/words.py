"""A tiny language model of whole words, learned from given documents: for simulated worlds.

    python -m training.algorithms.pretrain.words FOLDER

reads FOLDER/words.json (vocabulary and sizes, see WordsConfig) and FOLDER/documents.jsonl (lines
{"prompt", "completion"}), and leaves a Hugging Face folder in FOLDER/output. One pass, AdamW, the
loss of completions only; the same bytes for the same files on one thread.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from training.algorithms.configs import config_resolve
from training.algorithms.data.chat import completion_encode
from training.algorithms.engine.optimization import cosine_rate, optimizer_step
from training.algorithms.kernel.collate import sequences_collate
from training.algorithms.kernel.logprobs import completion_logprobs
from training.algorithms.models.checkpoint_io import checkpoint_save
from training.algorithms.pretrain.loop import weights_init
from training.algorithms.pretrain.markup import SPECIAL_TOKENS
from training.algorithms.pretrain.tokenizer import chat_tokenizer

UNKNOWN = "<|unknown|>"
WARMUP_STEPS = 20


@dataclass(frozen=True, slots=True)
class WordsConfig:
    hidden_size: int = 48
    num_layers: int = 1
    num_heads: int = 2
    max_positions: int = 64
    batch_size: int = 128
    learning_rate: float = 3e-3
    seed: int = 1


def words_pretrain(folder: Path) -> None:
    """Does nothing when the output is there already."""
    if (folder / "output" / "config.json").exists():
        return
    torch.set_num_threads(1)
    document = json.loads((folder / "words.json").read_text())
    config = config_resolve(WordsConfig, document["config"])
    tokenizer = words_tokenizer(document["vocabulary"], config.max_positions)
    model = _model(config, tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.98), fused=True)
    lines = (folder / "documents.jsonl").read_text().splitlines()
    batches = list(_batches(tokenizer, [json.loads(line) for line in lines], config.batch_size))
    for step, (prompts, completions) in enumerate(batches):
        sequences = sequences_collate(prompts, completions, tokenizer.pad_token_id, model.device)
        loss: Tensor = -completion_logprobs(model, sequences, 1.0).sum()
        (loss / sequences.completion_mask.sum()).backward()
        rate = cosine_rate(step, len(batches), config.learning_rate, 0.05)
        optimizer_step(optimizer, rate * min(1.0, (step + 1) / WARMUP_STEPS), 1.0)
    temporary = folder / "output.new"
    temporary.mkdir(exist_ok=True)
    checkpoint_save(model.eval(), tokenizer, temporary)
    temporary.rename(folder / "output")


def words_tokenizer(vocabulary: Sequence[str], max_positions: int) -> PreTrainedTokenizerFast:
    """One token per word; texts are words with single spaces between them."""
    names = dict.fromkeys([*SPECIAL_TOKENS, UNKNOWN, *vocabulary])
    core = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, UNKNOWN))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return chat_tokenizer(core, max_positions, unk_token=UNKNOWN)


def _model(config: WordsConfig, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=config.hidden_size,
                intermediate_size=2 * config.hidden_size,
                num_hidden_layers=config.num_layers,
                num_attention_heads=config.num_heads,
                max_position_embeddings=config.max_positions,
                tie_word_embeddings=True,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        weights_init(model)
    return model.train()


def _batches(
    tokenizer: Any, documents: Sequence[dict[str, str]], size: int
) -> Iterator[tuple[list[list[int]], list[list[int]]]]:
    """Token ids of prompts and of completions."""
    known: dict[str, list[int]] = {}
    for text in {document["prompt"] for document in documents}:
        messages = [{"role": "user", "content": text}]
        rendered = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=False
        )
        known[text] = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    for start in range(0, len(documents), size):
        part = documents[start : start + size]
        completions = [completion_encode(tokenizer, each["completion"]) for each in part]
        yield [known[each["prompt"]] for each in part], completions


if __name__ == "__main__":
    words_pretrain(Path(sys.argv[1]))
