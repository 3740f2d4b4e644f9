"""What config, weights and tokenizer of a checkpoint must be. Each refusal names the remedy.

A location is a folder or a Hugging Face hub id. Everything here raises CheckpointInvalid.
"""

from typing import Any, Literal

import torch
from transformers import CONFIG_MAPPING

from training.algorithms.models.checkpoint_files import refuse
from training.algorithms.models.encoder_decoder import (
    FAMILIES,
    is_encoder_decoder,
    scalar_head_layers,
)

Kind = Literal["policy", "reward_model"]


def config_check(config: dict[str, Any], location: str) -> None:
    """No custom code, no quantized weights, no encoder-decoder family that is not tested."""
    model_type = config.get("model_type")
    if model_type not in CONFIG_MAPPING:
        if "auto_map" in config:
            refuse(
                "model",
                location,
                f"it brings its own Python code (auto_map in config.json, model type "
                f"{model_type!r}), and this program runs no downloaded code. Use a model that "
                "transformers implements itself.",
            )
        refuse("model", location, f"transformers knows no model type {model_type!r}.")
    if quantization := config.get("quantization_config"):
        method = dict(quantization).get("quant_method", "unknown method")
        refuse(
            "model",
            location,
            f"its weights are quantized ({method}), which cannot be trained here. Use the "
            "checkpoint it was made from, in fp32, fp16 or bf16.",
        )
    if is_encoder_decoder(CONFIG_MAPPING[model_type]) and model_type not in FAMILIES:
        refuse(
            "model",
            location,
            f"{model_type} is an encoder-decoder family that is not supported; these are: "
            f"{', '.join(FAMILIES)}.",
        )


def kind_check(config: dict[str, Any], location: str, kind: Kind) -> None:
    """A reward model is not taken for a policy, nor the reverse, nor a model without a head."""
    names = config.get("architectures") or []
    shown = ", ".join(names) or "unnamed"
    is_reward = "reward_bias" in config or any("SequenceClassification" in n for n in names)
    if kind == "policy" and is_reward:
        refuse(
            "model",
            location,
            f"it is a reward model ({shown}), but a policy is needed here. Give the output of an "
            "sft, ppo or dpo run, or a base model.",
        )
    if kind == "policy" and names and not any(map(_has_language_head, names)):
        refuse(
            "model",
            location,
            f"it has no language-model head ({shown}), but a policy is needed here. Save the model "
            "with AutoModelForCausalLM instead of AutoModel.",
        )
    if kind == "reward_model" and "reward_bias" not in config:
        what = "a policy" if any(map(_has_language_head, names)) else shown
        refuse(
            "model",
            location,
            f"it is not a reward model of ours but {what}: its config.json has no reward_bias. "
            "Give the output of a reward_model run.",
        )


def loaded_check(
    model: Any, info: dict[str, Any], location: str, fresh_heads: tuple[str, ...] = ()
) -> None:
    """No weight came from nowhere (fresh_heads excepted, by prefix), none is NaN or infinite.

    `info` is what from_pretrained(output_loading_info=True) returns.
    """
    missing = sorted(key for key in info["missing_keys"] if not key.startswith(fresh_heads or "\0"))
    mismatched = sorted(
        f"{key} {tuple(in_file)} for {tuple(expected)}"
        for key, in_file, expected in info["mismatched_keys"]
    )
    for what, keys in (("no weights for", missing), ("the wrong shape for", mismatched)):
        if keys:
            refuse(
                "model",
                location,
                f"the file has {what} {_counted(keys)} of {type(model).__name__}; that part would "
                "be random. config.json and weights do not belong together, or the model was saved "
                "without its head.",
            )
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            refuse("model", location, f"{name} holds NaN or infinite numbers; use an earlier one.")


def scalar_head_check(model: Any, location: str) -> None:
    """The family has the head that scalar_head reads."""
    try:
        layers = scalar_head_layers(model)
    except AttributeError:
        layers = ()
    if not layers or not all(isinstance(layer, torch.nn.Linear) for layer in layers):
        refuse(
            "model",
            location,
            f"{type(model).__name__} has no linear `score`; use a decoder-only or T5 model.",
        )


def vocabulary_check(model: Any, tokenizer: Any, location: str) -> None:
    """Every token has an embedding row; only a pad token may be one that we add."""
    num_rows = model.get_input_embeddings().weight.shape[0]
    beyond = {i: token for token, i in tokenizer.get_vocab().items() if i >= num_rows}
    beyond.pop(tokenizer.pad_token_id, None)
    if beyond:
        refuse(
            "model",
            location,
            f"the tokenizer has ids up to {max(beyond)} ({beyond[max(beyond)]!r}), but the model "
            f"has only {num_rows} embedding rows: the tokenizer belongs to another model, or "
            "tokens were added without resize_token_embeddings.",
        )


def same_tokens_check(tokenizer: Any, own: Any, location: str) -> None:
    """A model answers only to the tokenizer it was trained with; the pad token does not matter."""
    pads = {tokenizer.pad_token, own.pad_token}
    ours, theirs = tokenizer.get_vocab(), own.get_vocab()
    differing = {token for token, _ in ours.items() ^ theirs.items()} - pads
    if differing:
        refuse(
            "model",
            location,
            f"it was trained with another tokenizer than {tokenizer.name_or_path or 'the given'} "
            f"({len(differing)} tokens differ, e.g. {min(differing)!r}). All models of a run must "
            "share one tokenizer.",
        )


def _counted(keys: list[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{len(keys)} tensors ({keys[0]}, ...)"


def _has_language_head(architecture: str) -> bool:
    return any(part in architecture for part in ("CausalLM", "LMHead", "ConditionalGeneration"))
