"""Pretraining by next-token prediction: corpus, tokenizer, packed rows, AdamW, one pass.

Runs in fp32 on the CPU, and ends in the same bytes for the same seed and number of threads, also
when it was interrupted and resumed.
"""

import itertools
import math
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from training.algorithms.errors import LossNotFinite, RunStopped
from training.algorithms.pretrain import PretrainConfig
from training.algorithms.pretrain.corpus import Document, corpus_documents
from training.algorithms.pretrain.packing import IGNORED, Row, batch_collate, rows_pack
from training.algorithms.pretrain.tokenizer import tokenizer_train
from training.algorithms.run_dir import Result, RunDir

_CHUNK_DOCUMENTS = 500


def run(run_dir: RunDir) -> Result:
    """Leaves the model and its tokenizer in output/."""
    config = run_dir.config_as(PretrainConfig)
    run_dir.progress_write(0, config.num_steps, "training the tokenizer")
    corpus = Corpus(config, run_dir.seed)
    model = model_build(config, corpus.tokenizer, run_dir.seed)
    optimizer, scheduler = optimizer_build(model, config)
    first_step = _state_load(run_dir, model, optimizer, scheduler)
    clock = _Clock(config.num_steps, first_step)
    batches = itertools.islice(corpus.batches(), first_step, config.num_steps)
    for step, batch in enumerate(batches, start=first_step + 1):
        loss = _train_step(model, optimizer, scheduler, batch, config)
        if not math.isfinite(loss):
            raise LossNotFinite(f"The loss is {loss} at step {step}.", step=step)
        if step % config.log_every_steps == 0 or step == config.num_steps:
            run_dir.metrics_write(step, {"base/loss": loss})
            run_dir.progress_write(step, config.num_steps, clock.message(step, loss))
        if run_dir.stop_requested or step % config.save_every_steps == 0:
            _state_save(run_dir, step, model, optimizer, scheduler)
        if run_dir.stop_requested:
            raise RunStopped
    metrics = held_out_measure(model, corpus, config)
    run_dir.metrics_write(config.num_steps, metrics)
    run_dir.output_save(lambda folder: _model_save(folder, model, corpus.tokenizer))
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    return Result(metrics, {"num_parameters": num_parameters, "vocab_size": len(corpus.tokenizer)})


class Corpus:
    """Tokenized documents of one seed. A document held out is never trained on."""

    def __init__(self, config: PretrainConfig, seed: int) -> None:
        self._config = config
        self._seed = seed
        texts = (_plain_text(d) for d in corpus_documents(seed, config.tokenizer_documents))
        self.tokenizer = tokenizer_train(texts, config.vocab_size, config.max_positions)
        held_out = corpus_documents(_held_out_seed(seed), config.held_out_documents)
        self.held_out = self._encode(held_out)
        self._held_out_set = {tuple(ids) for ids in self.held_out}

    def batches(self) -> Iterator[dict[str, Tensor]]:
        """Training batches without end."""
        rows = rows_pack(self._train_documents(), self._config.row_tokens)
        return self._collate(rows)

    def held_out_batches(self) -> Iterator[dict[str, Tensor]]:
        """One document to a row, so that none is left out by packing."""
        return self._collate([ids] for ids in self.held_out)

    def _collate(self, rows: Iterator[Row]) -> Iterator[dict[str, Tensor]]:
        config = self._config
        while batch := list(itertools.islice(rows, config.rows_per_batch)):
            longest = max(sum(map(len, row)) for row in batch)
            yield batch_collate(batch, longest, self.tokenizer.pad_token_id)

    def _train_documents(self) -> Iterator[list[int]]:
        documents = corpus_documents(self._seed, 1_000_000_000)
        while chunk := list(itertools.islice(documents, _CHUNK_DOCUMENTS)):
            for ids in self._encode(chunk):
                if tuple(ids) not in self._held_out_set:
                    yield ids

    def _encode(self, documents: Iterator[Document] | list[Document]) -> list[list[int]]:
        texts = [
            self.tokenizer.apply_chat_template(
                [*document.messages, {"role": "assistant", "content": document.answer}],
                tokenize=False,
            )
            for document in documents
        ]
        return self.tokenizer(texts, add_special_tokens=False)["input_ids"]


