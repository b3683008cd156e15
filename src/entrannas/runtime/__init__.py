"""Where and how tensors are computed: device, seeds, CUDA graphs, memory, and the steps of learning."""

from entrannas.runtime.device import Device, Precision, start
from entrannas.runtime.learning import Tally, accuracy, cosine, descend, gradients_by, set_lr
from entrannas.runtime.memory import LEARN_WITH_LESS, MEASURE_WITH_LESS, enough_memory, peak_memory, shortage
from entrannas.runtime.replay import Replay
from entrannas.runtime.seeds import generator, seed_of

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
    "enough_memory",
    "generator",
    "gradients_by",
    "peak_memory",
    "seed_of",
    "set_lr",
    "shortage",
    "start",
]
