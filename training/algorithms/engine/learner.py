"""A model in training: its optimizer, adapter, precision, and its copies in other processes.

A loop hands over a batch as groups (micro-batches) and a function that gives the loss of one; the
losses of all groups add up to the loss of the batch, so neither the grouping nor the number of
processes changes the gradient by more than rounding.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from training.algorithms.configs import ConfigError
from training.algorithms.engine.adapters import AdapterWeights, adapter_add
from training.algorithms.engine.learner_config import LearnerConfig
from training.algorithms.engine.optimization import adamw, optimizer_step
from training.algorithms.engine.processes import processes
from training.algorithms.run_dir import Hardware

GroupT = TypeVar("GroupT")
Loss = Callable[[Any, GroupT], tuple[Tensor, Mapping[str, Tensor | float]]]

_TRAINED = StateDictOptions(full_state_dict=True, ignore_frozen_params=True, strict=False)
_TRAINED_ON_CPU = StateDictOptions(
    full_state_dict=True, ignore_frozen_params=True, cpu_offload=True
)


class _Call(nn.Module):
    """Runs any function of the model inside `forward`, where DDP and FSDP2 have their hooks."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(self.model, *args)


class Frozen:
    """A model that only computes: `frozen(function, *args)` gives function(model, *args)."""

    def __init__(self, model: Any, hardware: Hardware) -> None:
        self._model, self._hardware = model.requires_grad_(False), hardware

    @torch.no_grad()
    def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        with _autocast(self._hardware):
            return function(self._model, *args)


