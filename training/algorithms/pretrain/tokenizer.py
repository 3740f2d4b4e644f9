"""A byte-level BPE tokenizer with roles: any text has tokens, and decoding gives it back."""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from training.algorithms.pretrain.markup import CHAT_TEMPLATE, END, PAD, ROLES, SPECIAL_TOKENS


def tokenizer_train(
    texts: Iterable[str], vocab_size: int, max_positions: int
) -> PreTrainedTokenizerFast:
    """Every turn ends with <|end|>, which is also the end of a completion; padding is its own."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    return chat_tokenizer(core, max_positions)


def chat_tokenizer(
    core: Tokenizer, max_positions: int, **special_tokens: str
) -> PreTrainedTokenizerFast:
    """The core with the markup's special tokens and chat template, and `special_tokens` besides."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=END,
        pad_token=PAD,
        **special_tokens,
        additional_special_tokens=list(ROLES.values()),
        model_max_length=max_positions,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
