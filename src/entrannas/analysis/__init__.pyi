from .clocks import Clock, clock
from .forecasting import Forecast, Phase, forecast
from .frontier import Found, Pareto, pareto
from .gap import Consistency, consistency
from .hardware import Hardware
from .judging import Judge, benchmark
from .measuring import Latency, latency
from .nasbench201 import DATASETS, Budget201, NASBench201
from .nasbench301 import Budget301, NASBench301
from .ranking import rank
from .shortening import Shorter
from .sizing import largest, sized, within
from .timing import Steps, timed

__all__ = [
    "DATASETS",
    "Budget201",
    "Budget301",
    "Clock",
    "Consistency",
    "Forecast",
    "Found",
    "Hardware",
    "Judge",
    "Latency",
    "NASBench201",
    "NASBench301",
    "Pareto",
    "Phase",
    "Shorter",
    "Steps",
    "benchmark",
    "clock",
    "consistency",
    "forecast",
    "largest",
    "latency",
    "pareto",
    "rank",
    "sized",
    "timed",
    "within",
]
