"""The embedded base model: a small Llama pretrained on the project's own corpus.

Needs no network. See docs/base_model.md for its size, time and samples. Left out: anything that
only pays off at scale (mixed precision, several processes, sharded data).
"""

from dataclasses import dataclass

from training.algorithms.configs import option, require
from training.algorithms.methods import Method


@dataclass(frozen=True, slots=True)
class PretrainConfig:
    num_steps: int = option(1200, "Optimizer steps; the time this takes is proportional to it.")
    rows_per_batch: int = option(4, "Packed rows per step.")
    row_tokens: int = option(128, "Tokens of a packed row; longer documents are left out.")
    held_out_documents: int = option(400, "Documents set aside to measure the loss on.")
    tokenizer_documents: int = option(4000, "Documents the tokenizer is trained on.")
    vocab_size: int = option(2560, "Largest vocabulary of the byte-level BPE tokenizer.")
    hidden_size: int = option(256, "Width of the model.")
    num_layers: int = option(2, "Decoder layers.")
    num_heads: int = option(4, "Attention heads; must divide the width.")
    intermediate_size: int = option(704, "Width of the gated MLP.")
    max_positions: int = option(512, "Longest sequence the model is configured for.")
    learning_rate: float = option(2e-3, "Peak of AdamW, after the warm-up, before the cosine.")
    warmup_share: float = option(0.05, "Share of the steps with a linearly rising rate.")
    final_lr_share: float = option(0.05, "The cosine ends at this share of the peak.")
    weight_decay: float = option(0.05, "AdamW's decay, on matrices only.")
    max_grad_norm: float = option(1.0, "Gradients are scaled down to this norm.")
    log_every_steps: int = option(10, "Steps between two metric lines.")
    save_every_steps: int = option(200, "Steps between two saves of the resume state.")

    def validate(self) -> None:
        """Raises ConfigError."""
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, int):
                require(value >= 1, name, value, "expected at least 1")
        size, heads = self.hidden_size, self.num_heads
        require(size % heads == 0, "hidden_size", size, f"expected a multiple of {heads} heads")
        head_size = size // heads
        require(head_size % 2 == 0, "num_heads", heads, f"an even head size, not {head_size}")
        require(self.vocab_size >= 320, "vocab_size", self.vocab_size, "expected at least 320")
        fits = 16 <= self.row_tokens <= self.max_positions
        require(fits, "row_tokens", self.row_tokens, "expected 16 to max_positions")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "expected > 0")
        for name in ("warmup_share", "final_lr_share"):
            share = getattr(self, name)
            require(0 <= share <= 1, name, share, "expected 0 to 1")


TINY = {
    "num_steps": 120,
    "learning_rate": 1e-2,
    "held_out_documents": 60,
    "tokenizer_documents": 400,
    "vocab_size": 512,
    "hidden_size": 48,
    "num_layers": 2,
    "num_heads": 2,
    "intermediate_size": 96,
}
"""Overrides for tests: seconds instead of minutes, grammatical only in places."""

METHOD = Method(
    name="pretrain",
    title="Embedded base model",
    stage="base",
    config=PretrainConfig,
    queue="train",
    produces="policy",
)
