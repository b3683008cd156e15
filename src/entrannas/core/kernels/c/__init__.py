"""Loops in C for what PyTorch is slow at on a CPU, or keeps too much memory for; each has its file, in C and in Python.

They and PyTorch's operations differ by rounding.
"""

from entrannas.core.kernels.c.depthwise import ReluDepthwise
from entrannas.core.kernels.c.library import LARGEST, MISSING, applies, loops, missing
from entrannas.core.kernels.c.mixture import WeightedSums
from entrannas.core.kernels.c.norm import BatchNorm
from entrannas.core.kernels.c.pooling import MaxPool

__all__ = [
    "LARGEST",
    "MISSING",
    "BatchNorm",
    "MaxPool",
    "ReluDepthwise",
    "WeightedSums",
    "applies",
    "loops",
    "missing",
]
