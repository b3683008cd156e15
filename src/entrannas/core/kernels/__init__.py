"""The operations in which a search spends its time: one function each, which chooses its implementation."""

from entrannas.core.kernels.convolution import convolve
from entrannas.core.kernels.depthwise import relu_depthwise
from entrannas.core.kernels.mixture import weighted_sums
from entrannas.core.kernels.norm import batch_norm, batch_norm_across
from entrannas.core.kernels.pooling import average_pool, max_pool

__all__ = [
    "average_pool",
    "batch_norm",
    "batch_norm_across",
    "convolve",
    "max_pool",
    "relu_depthwise",
    "weighted_sums",
]