class Learner:
    """Owns the model from construction on.

    Compute with it through `learner(function, *args)`, which gives function(model, *args) in the
    run's precision; train it with `accumulate` and `step`. A sharded model (`is_sharded`) needs
    the same calls in every process.
    """

    def __init__(self, model: Any, config: LearnerConfig, hardware: Hardware, seed: int) -> None:
        self._config, self._hardware = config, hardware
        self.is_sharded = hardware.sharding == "fsdp" and processes().count > 1
        if self.is_sharded and config.lora_rank:
            raise ConfigError("lora_rank", config.lora_rank, "expected 0 with sharding 'fsdp'")
        self._adapter = adapter_add(model, config.lora_rank, config.lora_alpha, seed)
        self._adapter_weights: AdapterWeights | None = None
        plain = model if self._adapter is None else self._adapter.model
        if config.gradient_checkpointing:
            _dropout_remove(plain)
            plain.activation_checkpointing_enable({"use_reentrant": False})
        self._plain = plain
        self._module = _wrapped(plain, self.is_sharded)
        trained = [p for p in self._module.parameters() if p.requires_grad]
        self.optimizer = adamw(trained, config.weight_decay)

    @property
    def config(self) -> Any:
        """Of the transformers model."""
        return self._plain.config

    # ---- computing

    def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        with _autocast(self._hardware):
            return self._module(function, *args)

    def read(self, function: Callable[..., Any], *args: Any) -> Any:
        """The same without gradient."""
        with torch.no_grad():
            return self(function, *args)

    def frozen_start(self, load: Callable[[], Any]) -> Callable[..., Any]:
        """The model as it was before training, to be called like a Frozen.

        With an adapter that is this model, adapter switched off; else the one that `load` gives.
        """
        adapter = self._adapter
        if adapter is None:
            return Frozen(load(), self._hardware)

        def start(function: Callable[..., Any], *args: Any) -> Any:
            with adapter.switched_off():
                return self.read(function, *args)

        return start

    # ---- learning

    def accumulate(self, groups: Sequence[GroupT], loss_of: Loss[GroupT]) -> dict[str, float]:
        """Adds the gradient of the sum of loss_of(model, group)[0] over all groups.

        Returns that sum as "loss", and the sums of what loss_of gives besides it. Each process
        takes its share of the groups; the sums are those of all.
        """
        shares = _shares(groups)
        totals: dict[str, Tensor] = {}
        with self._training_mode():
            for index, (group, weight) in enumerate(shares):
                self._gradient_sync(index == len(shares) - 1)
                loss, others = self(loss_of, group)
                # Gradients are averaged over the processes; the loss of the batch is a sum.
                (loss * (weight * processes().count)).backward()
                for name, value in {"loss": loss, **others}.items():
                    term = torch.as_tensor(value).detach().double().cpu() * weight
                    totals[name] = totals[name] + term if name in totals else term
        names = sorted(totals)
        sums = processes().sum(torch.stack([totals[name] for name in names]))
        return dict(zip(names, sums.tolist(), strict=True))

    def step(self, rate: float) -> float:
        """One optimizer step on the accumulated gradient, clipped; returns its norm before."""
        return optimizer_step(self.optimizer, rate, self._config.max_grad_norm)

    # ---- keeping

    def state(self) -> dict[str, Any]:
        """What is trained, and the optimizer; fits any number of processes.

        When sharded every process must call it, and only the main one gets the tensors.
        """
        module, optimizer = self._module, self.optimizer
        state: dict[str, Any] = {
            "model": get_model_state_dict(module, options=_TRAINED_ON_CPU),
            "optimizer": None,
        }
        if optimizer.state:
            # Of an optimizer without state torch would make one by a step of its own, and count it.
            state["optimizer"] = get_optimizer_state_dict(
                module, optimizer, options=_TRAINED_ON_CPU
            )
        return state

    def state_restore(self, state: Mapping[str, Any]) -> None:
        self.weights_restore(state["model"])
        if state["optimizer"] is not None:
            set_optimizer_state_dict(
                self._module, self.optimizer, state["optimizer"], options=_TRAINED
            )

    def weights(self) -> dict[str, Tensor]:
        """A copy of what is trained, on the CPU, in every process."""
        weights: dict[str, Any] = get_model_state_dict(self._module, options=_TRAINED)
        return {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}

    def weights_restore(self, weights: dict[str, Any]) -> None:
        set_model_state_dict(self._module, weights, options=_TRAINED)

    def finish(self) -> None:
        """Ends training; folds an adapter into the weights. Computing goes on as before."""
        if self._adapter is not None:
            self._plain, self._adapter_weights = self._adapter.merge()
            self._module, self._adapter = _Call(self._plain), None

    def save(self, tokenizer: Any, folder: Path) -> None:
        """Writes a standard checkpoint into an existing folder, an adapter also into adapter/.

        Training may go on. When sharded every process must call it; the main one writes.
        """
        whole = None
        if self.is_sharded:
            weights = get_model_state_dict(self._module, options=_TRAINED_ON_CPU)
            whole = {name.removeprefix("model."): tensor for name, tensor in weights.items()}
            for tied in getattr(self._plain, "all_tied_weights_keys", ()):
                whole.pop(tied, None)  # gathered twice; stored once
        if not processes().is_main:
            return
        plain, adapter_weights = self._plain, self._adapter_weights
        if self._adapter is not None:  # still in training: merge a copy
            plain, adapter_weights = deepcopy(self._adapter).merge()
        plain.save_pretrained(folder, state_dict=whole)
        tokenizer.save_pretrained(folder)
        if adapter_weights is not None:
            adapter_weights.save(folder / "adapter")

    # ---- inside

    def _gradient_sync(self, is_last: bool) -> None:
        """Gradients travel between the processes once a batch, with its last group."""
        if isinstance(self._module, FSDPModule):
            self._module.set_requires_gradient_sync(is_last)
        elif isinstance(self._module, DistributedDataParallel):
            self._module.require_backward_grad_sync = is_last

    @contextmanager
    def _training_mode(self) -> Iterator[None]:
        """transformers recomputes activations in training mode only; nothing else reads it here."""
        self._module.train(self._config.gradient_checkpointing)
        try:
            yield
        finally:
            self._module.eval()


def _autocast(hardware: Hardware) -> torch.autocast:
    return torch.autocast(
        processes().device.type, torch.bfloat16, enabled=hardware.precision == "bf16"
    )


def _wrapped(model: nn.Module, is_sharded: bool) -> nn.Module:
    call, group = _Call(model).eval(), processes()
    if group.count == 1:
        return call
    if not is_sharded:
        return DistributedDataParallel(call, broadcast_buffers=False)
    mesh = init_device_mesh(group.device.type, (group.count,))
    whole = set(getattr(model, "_no_split_modules", None) or ())
    for layer in [m for m in model.modules() if type(m).__name__ in whole]:
        fully_shard(layer, mesh=mesh)
    fully_shard(call, mesh=mesh)
    return call


def _shares(groups: Sequence[GroupT]) -> list[tuple[GroupT, float]]:
    """This process's groups with weight 1, filled up with weight 0 to what others have.

    Every process must run as many backward passes as the others, or they would wait for ever.
    """
    group = processes()
    num_each = -(-len(groups) // group.count)
    mine = [(item, 1.0) for item in group.share(groups)]
    return mine + [(groups[0], 0.0)] * (num_each - len(mine))


def _dropout_remove(model: nn.Module) -> None:
    """A policy that drops units has a ratio other than 1 to itself, also in training mode."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name, value in vars(module).items():
            if "dropout" in name and isinstance(value, float):
                setattr(module, name, 0.0)
