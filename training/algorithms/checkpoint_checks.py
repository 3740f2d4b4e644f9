"""What a checkpoint must be, checked before its weights are used. Each refusal names the remedy.

A location is a folder or a Hugging Face hub id. Everything here raises CheckpointInvalid.
"""

import json
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch
from safetensors import SafetensorError, safe_open
from transformers import CONFIG_MAPPING, PretrainedConfig

from training.algorithms.encoder_decoder import FAMILIES, is_encoder_decoder
from training.algorithms.errors import CheckpointInvalid

Kind = Literal["policy", "reward_model"]

LFS_POINTER = b"version https://git-lfs"
# Weights as pickles, of other frameworks, or quantized.
OTHER_FORMATS = ("pytorch_model*.bin", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.gguf")


def location_check(location: str) -> dict[str, Any]:
    """The raw config.json of a location whose files look complete and safe."""
    folder = Path(location)
    if not folder.is_dir():
        return _hub_config(location)
    _adapter_refuse(folder)
    if not (folder / "config.json").is_file():
        inner = next((n for n in ("output", "model") if (folder / n / "config.json").exists()), "")
        remedy = f"Did you mean {folder / inner}?" if inner else "It must be a Hugging Face folder."
        refuse("model", location, f"the folder has no config.json. {remedy}")
    _weights_check(folder)
    try:
        return dict(PretrainedConfig.get_config_dict(location)[0])
    except Exception as error:
        refuse("model", location, f"its config.json cannot be read: {error}")


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


def refuse(what: str, location: str, why: str) -> NoReturn:
    raise CheckpointInvalid(f"Cannot load the {what} at {location}: {why}", location=location)


def _hub_config(hub_id: str) -> dict[str, Any]:
    try:
        config = dict(PretrainedConfig.get_config_dict(hub_id)[0])
    except Exception as error:
        refuse(
            "model",
            hub_id,
            "it is neither a folder nor a model that the Hugging Face hub or its local cache "
            f"gives out ({type(error).__name__}). Check the spelling; without network, name a "
            "folder, or download it first with `hf download`.",
        )
    if not config:
        refuse("model", hub_id, "the hub has no config.json for it.")
    return config


def _adapter_refuse(folder: Path) -> None:
    path = folder / "adapter_config.json"
    if not path.exists():
        return
    try:
        base = json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (ValueError, AttributeError):
        base = None
    refuse(
        "model",
        str(folder),
        f"it is a LoRA adapter of {base or 'some model'}, not a whole model. A run writes merged "
        "weights into output/ and the adapter into output/adapter/: give output/. For an adapter "
        "from elsewhere, merge it with peft's merge_and_unload() and save the result.",
    )


def _weights_check(folder: Path) -> None:
    shards = _shards(folder)
    if not shards:
        others = sorted(path.name for form in OTHER_FORMATS for path in folder.glob(form))
        if others:
            refuse(
                "model",
                str(folder),
                f"its weights are in {others[0]}, not in safetensors. Such files may run code when "
                "read. If you trust it, convert it elsewhere: from transformers import "
                f"AutoModelForCausalLM as M; M.from_pretrained({str(folder)!r})"
                ".save_pretrained('NEW_FOLDER'), and copy the tokenizer's files.",
            )
        refuse("model", str(folder), "there are no weights in it; model.safetensors is expected.")
    for path in shards:
        _shard_check(folder, path)


def _shards(folder: Path) -> list[Path]:
    """The files that hold the weights, as the index names them, present or not."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").exists() or not index.exists():
        return [path for path in [folder / "model.safetensors"] if path.exists()]
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError):
        refuse("model", str(folder), f"{index.name} is damaged; copy the folder again.")
    return [folder / name for name in sorted(names)]


def _shard_check(folder: Path, path: Path) -> None:
    if not path.exists():
        refuse("model", str(folder), f"{path.name} is missing; copy the folder again.")
    with path.open("rb") as handle:
        if handle.read(len(LFS_POINTER)) == LFS_POINTER:
            refuse(
                "model", str(folder), f"{path.name} is a git-lfs pointer; run `git lfs pull` there."
            )
    try:
        with safe_open(path, framework="pt") as opened:
            opened.keys()
    except SafetensorError as error:
        refuse("model", str(folder), f"{path.name} is damaged ({error}); copy the folder again.")


def _counted(keys: list[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{len(keys)} tensors ({keys[0]}, ...)"


def _has_language_head(architecture: str) -> bool:
    return any(part in architecture for part in ("CausalLM", "LMHead", "ConditionalGeneration"))
