"""What a search spends its time in: one function an operation, which chooses by itself how it is computed."""

from entrannas.kernels.convolution import convolve
from entrannas.kernels.depthwise import relu_depthwise
from entrannas.kernels.mixture import weighted_sums
from entrannas.kernels.norm import batch_norm, batch_norm_across
from entrannas.kernels.pooling import average_pool, max_pool

__all__ = [
    "average_pool",
    "batch_norm",
    "batch_norm_across",
    "convolve",
    "max_pool",
    "relu_depthwise",
    "weighted_sums",
]
