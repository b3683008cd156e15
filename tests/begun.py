"""Runs that have begun, without any images or networks."""

from pathlib import Path

from entrannas.data.summary import DataSummary, Normalisation, PixelRules
from entrannas.runs.configuration import LEARNING, Configuration, setting
from entrannas.runs.records import About
from entrannas.runs.run import Run


class Settings(Configuration):
    """Settings of a run in tests; `lr` is one of the rates that may be changed when a run is taken up again."""

    epochs: int = setting(LEARNING, 3)
    """Epochs."""
    batch_size: int = setting(LEARNING, 8)
    """Images of a step."""
    lr: float = setting(LEARNING, 0.1)
    """Learning rate."""


SUMMARY = DataSummary(
    images=10,
    shape=(1, 8, 8),
    classes=("a", "b"),
    pixels=PixelRules(),
    normalisation=Normalisation((0.5,), (0.1,)),
)


def about(command: str = "search", data: DataSummary = SUMMARY) -> About:
    """Tell what a run is."""
    return About(command=command, device="cpu", threads=1, versions={"entrannas": "1"}, data=data)


def begun(path: Path, command: str = "search", files: dict[str, bytes] | None = None, **settings: object) -> Run:
    """Claim a directory, begin a run in it, and let it be."""
    config = Settings.resolve(settings)
    with Run.claim(path, command, config, resume=False):
        run = Run(path)
        run.begin(about(command), config, files or {})
    return run
