"""The settings of a search, and what follows from them: the method, and the space it searches."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ValidationInfo, field_validator

from entrannas.core.errors import brief
from entrannas.core.methods import METHODS, Method, method_in
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
from entrannas.runs.configuration import DATA, EXPERIMENTS, LEARNING, MAIN, NETWORK, RUN, Configuration, setting, shown

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


def rows(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of a search: the space's, the method's in it, the stem's, and the data set's over these.

    Those of a method's row, such as `warmup`, are parts of the epochs.
    """
    method = method_in(settings["space"], settings["method"])
    of_space = {"nodes": SPACES[settings["space"]].nodes}
    return of_space | vars(method) | PROTOCOLS[settings["stem"]] | PRESETS.get(settings["data"], {})


_BASE = rows({"space": "darts", "method": "entrannas", "stem": "cifar", "data": ""})


def _row(group: str, name: str, metavar: str | None = None) -> Any:
    """Make a field whose default stands in the rows; the help tells that of the method entrannas on CIFAR-10."""
    return setting(group, lambda settings: rows(settings)[name], shown(_BASE[name]), metavar)


def _engines(settings: dict[str, Any]) -> tuple[int, ...]:
    engines: tuple[int, ...] = method_in(settings["space"], settings["method"]).engines(_kinds(settings))
    return engines


def _warmup(settings: dict[str, Any]) -> int:
    """Return the epochs in which alpha rests at first: the method's, or the stem's where alpha learns."""
    own = method_in(settings["space"], settings["method"]).warmup
    return int((rows(settings)["warmup"] if settings["engines"] else own) * settings["epochs"] + 0.5)


def _settling(settings: dict[str, Any]) -> int:
    return int(float(rows(settings)["settling"]) * settings["epochs"])


def _closing(settings: dict[str, Any]) -> int:
    """Return the method's part of the epochs, or less where warm-up and settling leave alpha no epoch else."""
    left = int(settings["epochs"]) - int(settings["warmup_epochs"]) - int(settings["settling_epochs"])
    return max(0, min(int(rows(settings)["closing"] * settings["epochs"] + 0.5), left - 1))


def _rate(settings: dict[str, Any]) -> float:
    """Return the protocol's rate of the weights, in proportion to the batch size."""
    rate, batch_size = _RATES[settings["stem"]]
    return rate * float(settings["batch_size"]) / batch_size


def _target(settings: dict[str, Any]) -> float:
    return 2.0 if method_in(settings["space"], settings["method"]).thresholds else 0.0


def _trial_cells(settings: dict[str, Any]) -> int:
    """Return three times the super-net's cells, but no more than a training has."""
    return min(3 * int(settings["cells"]), target_size(settings["data"], settings["stem"])[0])


def _noted(name: str) -> str:
    note = METHODS[name].note
    return f"{name} ({note})" if note else name


