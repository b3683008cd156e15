from .configuration import TrainConfig, target_size
from .loop import train
from .testing import TrainResult, evaluate
from .trainer import Trainer

__all__ = ["TrainConfig", "TrainResult", "Trainer", "evaluate", "target_size", "train"]
