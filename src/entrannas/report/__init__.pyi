from .beside import CONSISTENCY, EVALUATION, RANK, WORST
from .facts import facts_of, state_of
from .page import page_of
from .writer import REPORT, Page, write_report

__all__ = [
    "CONSISTENCY",
    "EVALUATION",
    "RANK",
    "REPORT",
    "WORST",
    "Page",
    "facts_of",
    "page_of",
    "state_of",
    "write_report",
]
