from .configuration import TrainConfig, target_size
from .description import Description
from .loop import train
from .testing import TrainResult, evaluate
from .trained import Features, TrainedNetwork, load
from .trainer import Trainer

__all__ = [
    "Description",
    "Features",
    "TrainConfig",
    "TrainResult",
    "TrainedNetwork",
    "Trainer",
    "evaluate",
    "load",
    "target_size",
    "train",
]
