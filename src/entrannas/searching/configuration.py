"""The settings of a search, and what follows from them: the method, and the space it searches."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from entrannas.architecture.spaces import SPACES, SearchSpace, search_space
from entrannas.networks.stacks import cell_kinds
from entrannas.runs.configuration import (
    SEARCH_PRESETS,
    Configuration,
    Count,
    Fraction,
    Positive,
    search_default,
    target_size,
)
from entrannas.searching.methods import METHODS, Method, method_in


def _method_default(value: Callable[[Method, dict[str, Any]], Any]) -> Any:
    """Make a field whose default follows from the method and the settings before it."""
    return Field(default_factory=lambda settings: value(method_in(settings["space"], settings["method"]), settings))


class SearchConfig(Configuration):
    """Settings of a search; the defaults are the CIFAR-10 protocol of the method's paper, where it is settled.

    Attributes:
        space: a search space, see `spaces.SPACES`.
        method: a search method, see `methods.METHODS`.
        nodes: intermediate nodes of a cell.
        cells: how many the super-net stacks, at least 3.
        channels: of its first cells.
        engines: which of its cells are Engine-cells, counted from 0; `all`; by default the method's choice.
        tau: the temperature of the first and of the last epoch, linear in between; by default the method's.
        epochs: over the two halves of the training set.
        batch_size: of a weights step, and of an alpha step; by default the method's.
        warmup_epochs: at the start, in which alpha and beta stay untouched; by default the method's fraction of all,
            rounded.
        settling_epochs: at the end, in which they stay as they are; by default the method's fraction of all, rounded
            down.
        weights_lr: of SGD, cosine to `weights_lr_end`; by default 0.1 at batch 256, in proportion to the batch.
        alpha_lr: of Adam; by default such that alpha can go as far as in the method's protocol, see `alpha_rate`. With
            `entrannas` it falls over the epochs.
        beta_lr: of Adam, for the thresholds of a method that has them, cosine to 0.
        target_connections: a node, on average over a cell, towards which the thresholds are pulled; 0 for no pull.
        derive: when the Transit-cells get the architecture of the moment: after every step, after every epoch, or not
            before the end, so that they keep the one that the search began with.
        trials: how many neighbours of what alpha has derived at the end compete with it, see `trials`; 0 for none.
        trial_cells: of the networks that compete; by default three times those of the super-net, at most those that a
            training gives the target network by default.
        trial_steps: of their training, twice as many for the quarter that is the best.
        cutout: side of the square that is cut out, as a fraction of the image's side.
        flip: mirror half of the images.
        picture_every: epochs between two pictures of the cells.
    """

    space: str = "darts"
    method: str = "entrannas"
    nodes: Count = Field(default_factory=lambda settings: SPACES[settings["space"]].nodes)
    cells: Annotated[int, Field(ge=3)] = search_default("cells", 8)
    channels: Annotated[int, Field(ge=2)] = search_default("channels", 16)
    engines: tuple[int, ...] = _method_default(lambda method, settings: method.engines(_kinds(settings)))
    tau: tuple[Positive, Positive] = _method_default(lambda method, _: method.tau)
    epochs: Count = search_default("epochs", 50)
    warmup_epochs: Annotated[int, Field(ge=0)] = _method_default(
        lambda method, settings: int(method.warmup * settings["epochs"] + 0.5)
    )
    settling_epochs: Annotated[int, Field(ge=0)] = _method_default(
        lambda method, settings: int(method.settling * settings["epochs"])
    )
    batch_size: Count = _method_default(
        lambda method, settings: SEARCH_PRESETS.get(settings["data"], {}).get("batch_size", method.batch_size)
    )
    weights_lr: Positive = Field(default_factory=lambda settings: 0.1 * settings["batch_size"] / 256)
    weights_lr_end: Annotated[float, Field(ge=0)] = 0.001
    alpha_lr: Positive | None = None
    beta_lr: Positive = 0.1
    target_connections: Annotated[float, Field(ge=0)] = _method_default(
        lambda method, _: 2.0 if method.thresholds else 0.0
    )
    derive: Literal["step", "epoch", "end"] = "step"
    trials: Annotated[int, Field(ge=0)] = _method_default(lambda method, _: method.trials)
    trial_cells: Count = Field(
        default_factory=lambda settings: min(3 * settings["cells"], target_size(settings["data"], settings["stem"])[0])
    )
    trial_steps: Count = 150
    flip: bool = search_default("flip", True)
    cutout: Fraction = 0.0
    picture_every: Count = 10

    @field_validator("space", "method")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        table: Mapping[str, object] = SPACES if info.field_name == "space" else METHODS
        if name not in table:
            raise ValueError(f"there is no {name!r}, but {', '.join(table)}")
        return name

    @field_validator("engines", mode="before")
    @classmethod
    def _read_engines(cls, engines: Any, info: ValidationInfo) -> Any:
        """Read what a command writes: `all`, or numbers such as `5,7`."""
        if engines == "all" and "cells" in info.data:
            return tuple(range(info.data["cells"]))
        if isinstance(engines, str):
            if not re.fullmatch(r"\d+(,\d+)*", engines):
                raise ValueError(f"{engines!r} is neither all nor numbers such as 5,7")
            return tuple(int(index) for index in engines.split(","))
        return engines

    @field_validator("engines")
    @classmethod
    def _check_engines(cls, engines: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        kinds = _kinds(info.data) if {"space", "cells"} <= info.data.keys() else ()
        for index in engines:
            if index not in range(len(kinds)):
                raise ValueError(f"there is no cell {index}: they are numbered 0 to {len(kinds) - 1}")
        for kind in set(kinds) - {kinds[index] for index in engines} if engines else ():
            where = ", ".join(str(index) for index, other in enumerate(kinds) if other == kind)
            raise ValueError(f"no Engine-cell among the {kind} cells ({where}): their alpha would never learn")
        return tuple(sorted(set(engines)))

    @field_validator("settling_epochs")
    @classmethod
    def _check_settling(cls, settling: int, info: ValidationInfo) -> int:
        epochs, warmup = info.data.get("epochs"), info.data.get("warmup_epochs")
        if settling and epochs is not None and warmup is not None and warmup + settling >= epochs:
            raise ValueError(f"{warmup} of warm-up and {settling} of settling leave alpha none of {epochs} epochs")
        return settling

    @field_validator("trials")
    @classmethod
    def _check_trials(cls, trials: int, info: ValidationInfo) -> int:
        method = info.data.get("method")
        if trials and method and METHODS[method].thresholds:
            raise ValueError(
                f"method {method} makes connections zero, so none is closest to those it keeps: leave it out"
            )
        return trials

    @field_validator("target_connections")
    @classmethod
    def _check_target(cls, target: float, info: ValidationInfo) -> float:
        method = info.data.get("method")
        if target and method and not METHODS[method].thresholds:
            raise ValueError(f"method {method} has no thresholds to pull: leave it out")
        return target


def _kinds(settings: Mapping[str, Any]) -> tuple[str, ...]:
    return cell_kinds(settings["cells"], SPACES[settings["space"]].inputs)


def method_of(config: SearchConfig) -> Method:
    """Return the method, as it is in the configuration's space."""
    return method_in(config.space, config.method)


def space_of(config: SearchConfig) -> SearchSpace:
    """Return the space; where a weight can be zero, `none` has nothing left to say."""
    space = search_space(config.space, config.nodes)
    return space.without_none() if method_of(config).thresholds else space