def model_build(
    config: PretrainConfig, tokenizer: PreTrainedTokenizerFast, seed: int
) -> LlamaForCausalLM:
    """A freshly initialised model in train mode; it has no dropout."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=config.hidden_size,
                intermediate_size=config.intermediate_size,
                num_hidden_layers=config.num_layers,
                num_attention_heads=config.num_heads,
                max_position_embeddings=config.max_positions,
                tie_word_embeddings=True,
                attention_dropout=0.0,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    # top_k = 0 and top_p = 1: the distribution that is sampled is the one that is trained.
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=96,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return model.train()


def optimizer_build(
    model: LlamaForCausalLM, config: PretrainConfig
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW with betas (0.9, 0.95) as in Llama (arXiv 2302.13971, section 2.3)."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.95), fused=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_share(step, config))
    return optimizer, scheduler


def lr_share(step: int, config: PretrainConfig) -> float:
    """Share of the peak learning rate: linear warm-up, then half a cosine to the final share."""
    warmup = max(1, round(config.warmup_share * config.num_steps))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, config.num_steps - warmup)
    floor = config.final_lr_share
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def loss_sum(model: LlamaForCausalLM, batch: dict[str, Tensor]) -> Tensor:
    """Summed next-token loss in nats over the labels that count; scalar."""
    hidden = model.model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        position_ids=batch["position_ids"],
        use_cache=False,
    ).last_hidden_state
    counted = batch["labels"] != IGNORED
    logits = model.lm_head(hidden[counted])
    return functional.cross_entropy(logits, batch["labels"][counted], reduction="sum")


def held_out_measure(
    model: LlamaForCausalLM, corpus: Corpus, config: PretrainConfig
) -> dict[str, float]:
    """Mean loss per token in nats, its exponential, and the loss of word frequencies alone."""
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in corpus.held_out_batches():
            total += loss_sum(model, batch).item()
            count += int((batch["labels"] != IGNORED).sum())
    model.train()
    loss = total / count
    return {
        "base/held_out_loss": loss,
        "base/held_out_perplexity": math.exp(loss),
        "base/held_out_unigram_loss": unigram_loss(corpus.held_out),
    }


def unigram_loss(documents: list[list[int]]) -> float:
    """Loss of the best predictor that ignores the context: the entropy of the tokens, in nats."""
    counts = Counter(token for ids in documents for token in ids[1:])
    total = sum(counts.values())
    return -sum(n / total * math.log(n / total) for n in counts.values())


def _train_step(
    model: LlamaForCausalLM,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    batch: dict[str, Tensor],
    config: PretrainConfig,
) -> float:
    loss = loss_sum(model, batch) / (batch["labels"] != IGNORED).sum()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
    optimizer.step()
    scheduler.step()
    optimizer.zero_grad()
    return loss.item()


def _held_out_seed(seed: int) -> int:
    return -1 - seed


def _plain_text(document: Document) -> str:
    contents = [message["content"] for message in document.messages]
    return "\n".join([*contents, document.answer])


def _model_save(folder: Path, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _state_save(
    run_dir: RunDir,
    step: int,
    model: LlamaForCausalLM,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    state = {
        "step": step,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": {"last_epoch": scheduler.last_epoch},
    }
    run_dir.state_save(lambda folder: torch.save(state, folder / "state.pt"))


def _state_load(
    run_dir: RunDir,
    model: LlamaForCausalLM,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
) -> int:
    """Restores the last state; returns the number of steps it has behind it."""
    folder = run_dir.state_path()
    if folder is None:
        return 0
    state = torch.load(folder / "state.pt", weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    scheduler.load_state_dict(state["scheduler"])
    return state["step"]


class _Clock:
    """Tells the time that is left from the pace so far."""

    def __init__(self, num_steps: int, first_step: int) -> None:
        self._num_steps = num_steps
        self._first_step = first_step
        self._started = time.monotonic()

    def message(self, step: int, loss: float) -> str:
        pace = (time.monotonic() - self._started) / (step - self._first_step)
        seconds = round(pace * (self._num_steps - step))
        return f"pretraining: loss {loss:.2f}, {seconds} s left"
