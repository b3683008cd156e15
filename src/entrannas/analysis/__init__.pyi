from .gap import Consistency, consistency
from .judging import Judge, benchmark
from .nasbench201 import DATASETS, Budget201, NASBench201
from .nasbench301 import Budget301, NASBench301
from .ranking import rank
from .timing import Latency, latency

__all__ = [
    "DATASETS",
    "Budget201",
    "Budget301",
    "Consistency",
    "Judge",
    "Latency",
    "NASBench201",
    "NASBench301",
    "benchmark",
    "consistency",
    "latency",
    "rank",
]
