from .configuration import TrainConfig, target_size
from .description import Description
from .evaluation import Evaluation, MixedUp, OfClass, Wrong, evaluate
from .loop import train
from .testing import TrainResult
from .trained import CONFIG, MODEL, Features, Picture, Prediction, TrainedNetwork, load
from .trainer import Trainer

__all__ = [
    "CONFIG",
    "MODEL",
    "Description",
    "Evaluation",
    "Features",
    "MixedUp",
    "OfClass",
    "Picture",
    "Prediction",
    "TrainConfig",
    "TrainResult",
    "TrainedNetwork",
    "Trainer",
    "Wrong",
    "evaluate",
    "load",
    "target_size",
    "train",
]
