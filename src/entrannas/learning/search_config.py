"""The settings of a search, and what follows from them: the method, and the space it searches."""

import re
from collections.abc import Callable, Mapping
from fractions import Fraction as Ratio
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ValidationInfo, field_validator

from entrannas.core.errors import brief
from entrannas.core.methods import IN_SPACE, METHODS, Method, method_in
from entrannas.core.schedules import Schedule
from entrannas.core.size import Size
from entrannas.core.skeletons import Stem
from entrannas.core.spaces import SPACES, SearchSpace, search_space
from entrannas.learning.train_config import target_size
from entrannas.runs.bounds import (
    BatchSize,
    Between,
    Cells,
    Channels,
    Count,
    Epochs,
    Fraction,
    Rate,
    Share,
    SomeEpochs,
    Weight,
)
from entrannas.runs.configuration import (
    DATA,
    LEARNING,
    NETWORK,
    RUN,
    Configuration,
    Follows,
    setting,
    shown,
    told_apart,
)

PRESETS: dict[str, dict[str, Any]] = {
    "digits": {"epochs": 20, "batch_size": 32, "channels": 8, "cells": 5, "flip": False},
}
PROTOCOLS: dict[Stem, dict[str, Any]] = {
    "cifar": {"epochs": 50, "cells": 8, "channels": 16, "flip": True},
    # The paper names the stem, and shares of 0.1 and 0.025 (Yang et al., CVPR 2021). The rest is PC-DARTS' for ImageNet
    # (Xu et al., ICLR 2020), which has these too; that it is the paper's as well is our reading.
    "imagenet": {
        "epochs": 50,
        "cells": 8,
        "channels": 16,
        "flip": True,
        "batch_size": 1024,
        "warmup": 35 / 50,
        "alpha_travel": 6e-3 * 15 * (128_116 // 1024),
    },
}
_RATES: dict[Stem, tuple[float, int]] = {"cifar": (0.1, 256), "imagenet": (0.5, 1024)}


_Temperature = Annotated[float, Between(0.001, 1000)]


def _protocol(name: str) -> Follows:
    """Follow from the data set's preset, else the stem's protocol."""
    cases: dict[str, dict[str, Any]] = {str(stem): row for stem, row in PROTOCOLS.items()} | PRESETS
    told = told_apart({case: shown(settings[name]) for case, settings in cases.items() if name in settings})
    return Follows(lambda settings: _settings(settings)[name], told)


def _settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of the stem, with the data set's preset over them."""
    return PROTOCOLS[settings["stem"]] | PRESETS.get(settings["data"], {})


def _method(value: Callable[[Method, dict[str, Any]], Any], told: Callable[[Method], str], **others: str) -> Follows:
    """Follow from the method, as it is in the space, and the settings before it; `others` are told beside them."""

    def default(settings: dict[str, Any]) -> Any:
        return value(method_in(settings["space"], settings["method"]), settings)

    cases = {name: told(method) for name, method in METHODS.items()}
    cases |= {f"{name} in {space}": told(method_in(space, name)) for space, name in IN_SPACE}
    return Follows(default, told_apart(cases | others))


def _noted(name: str) -> str:
    note = METHODS[name].note
    return f"{name} ({note})" if note else name


def _warmup(method: Method, settings: Mapping[str, Any]) -> float:
    """Return the part of the epochs in which alpha rests at first: the method's, or the stem's where alpha learns."""
    own: float = _settings(settings).get("warmup", method.warmup) if settings["engines"] else method.warmup
    return own


def _rate(settings: Mapping[str, Any]) -> float:
    rate, batch_size = _RATES[settings["stem"]]
    own: float = rate * settings["batch_size"] / batch_size
    return own


def _told_rates() -> str:
    return told_apart({str(stem): f"{rate:g} at batch {batch_size}" for stem, (rate, batch_size) in _RATES.items()})


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
    cells: Annotated[int, Between(3, 200)] = setting(NETWORK, _protocol("cells"))
    """How many cells the super-net stacks."""
    channels: Channels = setting(NETWORK, _protocol("channels"))
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
    weights_share: Share = setting(DATA, 0.5, before=0.5)
    """Share of the training images of each class that the weights learn from."""
    alpha_share: Share = setting(DATA, 0.5, before=0.5)
    """Share of them that alpha learns from, none of which the weights see."""
    epochs: Epochs = setting(LEARNING, _protocol("epochs"))
    """Epochs over the images of the weights."""
    warmup_epochs: SomeEpochs = setting(
        LEARNING,
        _method(
            lambda method, settings: int(_warmup(method, settings) * settings["epochs"] + 0.5),
            lambda method: _part(method.warmup),
            imagenet=_part(PROTOCOLS["imagenet"]["warmup"]),
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
            lambda method, settings: _settings(settings).get("batch_size", method.batch_size),
            lambda method: shown(method.batch_size),
            imagenet=shown(PROTOCOLS["imagenet"]["batch_size"]),
            **{data: shown(preset["batch_size"]) for data, preset in PRESETS.items()},
        ),
    )
    """Images of a weights step, and of an alpha step."""
    weights_lr: Rate = setting(
        LEARNING, Follows(lambda settings: _rate(settings), f"{_told_rates()}, in proportion to it")
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
    max_parameters: Count | None = setting(NETWORK, None, "COUNT")
    """The most parameters that the target network of what is derived may have, in no step more: 100k, 2.5M, ..."""
    max_multiply_adds: Count | None = setting(NETWORK, None, "COUNT")
    """The most multiply-adds that it may take for one image, likewise."""
    max_latency_ms: Annotated[float, Between(0.001, 1e6)] | None = setting(NETWORK, None)
    """The most milliseconds that it may take for inference, by --latency-table, likewise."""
    latency_table: str | None = setting(NETWORK, None, "FILE")
    """A table of latencies, which `entrannas latency --table` makes on the machine that is meant."""
    target_cells: Annotated[int, Between(3, 200)] | None = setting(NETWORK, None)
    """Cells of the target network whose cost is counted; those of a training by default."""
    target_channels: Channels | None = setting(NETWORK, None)
    """Its channels, likewise."""
    cost_weight: Weight = setting(LEARNING, 0.1, before=0.1)
    """How much alpha's loss grows with what the expected cost is above a limit, in parts of it."""
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
    flip: bool = setting(DATA, _protocol("flip"))
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

    @field_validator("alpha_share")
    @classmethod
    def _check_shares(cls, share: float, info: ValidationInfo) -> float:
        others = info.data.get("weights_share")
        if others is not None and others + share > 1:
            raise ValueError(f"{share:g} and the weights' {others:g} are more than all images")
        return share

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


def target_of(config: SearchConfig, classes: int, in_channels: int) -> Size:
    """Return how large the network is that a search is for: by default that of a training.

    Args:
        config: the settings.
        classes: how many there are.
        in_channels: those of the images.
    """
    cells, channels = target_size(config.data, config.stem)
    return Size(config.target_cells or cells, config.target_channels or channels, classes, in_channels, config.stem)


def method_of(config: SearchConfig) -> Method:
    """Return the method, as it is in the configuration's space."""
    return method_in(config.space, config.method)


def schedule_of(config: SearchConfig, steps: int) -> Schedule:
    """Return the schedule of a search of so many steps an epoch."""
    method, space = method_of(config), space_of(config)
    space = space.without_none() if method.thresholds else space
    return Schedule(
        epochs=config.epochs,
        steps=steps,
        warmup_epochs=config.warmup_epochs,
        settling_epochs=config.settling_epochs,
        closing_epochs=config.closing_epochs,
        weights_lr=(config.weights_lr, config.weights_lr_end),
        alpha_lr=config.alpha_lr,
        alpha_travel=PROTOCOLS[config.stem].get("alpha_travel", method.alpha_travel),
        alpha_schedule=method.alpha_schedule,
        beta_lr=config.beta_lr,
        tau=config.tau,
        connections=len(space.edges) * len(space.operations) / space.nodes,
        target_connections=config.target_connections,
    )


def space_of(config: SearchConfig) -> SearchSpace:
    """Return the space."""
    return search_space(config.space, config.nodes)
