"""Models and tokenizers from and to Hugging Face folders. safetensors only, no remote code."""

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from training.algorithms.chat import FALLBACK_CHAT_TEMPLATE
from training.algorithms.errors import CheckpointInvalid
from training.algorithms.logprobs import head_logits, hidden_states

ADDED_PAD = "<|pad|>"


def device_pick() -> torch.device:
    """The first GPU this process may see, else the CPU. Choose with CUDA_VISIBLE_DEVICES."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def tokenizer_load(location: str) -> Any:
    """A tokenizer that has EOS, a pad token distinct from it, and a chat template.

    What is missing is added, except EOS: a model that cannot end its answer cannot be trained here.
    Raises CheckpointInvalid.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(location, trust_remote_code=False)
    except Exception as error:
        raise _invalid("tokenizer", location, error) from error
    if tokenizer.eos_token_id is None:
        raise CheckpointInvalid(
            f"The tokenizer of {location} has no EOS token; set eos_token in its "
            "tokenizer_config.json.",
            location=location,
        )
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.add_special_tokens({"pad_token": ADDED_PAD})
    if not tokenizer.chat_template:
        tokenizer.chat_template = FALLBACK_CHAT_TEMPLATE
    return tokenizer


def policy_load(location: str, tokenizer: Any) -> Any:
    """A causal language model in fp32, dropout off, on the device of this process.

    Its embeddings grow when the tokenizer gained a token. Raises CheckpointInvalid, also when
    `logprobs.head_logits` does not reproduce the model's own logits.
    """
    model = _model_load(AutoModelForCausalLM, location)
    _embeddings_fit(model, tokenizer)
    _prepare(model, tokenizer)
    _head_check(model, location)
    return model


def reward_model_load(location: str, tokenizer: Any) -> Any:
    """A trained reward model; raises CheckpointInvalid when the folder holds something else."""
    model = _model_load(AutoModelForSequenceClassification, location)
    if not hasattr(model.config, "reward_bias"):
        raise CheckpointInvalid(
            f"{location} is not a reward model of ours: its config.json has no reward_bias.",
            location=location,
        )
    _prepare(model, tokenizer)
    return model


def reward_model_from_policy(location: str, tokenizer: Any) -> Any:
    """A reward model with the policy's backbone; its head is still to be initialized."""
    model = _model_load(AutoModelForSequenceClassification, location, num_labels=1)
    if not isinstance(getattr(model, "score", None), torch.nn.Linear):
        raise CheckpointInvalid(
            f"{type(model).__name__} has no linear `score` head; use a decoder-only model.",
            location=location,
        )
    _embeddings_fit(model, tokenizer)
    _prepare(model, tokenizer)
    model.config.reward_bias = 0.0
    return model


def checkpoint_save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Writes safetensors, config and tokenizer with its chat template into an existing folder."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def context_length(model: Any) -> int | None:
    """The longest sequence the model was built for, in tokens; None when it does not say."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def _model_load(auto_class: Any, location: str, **kwargs: Any) -> Any:
    # transformers logs a warning for the head that reward_model_from_policy replaces anyway
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        return auto_class.from_pretrained(
            location, trust_remote_code=False, use_safetensors=True, dtype=torch.float32, **kwargs
        )
    except Exception as error:
        raise _invalid("model", location, error) from error
    finally:
        transformers.logging.set_verbosity(verbosity)


def _invalid(what: str, location: str, error: Exception) -> CheckpointInvalid:
    return CheckpointInvalid(
        f"Cannot load the {what} at {location}: {type(error).__name__}: {error} "
        "Expected a Hugging Face folder or hub id with safetensors weights and no custom code.",
        location=location,
    )


def _prepare(model: Any, tokenizer: Any) -> None:
    """Pad id in step with the tokenizer, evaluation mode for good, device.

    No loop ever calls train(): a policy that drops units has a ratio other than 1 to itself.
    """
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    model.config.pad_token_id = tokenizer.pad_token_id
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.eval()
    model.to(device_pick())


def _embeddings_fit(model: Any, tokenizer: Any) -> None:
    """Adds rows for added tokens, each the mean of the old rows: no random draw."""
    have = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) <= have:
        return
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    tables = [model.get_input_embeddings(), model.get_output_embeddings()]
    with torch.no_grad():
        for table in tables:
            if table is not None:
                table.weight[have:] = table.weight[:have].mean(0)


def _head_check(model: Any, location: str) -> None:
    device = model.get_input_embeddings().weight.device
    input_ids = torch.arange(4, device=device)[None, :]
    with torch.no_grad():
        ours = head_logits(model, hidden_states(model, input_ids)[0])
        theirs = model(input_ids=input_ids, use_cache=False).logits[0].float()
    if not torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4):
        raise CheckpointInvalid(
            f"{type(model).__name__} changes its logits after the vocabulary projection in a way "
            "this version does not know (logprobs.head_logits).",
            location=location,
        )
