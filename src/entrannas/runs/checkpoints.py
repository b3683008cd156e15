"""Tensors in files, as safetensors, which cannot run code; see `core.state` for what they are."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from entrannas.core.errors import InputError
from entrannas.core.state import Learner
from entrannas.runs.records import damaged


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
