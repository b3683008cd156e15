from .conditions import applies
from .depthwise import ReluDepthwise
from .mixture import WeightedSums
from .norm import BatchNorm
from .pooling import AveragePool, MaxPool

__all__ = ["AveragePool", "BatchNorm", "MaxPool", "ReluDepthwise", "WeightedSums", "applies"]
