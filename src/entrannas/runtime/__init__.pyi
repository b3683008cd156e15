from .device import Device, Precision, place, start
from .launchers import launched
from .learning import Tally, accuracy, cosine, descend, diverged, gradients_by, set_lr
from .memory import (
    LEARN_WITH_LESS,
    MEASURE_WITH_LESS,
    enough_memory,
    peak_memory,
    room_on_cpu,
    shortage,
    told_size,
)
from .processes import (
    Part,
    as_one,
    check_divisible,
    check_same,
    each_in_turn,
    gathered,
    here,
    lost_another,
    mean_of,
    sum_of,
    wait_for_all,
)
from .replay import Replay
from .seeds import generator, seed_of
from .server import serve

__all__ = [
    "LEARN_WITH_LESS",
    "MEASURE_WITH_LESS",
    "Device",
    "Part",
    "Precision",
    "Replay",
    "Tally",
    "accuracy",
    "as_one",
    "check_divisible",
    "check_same",
    "cosine",
    "descend",
    "diverged",
    "each_in_turn",
    "enough_memory",
    "gathered",
    "generator",
    "gradients_by",
    "here",
    "launched",
    "lost_another",
    "mean_of",
    "peak_memory",
    "place",
    "room_on_cpu",
    "seed_of",
    "serve",
    "set_lr",
    "shortage",
    "start",
    "sum_of",
    "told_size",
    "wait_for_all",
]
