"""The settings of a search, and what follows from them: the method, and the space it searches."""

import re
from collections.abc import Callable, Mapping
from fractions import Fraction as Ratio
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ValidationInfo, field_validator

from entrannas.architecture import SPACES, SearchSpace, search_space
from entrannas.errors import brief
from entrannas.runs import (
    DATA,
    LEARNING,
    NETWORK,
    RUN,
    BatchSize,
    Between,
    Cells,
    Channels,
    Configuration,
    Epochs,
    Follows,
    Fraction,
    Rate,
    SomeEpochs,
    Weight,
    setting,
    shown,
    told_apart,
)
from entrannas.searching.methods import IN_SPACE, METHODS, Method, method_in
from entrannas.training import target_size

PRESETS: dict[str, dict[str, Any]] = {
    "digits": {"epochs": 20, "batch_size": 32, "channels": 8, "cells": 5, "flip": False},
}


_Temperature = Annotated[float, Between(0.001, 1000)]


def _protocol(name: str, value: Any) -> Follows:
    """Follow from the data set's preset, else the protocol."""
    cases = {"": value} | {data: preset[name] for data, preset in PRESETS.items() if name in preset}
    told = told_apart({case: shown(default) for case, default in cases.items()})
    return Follows(lambda settings: PRESETS.get(settings["data"], {}).get(name, value), told)


def _method(value: Callable[[Method, dict[str, Any]], Any], told: Callable[[Method], str], **presets: str) -> Follows:
    """Follow from the method, as it is in the space, and the settings before it; `presets` are told beside them."""

    def default(settings: dict[str, Any]) -> Any:
        return value(method_in(settings["space"], settings["method"]), settings)

    cases = {name: told(method) for name, method in METHODS.items()}
    cases |= {f"{name} in {space}": told(method_in(space, name)) for space, name in IN_SPACE}
    return Follows(default, told_apart(cases | presets))


def _noted(name: str) -> str:
    note = METHODS[name].note
    return f"{name} ({note})" if note else name


def _part(fraction: float) -> str:
    return f"{Ratio(fraction).limit_denominator(100)} of the epochs" if fraction else "0"


