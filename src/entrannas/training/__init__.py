"""The training of a target network, and its test."""

from entrannas.training.configuration import TrainConfig, target_size
from entrannas.training.loop import train
from entrannas.training.testing import TrainResult, evaluate
from entrannas.training.trainer import Trainer

__all__ = ["TrainConfig", "TrainResult", "Trainer", "evaluate", "target_size", "train"]
