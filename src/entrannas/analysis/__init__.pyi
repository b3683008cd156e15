from .gap import Consistency, consistency
from .judging import BUDGETS, Budget, benchmark
from .nasbench201 import DATASETS
from .ranking import rank

__all__ = ["BUDGETS", "DATASETS", "Budget", "Consistency", "benchmark", "consistency", "rank"]
