"""Models and tokenizers from and to Hugging Face folders. safetensors only, no remote code."""

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from training.algorithms.data.chat import ENCODER_CHAT_TEMPLATE, FALLBACK_CHAT_TEMPLATE
from training.algorithms.engine.processes import processes
from training.algorithms.errors import CheckpointInvalid
from training.algorithms.models.checkpoint_checks import (
    Kind,
    config_check,
    kind_check,
    loaded_check,
    same_tokens_check,
    scalar_head_check,
    vocabulary_check,
)
from training.algorithms.models.checkpoint_files import location_check, refuse
from training.algorithms.models.checkpoint_trials import causality_check, head_check
from training.algorithms.models.encoder_decoder import (
    HEAD_NAMES,
    is_encoder_decoder,
)

ADDED_PAD = "<|pad|>"


def tokenizer_load(location: str) -> Any:
    """A tokenizer that has EOS, a pad token distinct from it, and a chat template.

    What is missing is added, except EOS: a model that cannot end its answer cannot be trained here.
    Raises CheckpointInvalid.
    """
    config = location_check(location)
    config_check(config, location)
    if Path(location).is_dir() and not _has_tokenizer(location):
        refuse("tokenizer", location, "tokenizer_config.json is missing; copy the base model's.")
    tokenizer = _tokenizer_read(location)
    if tokenizer.eos_token_id is None:
        raise CheckpointInvalid(
            f"The tokenizer of {location} has no EOS token; set eos_token in its "
            "tokenizer_config.json.",
            location=location,
        )
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.add_special_tokens({"pad_token": ADDED_PAD})
    if not tokenizer.chat_template:
        is_encoded = is_encoder_decoder(CONFIG_MAPPING[config["model_type"]])
        tokenizer.chat_template = ENCODER_CHAT_TEMPLATE if is_encoded else FALLBACK_CHAT_TEMPLATE
    return tokenizer


def policy_load(location: str, tokenizer: Any) -> Any:
    """A language model in fp32, dropout off, on the device of this process.

    Decoder-only, or encoder-decoder of the T5 family (encoder_decoder.py). Its embeddings grow when
    the tokenizer gained a pad token. Raises CheckpointInvalid, also when `logprobs.head_logits`
    does not reproduce the model's own logits.
    """
    model = _model_load(location, tokenizer, "policy")
    head_check(model, location)
    return model


def reward_model_load(location: str, tokenizer: Any) -> Any:
    """A trained reward model; raises CheckpointInvalid when the folder holds something else."""
    return _model_load(location, tokenizer, "reward_model")


def reward_model_from_policy(location: str, tokenizer: Any) -> Any:
    """A reward model with the policy's backbone; its head is still to be initialized."""
    model = _model_load(location, tokenizer, "policy", fresh_head=True)
    model.config.reward_bias = 0.0
    return model


def checkpoint_save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Writes safetensors, config and tokenizer with its chat template into an existing folder."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def context_length(model: Any) -> int | None:
    """The longest sequence the model was built for, in tokens; None when it does not say."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def _model_load(location: str, tokenizer: Any, kind: Kind, fresh_head: bool = False) -> Any:
    """A checkpoint of a kind, checked; fresh_head puts a scalar head in place of the policy's."""
    config = location_check(location)
    config_check(config, location)
    kind_check(config, location, kind)
    if kind == "reward_model" or fresh_head:
        auto_class = AutoModelForSequenceClassification
    elif is_encoder_decoder(CONFIG_MAPPING[config["model_type"]]):
        auto_class = AutoModelForSeq2SeqLM
    else:
        auto_class = AutoModelForCausalLM
    model, info = _weights_read(auto_class, location, {"num_labels": 1} if fresh_head else {})
    if auto_class is AutoModelForSequenceClassification:
        scalar_head_check(model, location)
    loaded_check(model, info, location, HEAD_NAMES if fresh_head else ())
    vocabulary_check(model, tokenizer, location)
    if tokenizer.name_or_path != location and _has_tokenizer(location):
        same_tokens_check(tokenizer, _tokenizer_read(location), location)
    _embeddings_fit(model, tokenizer)
    _prepare(model, tokenizer)
    if not is_encoder_decoder(model):
        causality_check(model, location)
    return model


def _weights_read(auto_class: Any, location: str, options: dict[str, Any]) -> tuple[Any, Any]:
    # transformers logs a warning for the head that reward_model_from_policy replaces anyway
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        return auto_class.from_pretrained(
            location,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,  # loaded_check refuses them with a better message
            output_loading_info=True,
            **options,
        )
    except Exception as error:
        raise _invalid("model", location, error) from error
    finally:
        transformers.logging.set_verbosity(verbosity)


def _tokenizer_read(location: str) -> Any:
    try:
        return AutoTokenizer.from_pretrained(location, trust_remote_code=False)
    except Exception as error:
        raise _invalid("tokenizer", location, error) from error


def _has_tokenizer(location: str) -> bool:
    return (Path(location) / "tokenizer_config.json").exists()


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
    if is_encoder_decoder(model):
        # T5ForSequenceClassification finds the row it scores by this id
        model.config.eos_token_id = tokenizer.eos_token_id
    model.eval()
    model.to(processes().device)


def _embeddings_fit(model: Any, tokenizer: Any) -> None:
    """Adds rows up to the pad token, each the mean of the old rows: no random draw."""
    have, need = model.get_input_embeddings().weight.shape[0], tokenizer.pad_token_id + 1
    if need <= have:
        return
    model.resize_token_embeddings(need, mean_resizing=False)
    tables = [model.get_input_embeddings(), model.get_output_embeddings()]
    with torch.no_grad():
        for table in tables:
            if table is not None:
                table.weight[have:] = table.weight[:have].mean(0)
