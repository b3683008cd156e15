"""Tensors in files: the state of modules and optimizers by name, as safetensors, which cannot run code."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from entrannas.errors import InputError
from entrannas.runs.records import damaged


class Learner(Protocol):
    """What learns in a run: all that the next step depends on can be taken from it and put back."""

    def state(self) -> dict[str, Tensor]:
        """Return these tensors by name."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state."""


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
        raise damaged(path, str(error)) from None


def tensors_file(tensors: Mapping[str, Tensor], notes: dict[str, str] | None = None) -> bytes:
    """Return the content of a safetensors file of tensors and notes."""
    return save({name: tensor.contiguous() for name, tensor in tensors.items()}, notes)


def take_up(learner: Learner, state: Mapping[str, Tensor], path: Path) -> None:
    """Put a learner into a state that was loaded from a file.

    Raises:
        InputError: it is no whole state of this learner, with the same names, types and shapes and finite numbers.
    """
    try:
        if name := not_finite(state):
            raise InputError(f"{name} is not finite")
        learner.load_state(state)
        if others := state.keys() ^ learner.state().keys():
            raise InputError(f"{min(others)} is in one of them only, the file and what learns")
    except InputError as error:
        raise damaged(path, str(error)) from None


def not_finite(state: Mapping[str, Tensor]) -> str | None:
    """Return the name of a tensor that holds something else than finite numbers, if there is one."""
    return next((name for name, tensor in state.items() if not tensor.isfinite().all()), None)


def module_state(name: str, module: nn.Module) -> dict[str, Tensor]:
    """Name a module's tensors for a checkpoint."""
    return {f"{name}.{key}": tensor for key, tensor in module.state_dict().items()}


def load_module_state(name: str, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put a module's tensors back.

    Raises:
        InputError: they are another module's.
    """
    tensors = {key.removeprefix(f"{name}."): tensor for key, tensor in state.items() if key.startswith(f"{name}.")}
    _compare(name, tensors, module.state_dict())
    module.load_state_dict(tensors)


@dataclass(frozen=True)
class Weights:
    """A module that learns no more: its state is its tensors, see `Learner`."""

    name: str
    module: nn.Module

    def state(self) -> dict[str, Tensor]:
        """Return its tensors by name."""
        return module_state(self.name, self.module)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put its tensors back."""
        load_module_state(self.name, self.module, state)


def optimizer_state(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Name an optimizer's tensors for a checkpoint, by the number of the parameter they belong to."""
    entries = optimizer.state_dict()["state"].items()
    return {f"{name}.{number}.{key}": value for number, entry in entries for key, value in entry.items()}


def load_optimizer_state(name: str, optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Put an optimizer's tensors back, each in the memory layout of its parameter.

    A parameter that has not taken a step yet has none.

    Raises:
        InputError: they are another optimizer's.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    entries: dict[int, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        if key.startswith(f"{name}."):
            number, _, entry = key.removeprefix(f"{name}.").partition(".")
            if not re.fullmatch(r"\d{1,9}", number, re.ASCII) or int(number) >= len(parameters):
                raise _others(name, f"there is no parameter {number}")
            entries.setdefault(int(number), {})[entry] = tensor
    of_a_step = _entries(optimizer) if entries else {}
    for index, found in entries.items():
        parameter = parameters[index]
        wanted = {key: parameter if entry.ndim else entry for key, entry in of_a_step.items()}
        _compare(f"{name}.{index}", found, wanted)
        entries[index] = {
            key: torch.empty_like(parameter).copy_(tensor) if tensor.shape == parameter.shape else tensor
            for key, tensor in found.items()
        }
    optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})


def _entries(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what a step keeps of a parameter, here one of two numbers."""
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.zeros(2)
    other = type(optimizer)([parameter], **optimizer.defaults)
    other.step()
    return dict(other.state[parameter])


def _compare(name: str, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuse tensors of other names, types or shapes than are wanted."""
    for key in sorted(found.keys() ^ wanted.keys()):
        raise _others(name, f"{key} is {'missing' if key in wanted else 'none of them'}")
    for key, tensor in found.items():
        if (tensor.dtype, tensor.shape) != (wanted[key].dtype, wanted[key].shape):
            raise _others(name, f"{key} is {_told(tensor)}, not {_told(wanted[key])}")


def _told(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _others(name: str, why: str) -> InputError:
    return InputError(f"the tensors are not those of this {name}: {why}")
