"""Fine-tuning: a training that begins with the weights of another one."""

import torch

from entrannas.core.errors import InputError
from entrannas.core.network import Network
from entrannas.learning.description import Description
from entrannas.learning.trained import WEIGHTS
from entrannas.runs.checkpoints import not_finite
from entrannas.runs.run import Run

_CLASSIFIERS = "classifier.", "auxiliary_head.classifier."


def take_over(network: Network, classes: tuple[str, ...], run: Run) -> str:
    """Load the weights of a training into a network, but for those that do not fit.

    A classifier fits if the classes are the same, by their names and in their order.

    Args:
        network: the one that is to be trained.
        classes: the names of its outputs.
        run: the training.

    Returns:
        What was taken over and what was not, in a line.

    Raises:
        InputError: the training is of another architecture, or its weights are damaged.
    """
    trained = Description.of(run)
    _check_architecture(network, trained, run)
    _, tensors = run.load_tensors(WEIGHTS)
    if name := not_finite(tensors):
        raise InputError(f"{run.path / WEIGHTS} holds no weights: {name} is not finite")
    there = {name.removeprefix("network."): tensor for name, tensor in tensors.items()}
    own = network.state_dict()
    fitting = {
        name: there[name]
        for name, tensor in own.items()
        if name in there
        and there[name].shape == tensor.shape
        and (trained.classes == classes or not name.startswith(_CLASSIFIERS))
    }
    with torch.no_grad():
        for name, tensor in fitting.items():
            own[name].copy_(tensor)
    told = f"weights of {run.path} taken over: {len(fitting)} of {len(own)} tensors"
    new = sorted({_part(name) for name in own.keys() - fitting.keys()})
    return f"{told}; new: {', '.join(new)}" if new else told


def _check_architecture(network: Network, trained: Description, run: Run) -> None:
    if network.genotype != trained.genotype:
        raise InputError(f"{run.path} has other cells: train its own genotype, entrannas train {run.path}, from it")
    for name in ("cells", "channels", "stem"):
        wanted, there = getattr(network.size, name), getattr(trained, name)
        if wanted != there:
            raise InputError(
                f"the weights of {run.path} do not fit: it was trained with {name} {there}, not {wanted}; "
                "choose the same, or train from scratch"
            )


def _part(name: str) -> str:
    """Name the part of the network that a tensor belongs to."""
    first, second, *_ = name.split(".")
    return f"{first}.{second}" if second == "classifier" else first
