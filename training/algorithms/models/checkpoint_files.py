"""The files of a checkpoint, looked at before transformers opens them.

A location is a folder or a Hugging Face hub id. Everything here raises CheckpointInvalid.
"""

import json
from pathlib import Path
from typing import Any, NoReturn

from safetensors import SafetensorError, safe_open
from transformers import PretrainedConfig

from training.algorithms.errors import CheckpointInvalid

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
