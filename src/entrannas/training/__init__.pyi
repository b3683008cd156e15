from .configuration import TrainConfig, target_size
from .description import Description
from .evaluation import Evaluation, MixedUp, OfClass, Wrong, evaluate
from .loop import train, train_epoch
from .testing import TrainResult
from .trained import CONFIG, MODEL, Features, Picture, Prediction, TrainedNetwork, load
from .trainer import Trainer
from .tuning import take_over

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
    "take_over",
    "target_size",
    "train",
    "train_epoch",
]
