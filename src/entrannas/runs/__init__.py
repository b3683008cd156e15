"""What a search or a training leaves and tells: its settings, directory, checkpoints, events, progress, result."""

from entrannas.runs.checkpoints import (
    load_module_state,
    load_optimizer_state,
    load_tensors,
    module_state,
    optimizer_state,
)
from entrannas.runs.configuration import (
    DATA,
    GROUPS,
    LEARNING,
    NETWORK,
    RUN,
    Configuration,
    Count,
    Follows,
    Fraction,
    NotNegative,
    Number,
    Positive,
    setting,
    shown,
    told_apart,
)
from entrannas.runs.display import progress
from entrannas.runs.events import EpochEnded, Event, Events, Listener, Message, StageBegan, StageEnded, Stepped, TrialEnded
from entrannas.runs.run import CHECKPOINT, Run
from entrannas.runs.task import Result, Task

__all__ = [
    "CHECKPOINT",
    "DATA",
    "GROUPS",
    "LEARNING",
    "NETWORK",
    "RUN",
    "Configuration",
    "Count",
    "EpochEnded",
    "Event",
    "Events",
    "Follows",
    "Fraction",
    "Listener",
    "Message",
    "NotNegative",
    "Number",
    "Positive",
    "Result",
    "Run",
    "StageBegan",
    "StageEnded",
    "Stepped",
    "Task",
    "TrialEnded",
    "load_module_state",
    "load_optimizer_state",
    "load_tensors",
    "module_state",
    "optimizer_state",
    "progress",
    "setting",
    "shown",
    "told_apart",
]
