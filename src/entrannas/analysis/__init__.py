"""A finished search opened again: its consistency, its ranking, NAS-Bench-201."""

from entrannas.analysis.gap import Consistency, consistency
from entrannas.analysis.judging import BUDGETS, Budget, benchmark
from entrannas.analysis.nasbench201 import DATASETS
from entrannas.analysis.ranking import rank

__all__ = ["BUDGETS", "DATASETS", "Budget", "Consistency", "benchmark", "consistency", "rank"]
