"""Prediction on files: any number of them, decoded ahead by worker processes, classified in batches, told in order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from entrannas.data.images import decode_files
from entrannas.learning.trained import Prediction, TrainedNetwork
from entrannas.runs.events import Events, Listener, Stepped


@dataclass(frozen=True)
class Classified:
    """What a file shows: classes with their probabilities, the best first."""

    path: Path
    predictions: Prediction


@dataclass(frozen=True)
class Unreadable:
    """A file that holds no image that can be read, and why."""

    path: Path
    why: str


def classify_files(
    trained: TrainedNetwork,
    paths: Sequence[Path],
    topk: int = 5,
    batch_size: int = 64,
    listeners: Sequence[Listener] = (),
) -> Iterator[Classified | Unreadable]:
    """Classify files in order; no more of them are held than a few batches.

    Args:
        trained: the network.
        paths: the files.
        topk: how many classes are told of each.
        batch_size: images of a pass.
        listeners: are told how far it is, where it takes more than one batch.

    Raises:
        InputError: memory does not suffice.
    """
    events = Events(listeners if len(paths) > batch_size else ())
    description, first = trained.description, 0
    with events.stage("predict", range(len(paths)), 1):
        for files, piece in decode_files(paths, description.shape, description.pixels, batch_size):
            logits = trained.logits(description.normalisation(piece.pixels.to(trained.device)))
            for number, (path, prediction) in enumerate(zip(files, trained.ranked(logits, topk), strict=True), first):
                fault = piece.faults.get(number)
                yield Classified(path, prediction) if fault is None else Unreadable(path, fault)
                events.say(Stepped())
            first += len(files)
