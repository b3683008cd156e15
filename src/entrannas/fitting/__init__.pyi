from .fitting import FitResult, fit
from .planning import Facts, Plan, SearchStage, TooLittleTime, TrainStage, planned
from .times import seconds_in, told

__all__ = [
    "Facts",
    "FitResult",
    "Plan",
    "SearchStage",
    "TooLittleTime",
    "TrainStage",
    "fit",
    "planned",
    "seconds_in",
    "told",
]