class SearchConfig(Configuration):
    """Settings of a search; the defaults are the CIFAR-10 protocol of the method's paper, where it is settled."""

    KIND: ClassVar[str] = "search"
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    space: str = setting(NETWORK, "darts", choices=", ".join(SPACES))
    """The search space."""
    method: str = setting(LEARNING, "entrannas", choices=", ".join(map(_noted, METHODS)))
    """The search method."""
    nodes: Annotated[int, Between(1, 20)] = setting(
        NETWORK,
        Follows(
            lambda settings: SPACES[settings["space"]].nodes,
            told_apart({name: shown(space.nodes) for name, space in SPACES.items()}),
        ),
    )
    """Intermediate nodes of a cell."""
    cells: Annotated[int, Between(3, 200)] = setting(NETWORK, _protocol("cells", 8))
    """How many cells the super-net stacks."""
    channels: Channels = setting(NETWORK, _protocol("channels", 16))
    """Channels of the first cells."""
    engines: tuple[Annotated[int, Between(0, 199)], ...] = setting(
        LEARNING,
        _method(
            lambda method, settings: method.engines(_kinds(settings)),
            lambda method: method.engines.__name__.replace("_", " "),
        ),
        "5,7|all",
    )
    """Which cells may be Engine-cells, counted from 0."""
    move_every: Annotated[int, Between(0, 10**9)] = setting(
        LEARNING, _method(lambda method, _: method.move_every, lambda method: shown(method.move_every)), before=0
    )
    """Steps after which other cells, one of each kind, drawn from these, become the Engine-cells; 0 for all of them,
    always."""
    tau: tuple[_Temperature, _Temperature] = setting(
        LEARNING, _method(lambda method, _: method.tau, lambda method: shown(method.tau)), "START END"
    )
    """Temperature of the first and of the last epoch, linear in between."""
    epochs: Epochs = setting(LEARNING, _protocol("epochs", 50))
    """Epochs over the two halves of the training set."""
    warmup_epochs: SomeEpochs = setting(
        LEARNING,
        _method(
            lambda method, settings: int(method.warmup * settings["epochs"] + 0.5), lambda method: _part(method.warmup)
        ),
    )
    """Epochs at the start in which alpha and beta stay untouched."""
    settling_epochs: SomeEpochs = setting(
        LEARNING,
        _method(
            lambda method, settings: int(method.settling * settings["epochs"]), lambda method: _part(method.settling)
        ),
    )
    """Epochs at the end in which alpha and beta stay as they are."""
    closing_epochs: SomeEpochs = setting(
        LEARNING,
        _method(
            lambda method, settings: max(0, min(int(method.closing * settings["epochs"] + 0.5), _left(settings) - 1)),
            lambda method: _part(method.closing),
        ),
        before=0,
    )
    """Epochs at the end in which alpha and beta stay as they are, and the Engine-cells are brought to what is
    derived."""
    batch_size: BatchSize = setting(
        LEARNING,
        _method(
            lambda method, settings: PRESETS.get(settings["data"], {}).get("batch_size", method.batch_size),
            lambda method: shown(method.batch_size),
            **{data: shown(preset["batch_size"]) for data, preset in PRESETS.items()},
        ),
    )
    """Images of a weights step, and of an alpha step."""
    weights_lr: Rate = setting(
        LEARNING, Follows(lambda settings: 0.1 * settings["batch_size"] / 256, "0.1 at batch 256, in proportion to it")
    )
    """Learning rate of SGD, for the weights; it falls along a cosine."""
    weights_lr_end: Weight = setting(LEARNING, 0.001)
    """What it falls to."""
    alpha_lr: Rate | None = setting(
        LEARNING, Follows(lambda settings: None, "such that alpha can go as far as in the method's paper")
    )
    """Learning rate of Adam, for alpha, in its first epoch; whether it falls over the epochs is the method's."""
    beta_lr: Rate = setting(LEARNING, 0.1)
    """Learning rate of Adam, for the thresholds of a method that has them; it falls to 0 along a cosine."""
    target_connections: Annotated[float, Between(0, 1000)] = setting(
        LEARNING,
        _method(lambda method, _: 2.0 if method.thresholds else 0.0, lambda method: "2" if method.thresholds else "0"),
    )
    """Connections a node, on average over a cell, towards which the thresholds are pulled; 0 for no pull."""
    derive: Literal["step", "epoch", "end"] = setting(LEARNING, "step")
    """When the Transit-cells get the architecture of the moment: after every step, after every epoch, or not before the
    end, so that they keep the one that the search began with."""
    trials: Annotated[int, Between(0, 10_000)] = setting(
        LEARNING, _method(lambda method, _: method.trials, lambda method: shown(method.trials))
    )
    """How many neighbours, with one operation exchanged, compete at the end with what alpha has derived, each trained
    for a short time; 0 for none."""
    trial_cells: Cells = setting(
        LEARNING,
        Follows(
            lambda settings: min(3 * settings["cells"], target_size(settings["data"], settings["stem"])[0]),
            "three times --cells, at most those of a training",
        ),
    )
    """How many cells the networks that compete stack."""
    trial_steps: Annotated[int, Between(1, 10**6)] = setting(LEARNING, 150)
    """Steps of their training; the best quarter is trained anew, twice as long."""
    flip: bool = setting(DATA, _protocol("flip", True))
    """Mirror half of the images."""
    cutout: Fraction = setting(DATA, 0.0)
    """Side of the square that is cut out of each image, as a fraction of its side."""
    picture_every: Epochs = setting(RUN, 10)
    """Epochs between two pictures of the cells."""

    @field_validator("space", "method")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        table: Mapping[str, object] = SPACES if info.field_name == "space" else METHODS
        if name not in table:
            raise ValueError(f"there is no {brief(name)}, but {', '.join(table)}")
        return name

    @field_validator("engines", mode="before")
    @classmethod
    def _read_engines(cls, engines: Any, info: ValidationInfo) -> Any:
        """Read what a command writes: `all`, or numbers such as `5,7`."""
        if engines == "all" and "cells" in info.data:
            return tuple(range(info.data["cells"]))
        if isinstance(engines, str):
            if not re.fullmatch(r"\d+(,\d+)*", engines, re.ASCII):
                raise ValueError(f"{brief(engines)} is neither all nor numbers such as 5,7")
            return tuple(engines.split(","))
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

    @field_validator("move_every")
    @classmethod
    def _check_move(cls, steps: int, info: ValidationInfo) -> int:
        method = info.data.get("method")
        if steps and method and METHODS[method].partial > 1:
            raise ValueError(
                f"method {method} has Engine-cells of partial channels, which cannot be Transit-cells: leave it out"
            )
        return steps

    @field_validator("tau")
    @classmethod
    def _check_tau(cls, tau: tuple[float, float]) -> tuple[float, float]:
        if tau[0] < tau[1]:
            raise ValueError(f"{tau[0]:g} to {tau[1]:g} rises: give START first, then END, which is no higher")
        return tau

    @field_validator("warmup_epochs")
    @classmethod
    def _check_warmup(cls, warmup: int, info: ValidationInfo) -> int:
        epochs = info.data.get("epochs")
        if info.data.get("engines") and epochs is not None and warmup >= epochs:
            raise ValueError(f"{warmup} of warm-up leave alpha none of {epochs} epochs")
        return warmup

    @field_validator("settling_epochs", "closing_epochs")
    @classmethod
    def _check_end(cls, end: int, info: ValidationInfo) -> int:
        epochs, warmup = info.data.get("epochs"), info.data.get("warmup_epochs")
        if info.data.get("engines") and epochs is not None and warmup is not None and warmup + end >= epochs:
            what = str(info.field_name).removesuffix("_epochs")
            raise ValueError(f"{warmup} of warm-up and {end} of {what} leave alpha none of {epochs} epochs")
        return end

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
        if target and {"space", "nodes"} <= info.data.keys():
            space = search_space(info.data["space"], info.data["nodes"]).without_none()
            most = len(space.edges) * len(space.operations) / space.nodes
            if target > most:
                raise ValueError(f"{target:g} are more than the {most:g} a node that there are")
        return target


def _left(settings: Mapping[str, Any]) -> int:
    """Return how many epochs warm-up and settling leave."""
    left: int = settings["epochs"] - settings["warmup_epochs"] - settings["settling_epochs"]
    return left


def _kinds(settings: Mapping[str, Any]) -> tuple[str, ...]:
    return SPACES[settings["space"]].skeleton.cell_kinds(settings["cells"])


def method_of(config: SearchConfig) -> Method:
    """Return the method, as it is in the configuration's space."""
    return method_in(config.space, config.method)


def space_of(config: SearchConfig) -> SearchSpace:
    """Return the space."""
    return search_space(config.space, config.nodes)
