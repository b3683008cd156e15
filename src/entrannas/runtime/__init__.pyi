from .device import Device, Precision, start
from .learning import Tally, accuracy, cosine, descend, diverged, gradients_by, set_lr
from .memory import LEARN_WITH_LESS, MEASURE_WITH_LESS, enough_memory, peak_memory, shortage
from .replay import Replay
from .seeds import generator, seed_of

__all__ = [
    "LEARN_WITH_LESS",
    "MEASURE_WITH_LESS",
    "Device",
    "Precision",
    "Replay",
    "Tally",
    "accuracy",
    "cosine",
    "descend",
    "diverged",
    "enough_memory",
    "generator",
    "gradients_by",
    "peak_memory",
    "seed_of",
    "set_lr",
    "shortage",
    "start",
]