class SearchConfig(Configuration):
    """Settings of a search; the defaults are the CIFAR-10 protocol of the method's paper, where it is settled."""

    KIND: ClassVar[str] = "search"
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    space: str = setting(MAIN, "darts", choices=", ".join(SPACES))
    """The search space."""
    method: str = setting(MAIN, "entrannas", choices=", ".join(map(_noted, METHODS)))
    """The search method, whose other defaults `entrannas show --method` prints."""
    nodes: Annotated[int, Between(1, 20)] = _row(NETWORK, "nodes")
    """Intermediate nodes of a cell."""
    cells: Annotated[int, Between(3, 200)] = _row(MAIN, "cells")
    """Cells of the super-net."""
    channels: Channels = _row(MAIN, "channels")
    """Channels of the first cells of the super-net."""
    engines: tuple[Annotated[int, Between(0, 199)], ...] = setting(EXPERIMENTS, _engines, "all", "5,7|all")
    """Cells that may be Engine-cells, counted from 0."""
    move_every: Annotated[int, Between(0, 10**9)] = _row(EXPERIMENTS, "move_every")
    """Steps after which other cells, one of each kind, drawn from --engines, become the Engine-cells; 0 for all of
    --engines, always."""
    tau: tuple[_Temperature, _Temperature] = _row(EXPERIMENTS, "tau", "START END")
    """Temperature of the first and of the last epoch, linear in between."""
    weights_share: Share = setting(EXPERIMENTS, 0.5)
    """Share of the training images of each class that the weights learn from."""
    alpha_share: Share = setting(EXPERIMENTS, 0.5)
    """Share of the training images of each class that alpha learns from, none of which the weights see."""
    epochs: Epochs = _row(MAIN, "epochs")
    """Epochs over the images of the weights."""
    warmup_epochs: SomeEpochs = setting(LEARNING, _warmup, "0; 2/5 of the epochs for entrannas-dst, 3/10 for pc-darts")
    """Epochs at the start in which alpha and beta are not trained."""
    settling_epochs: SomeEpochs = setting(EXPERIMENTS, _settling, "0; 1/4 of the epochs for entrannas in nasbench201")
    """Epochs at the end in which alpha and beta are not trained."""
    closing_epochs: SomeEpochs = setting(EXPERIMENTS, _closing, "1/8 of the epochs for entrannas and entrannas-dst")
    """Epochs at the end of discretisation: alpha and beta are not trained, and the Engine-cells are brought to the
    derived architecture."""
    batch_size: BatchSize = _row(MAIN, "batch_size")
    """Images of a weights step, and of an alpha step."""
    weights_lr: Rate = setting(LEARNING, _rate, "0.1 at batch 256, in proportion to it")
    """Learning rate of SGD for the weights, which falls along a cosine."""
    weights_lr_end: Weight = setting(EXPERIMENTS, 0.001)
    """Final learning rate of the weights."""
    alpha_lr: Rate | None = setting(LEARNING, None, "such that alpha can go as far as in the method's paper")
    """Learning rate of Adam for alpha, in the first epoch in which alpha learns; the method tells whether it falls."""
    beta_lr: Rate = setting(EXPERIMENTS, 0.1)
    """Learning rate of Adam for the thresholds of a method that has them, which falls to 0 along a cosine."""
    target_connections: Annotated[float, Between(0, 1000)] = setting(LEARNING, _target, "2 for entrannas-dst, else 0")
    """Connections a node, on average over a cell, towards which the thresholds are pulled; 0 for no pull."""
    max_parameters: Count | None = setting(MAIN, None, metavar="COUNT")
    """Maximum number of parameters of the target network, enforced at every step: 100k, 2.5M, ..."""
    max_multiply_adds: Count | None = setting(MAIN, None, metavar="COUNT")
    """Maximum number of multiply-adds of the target network for one image, enforced at every step."""
    max_latency_ms: Annotated[float, Between(0.001, 1e6)] | None = setting(MAIN, None)
    """Maximum latency of the target network in milliseconds, by --latency-table, enforced at every step."""
    latency_table: str | None = setting(NETWORK, None, metavar="FILE")
    """A table of latencies, which `entrannas latency --table` makes on the machine that is meant."""
    target_cells: Annotated[int, Between(3, 200)] | None = setting(NETWORK, None, "as in a training")
    """Cells of the target network whose cost is counted."""
    target_channels: Channels | None = setting(NETWORK, None, "as in a training")
    """Channels of the target network whose cost is counted."""
    cost_weight: Weight = setting(EXPERIMENTS, 0.1)
    """Weight in alpha's loss of the part by which the expected cost is above a limit."""
    derive: Literal["step", "epoch", "end"] = setting(EXPERIMENTS, "step")
    """When the Transit-cells get the architecture of the moment: after every step, after every epoch, or only at the
    end."""
    trials: Annotated[int, Between(0, 10_000)] = _row(EXPERIMENTS, "trials")
    """Neighbours of the derived architecture, with one operation exchanged, that compete with it at the end, each
    trained for a short time; 0 for none."""
    trial_cells: Cells = setting(EXPERIMENTS, _trial_cells, "three times --cells, at most those of a training")
    """Cells of the networks of the trials."""
    trial_steps: Annotated[int, Between(1, 10**6)] = setting(EXPERIMENTS, 150)
    """Training steps of a trial; the best quarter is trained anew, twice as long."""
    flip: bool = _row(DATA, "flip")
    """Mirror half of the images."""
    cutout: Fraction = setting(DATA, 0.0)
    """Side of the square that is cut out of each image, as a fraction of the image's side."""
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
        alpha_travel=rows(vars(config))["alpha_travel"],
        alpha_schedule=method.alpha_schedule,
        beta_lr=config.beta_lr,
        tau=config.tau,
        connections=len(space.edges) * len(space.operations) / space.nodes,
        target_connections=config.target_connections,
    )


def space_of(config: SearchConfig) -> SearchSpace:
    """Return the space."""
    return search_space(config.space, config.nodes)
