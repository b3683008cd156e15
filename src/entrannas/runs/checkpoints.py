"""Tensors in files: the state of modules and optimizers by name, as safetensors, which cannot run code."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from entrannas.errors import InputError


def load_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Load a safetensors file: its notes and its tensors, on the CPU.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"{path} is missing: the run is not complete") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged ({error}): put a copy back, or start anew with another --out") from None


def module_state(name: str, module: nn.Module) -> dict[str, Tensor]:
    """Name a module's tensors for a checkpoint."""
    return {f"{name}.{key}": tensor for key, tensor in module.state_dict().items()}


def load_module_state(name: str, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put a module's tensors back.

    Raises:
        InputError: they are another module's.
    """
    tensors = {key.removeprefix(f"{name}."): tensor for key, tensor in state.items() if key.startswith(f"{name}.")}
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"the tensors are not those of this {name}: {reason}") from None


def optimizer_state(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Name an optimizer's tensors for a checkpoint, by the number of the parameter they belong to."""
    entries = optimizer.state_dict()["state"].items()
    return {f"{name}.{number}.{key}": value for number, entry in entries for key, value in entry.items()}


def load_optimizer_state(name: str, optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Put an optimizer's tensors back, each in the memory layout of its parameter."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    entries: dict[int, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        if key.startswith(f"{name}."):
            _, number, entry = key.split(".")
            parameter = parameters[int(number)]
            if tensor.shape == parameter.shape:
                tensor = torch.empty_like(parameter).copy_(tensor)
            entries.setdefault(int(number), {})[entry] = tensor
    optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})
