"""LoRA (Hu et al. 2021, arXiv 2106.09685) by PEFT: put in, switched off, merged, saved.

The adapter's layers replace those of the model in place, so that every function of a transformers
model works on it as before. A reward head is trained whole and saved with the adapter.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

# Names of scalar heads of transformers' sequence classification models.
SCALAR_HEADS = ("score", "classification_head")


class Adapter:
    """A LoRA adapter on every linear layer of a model, output embeddings excepted."""

    def __init__(self, model: Any, rank: int, alpha: float, seed: int) -> None:
        from peft import LoraConfig, get_peft_model  # seconds to import, and most runs need none

        heads = [name for name in SCALAR_HEADS if hasattr(model, name)]
        self._config = LoraConfig(
            r=rank,
            lora_alpha=alpha,
            target_modules="all-linear",
            modules_to_save=heads or None,
        )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self._peft: Any = get_peft_model(model, self._config)

    @property
    def model(self) -> Any:
        """The transformers model with the adapter's layers in it."""
        return self._peft.get_base_model()

    @contextmanager
    def switched_off(self) -> Iterator[None]:
        """Within the block the model computes what it did before the adapter, head included."""
        with self._peft.disable_adapter():
            yield

    def merge(self) -> tuple[Any, "AdapterWeights"]:
        """The plain model with the adapter added to its weights, and the adapter on its own."""
        from peft import get_peft_model_state_dict

        weights = {
            name: tensor.detach().cpu().contiguous().clone()
            for name, tensor in get_peft_model_state_dict(self._peft).items()
        }
        return self._peft.merge_and_unload(), AdapterWeights(self._config, weights)


class AdapterWeights:
    """An adapter apart from its model, as PEFT saves it."""

    def __init__(self, config: Any, weights: dict[str, Tensor]) -> None:
        self._config, self._weights = config, weights

    def save(self, folder: Path) -> None:
        """Makes the folder; `PeftModel.from_pretrained(base, folder)` reads it."""
        folder.mkdir()
        self._config.inference_mode = True
        self._config.save_pretrained(str(folder))
        save_file(self._weights, folder / "adapter_model.safetensors")


def adapter_add(model: Any, rank: int, alpha: float, seed: int) -> Adapter | None:
    """None for rank 0: the whole model is trained."""
    return Adapter(model, rank, alpha, seed) if rank else None
