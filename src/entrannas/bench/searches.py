"""Searches that are to be judged, each in a process of its own, whose memory is measured; what has ended is kept."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from threading import Thread

from pydantic import ConfigDict

from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.learning.records import SearchEpoch
from entrannas.learning.search_config import SearchConfig
from entrannas.runs.claim import Claim
from entrannas.runs.events import Listener
from entrannas.runs.genotypes import load_genotype
from entrannas.runs.records import Record
from entrannas.runs.run import RESULT, Run

_PEAK = "peak_memory.json"


class _Result(Record):
    """What is read of a search's `result.json`."""

    model_config = ConfigDict(extra="allow")

    seconds: float


class _Peak(Record):
    """What `peak_memory.json` holds."""

    peak_memory_bytes: int


@dataclass(frozen=True)
class Ended:
    """A search that has ended.

    Attributes:
        method: the name of its method.
        seed: its seed.
        genotype: what it found: what it derived, or what won the trials.
        history: what it derived after each epoch; empty for a method that learns nothing.
        epochs: how many it was to take.
        trials: whether it has held any.
        seconds: how long it took, with the time before an interruption.
        peak_memory_bytes: the most that the process which ended it has taken, see `memory.peak_memory`.
    """

    method: str
    seed: int
    genotype: Genotype
    history: tuple[Genotype, ...]
    epochs: int
    trials: bool
    seconds: float
    peak_memory_bytes: int

    @classmethod
    def read(cls, run: Run) -> "Ended | None":
        """Read a run directory of the benchmark; None if its search has not ended."""
        if not all((run.path / name).exists() for name in (RESULT, _PEAK)):
            return None
        config = run.config(SearchConfig)
        return cls(
            method=config.method,
            seed=config.seed,
            genotype=run.genotype(),
            history=tuple(load_genotype(line.genotype) for line in run.metrics(SearchEpoch)),
            epochs=config.epochs,
            trials=config.trials > 0,
            seconds=run.read(RESULT, _Result).seconds,
            peak_memory_bytes=run.read(_PEAK, _Peak).peak_memory_bytes,
        )


def check_resumed(out: Path, configs: Sequence[SearchConfig]) -> None:
    """Check that searches in a directory are those of some settings, as far as they have begun.

    Raises:
        InputError: one of them is another search.
    """
    for config in configs:
        run = _run(out, config)
        if Run.find(run.path) is None:
            run.check_free()
        elif Run.open(run.path, "search").check_settings(config):
            raise InputError(f"{run.path} was started with another learning rate: resume it as it was")


def search_apart(out: Path, config: SearchConfig, listeners: Callable[[], Sequence[Listener]]) -> Ended:
    """Take a search to its end in a process of its own, unless it is there.

    Args:
        out: the directory of all searches.
        config: the settings of this one.
        listeners: makes those who are told of what happens, in its process.

    Raises:
        InputError: it cannot be begun, or was killed.
    """
    run = _run(out, config)
    ended = Ended.read(run)
    if ended is None:
        others = set(active_children())
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
            try:
                ended = process.submit(_measured, run, config, listeners).result()
            except BrokenProcessPool:
                raise InputError(
                    f"the search in {run.path} was killed, perhaps for lack of memory: see to it, then --resume"
                ) from None
            except BaseException:
                for search in set(active_children()) - others:
                    search.terminate()  # else the pool would wait for its end
                raise
    return ended


def _run(out: Path, config: SearchConfig) -> Run:
    """Return where the run of a search is."""
    return Run(out / f"{config.method}-{config.seed}")


def _measured(run: Run, config: SearchConfig, listeners: Callable[[], Sequence[Listener]]) -> Ended:
    """Search, in this process alone, and keep its peak memory beside the result. It ends where its parent is killed."""
    import torch

    from entrannas.runs.memory import peak_memory

    Thread(target=_end_with_parent, daemon=True).start()
    from entrannas.learning.search_loop import search

    search(config, run.path, resume=Run.find(run.path) is not None, listeners=listeners())
    device = torch.device("cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu")
    with Claim(run.path):
        run.write_json(_PEAK, {"peak_memory_bytes": peak_memory(device)})
    ended = Ended.read(run)
    assert ended is not None
    return ended


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # files are written whole, so this may happen at any time
