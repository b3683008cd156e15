"""What would make a run shorter, and by how much."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from entrannas.core.counting import target_cost
from entrannas.core.genotype import Genotype
from entrannas.core.size import Size
from entrannas.data.training_data import TrainingData
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.train_config import TrainConfig

_SHORT = 60.0  # seconds, below which a run need not be shorter
_TOLD = 3
_LEFT = 2000  # images, fewer than which none is advised to learn from
_LARGE = 96  # pixels, from which on the stem for large images is meant
_SMALL = 16  # pixels, below which no image is advised to be brought
_NARROW = 8  # channels, below which no network is advised to be brought
_HALVED = 0.6  # of the seconds, that half of the channels leave
_BRIEF = 10  # epochs, below which none is advised


@dataclass(frozen=True)
class Shorter:
    """A way to make a run shorter.

    Attributes:
        flags: those of the command.
        factor: what is left of the seconds, about.
        why: what the factor goes by.
    """

    flags: str
    factor: float
    why: str


def ways_to_shorten(
    config: SearchConfig | TrainConfig,
    data: TrainingData,
    genotype: Genotype,
    seconds: float,
    steps: float,
    trials: float,
) -> tuple[Shorter, ...]:
    """Return what saves most, at most three ways; none for a run below a minute.

    Args:
        config: the settings of the run.
        data: its images.
        genotype: one of the architectures whose network grows as what learns does.
        seconds: how long the run takes.
        steps: the part of it that steps take, but for those of trials.
        trials: the part of it that trials take.
    """
    if seconds < _SHORT:
        return ()
    found = [
        Shorter(flags, 1 - ((1 - left) * steps + saved * trials) / seconds, why)
        for flags, left, saved, why in _ways(config, data, genotype)
    ]
    useful = sorted((way for way in found if way.factor < 0.9), key=lambda way: way.factor)
    return tuple(useful[:_TOLD])


def _ways(
    config: SearchConfig | TrainConfig, data: TrainingData, genotype: Genotype
) -> Iterator[tuple[str, float, float, str]]:
    """Yield flags, what they leave of the time of steps, what they save of that of trials, and why."""
    images, (_, height, width) = len(data.images), data.images.shape

    part = 4 if images >= 4 * 5000 else 2
    if images // part >= _LEFT:
        yield f"--subset {images // part}", 1 / part, 0.0, "fewer steps an epoch"
    if config.epochs // 2 >= _BRIEF:
        yield f"--epochs {config.epochs // 2}", 0.5, 0.0, "fewer epochs"
    if config.channels // 2 >= _NARROW:
        yield f"--channels {config.channels // 2}", _HALVED, 1 - _HALVED, "as measured on CPUs"
    side = min(height, width)
    if side >= _LARGE and config.stem == "cifar":
        size = Size(config.cells, config.channels, len(data.classes), data.images.shape[0], config.stem)
        now, then = (target_cost(genotype, replace(size, stem=stem), (height, width)) for stem in ("cifar", "imagenet"))
        left = then.multiply_adds / now.multiply_adds
        yield "--stem imagenet", left, 1 - left, "by multiply-adds; it is meant for images of that size"
    elif side // 2 >= _SMALL:
        yield f"--image-size {side // 2}", 0.25, 0.75, "a quarter of the pixels"
    if config.device != "cpu" and (gpus := torch.cuda.device_count()) > 1:
        yield f"--devices {gpus}", 1 / gpus, 1 - 1 / gpus, "at best"
    if isinstance(config, SearchConfig) and config.trials:
        yield "--trials 0", 1.0, 1.0, "no trials"
