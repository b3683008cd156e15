"""The state of modules and optimizers as tensors by name, from which learning goes on to the same bits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from entrannas.core.errors import InputError


class Learner(Protocol):
    """Something that learns, whose whole state can be read as tensors and restored."""

    def state(self) -> dict[str, Tensor]:
        """Return these tensors by name."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state."""


def module_state(name: str, module: nn.Module) -> dict[str, Tensor]:
    """Return a module's tensors for a checkpoint, by name."""
    return {f"{name}.{key}": tensor for key, tensor in module.state_dict().items()}


def load_module_state(name: str, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Restore a module's tensors.

    Raises:
        InputError: they are another module's.
    """
    tensors = {key.removeprefix(f"{name}."): tensor for key, tensor in state.items() if key.startswith(f"{name}.")}
    _compare(name, tensors, module.state_dict())
    module.load_state_dict(tensors)


@dataclass(frozen=True)
class Weights:
    """A module that does not learn any more, as a `Learner` whose state is its tensors."""

    name: str
    module: nn.Module

    def state(self) -> dict[str, Tensor]:
        """Return the module's tensors by name."""
        return module_state(self.name, self.module)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore the module's tensors."""
        load_module_state(self.name, self.module, state)


def optimizer_state(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimizer's tensors for a checkpoint, named by the number of their parameter."""
    entries = optimizer.state_dict()["state"].items()
    return {f"{name}.{number}.{key}": value for number, entry in entries for key, value in entry.items()}


def load_optimizer_state(name: str, optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Restore an optimizer's tensors, each in the memory layout of its parameter.

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
    """Return the tensors that an optimizer step saves for a parameter of two numbers."""
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
