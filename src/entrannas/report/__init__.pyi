from .beside import BENCH, CONSISTENCY, EVALUATION, RANK, WORST
from .watching import watch
from .writer import REPORT, Page, write_bench_report, write_comparison, write_report

__all__ = [
    "BENCH",
    "CONSISTENCY",
    "EVALUATION",
    "RANK",
    "REPORT",
    "WORST",
    "Page",
    "watch",
    "write_bench_report",
    "write_comparison",
    "write_report",
]
