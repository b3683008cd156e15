"""A run directory: what a search or a training leaves, and what it needs to go on after it was killed.

    run.json                the command, versions, device, and what was learned of the data
    config.json             the resolved configuration; what has it is a run
    metrics.jsonl           a line an epoch, appended
    images.safetensors      which images are learned from, and which are held out
    genotype.json           rewritten at every epoch of a search
    alphas.safetensors      the architecture variables at every epoch of a search
    latencies.json          the table by which the latency of what a search derives is limited
    trials.json             the trials of a search that have ended, rewritten at every one
    checkpoint.safetensors  everything that the next epoch needs, rewritten at every epoch
    loggers.json            the ids of what loggers have logged, if there are any
    result.json             once the run has ended

Tensors are safetensors and everything else is JSON, so that nothing that is loaded can run code. Files are written
whole or not at all. Who writes holds a `Claim` on the directory; who reads needs none, and may do so while the run goes
on.
"""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter

from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.data.summary import DataSummary
from entrannas.files.whole import append_line, read_whole, to_json, write_whole
from entrannas.runs.claim import Claim, check_free, claimed
from entrannas.runs.configuration import Configuration
from entrannas.runs.records import About, Change, Epoch, Record, damaged, genotype_in, parse

if TYPE_CHECKING:
    from torch import Tensor

    from entrannas.data.seen import Seen

ABOUT = "run.json"
CONFIG = "config.json"
METRICS = "metrics.jsonl"
GENOTYPE = "genotype.json"
ALPHAS = "alphas.safetensors"
TRIALS = "trials.json"
LATENCIES = "latencies.json"
RESULT = "result.json"
IMAGES = "images.safetensors"
CHECKPOINT = "checkpoint.safetensors"

_ELSEWHERE = "data", "latency_table"  # settings that name what may have moved
RATES = "weights_lr", "weights_lr_end", "alpha_lr", "beta_lr", "lr"
"""The settings that may be others when a run is taken up again."""

EPOCHS = "epochs"
"""One that may be so of a training, whose rate alone hangs on it; in a search much more does."""

_MOST = 2**26  # bytes
_BEFORE_CONFIG = IMAGES, GENOTYPE, LATENCIES
"""What a run may begin with, beside `run.json` before and `config.json` behind."""

Settings = TypeVar("Settings", bound=Configuration)
Read = TypeVar("Read", bound=Record)
Line = TypeVar("Line", bound=Epoch)


@dataclass(frozen=True)
class Run:
    """A run directory.

    Attributes:
        path: where it is.
        writes: whether this process writes: of several, the first alone does.
    """

    path: Path
    writes: bool = True

    @classmethod
    def claim(cls, path: str | Path | None, command: str, config: Configuration, resume: bool) -> Claim:
        """Claim the directory for a run.

        Args:
            path: the directory; None for a new one in `runs/`.
            command: search or train.
            config: the settings.
            resume: the run is there already and is to be resumed.

        Raises:
            InputError: the directory is in use, or holds something else than what is to be resumed.
        """

        def check(path: Path) -> None:
            cls.open(path, command, resume=True).check_settings(config)

        return claimed(path, f"{command}-{Path(config.data).name}", resume, check, _stopped_early)

    @classmethod
    def find(cls, path: str | Path) -> "Run | None":
        """Return the run in a directory, if there is one that has begun."""
        folder = os.path.expanduser(path)
        return cls(Path(folder)) if os.path.lexists(os.path.join(folder, CONFIG)) else None

    @classmethod
    def open(cls, path: Path, command: str | None = None, resume: bool = False) -> "Run":
        """Open a run, of `command` if given, to read it or to go on with it.

        Raises:
            InputError: no run, or another command's.
        """
        run = cls.find(path)
        if run is None:
            if os.path.lexists(path / ABOUT):
                raise InputError(f"no run in {path}, which lacks {CONFIG}: start one without --resume")
            raise InputError(f"no run in {path}" + (": start one without --resume" if resume else ""))
        if command not in (None, run.command):
            raise InputError(f"{path} is the run of a {run.command}, not of a {command}{run._use(resume)}")
        return run

    def _use(self, resume: bool) -> str:
        """Say what can be done with the run instead of what was wanted."""
        if resume:
            arguments = "search" if self.command == "search" else f"{self.command} GENOTYPE"
            return f": go on with it by entrannas {arguments} --out {self.path} --resume, or choose another --out"
        return f": train it first, entrannas train {self.path}" if self.command == "search" else ""

    def check_free(self) -> None:
        """Refuse a directory that holds anything but what a start leaves that was stopped before the run began.

        Raises:
            InputError: the directory holds something else, or is a file.
        """
        check_free(self.path, _stopped_early)

    @property
    def command(self) -> str:
        """The command that made the run: search or train."""
        return self.about().command

    def check_settings(self, config: Configuration) -> dict[str, tuple[float | None, float | None]]:
        """Compare settings with the run's, and return those that may differ, and do: the run's, and the new one.

        The data may be elsewhere now: that its images are the same is known by their digests. Of a table of latencies
        the run has its own copy.

        Raises:
            InputError: another setting differs, or one does of a run that has ended.
        """
        there, here = (one.model_dump(mode="json") for one in (self.config(type(config)), config))
        differ = [name for name in here if there[name] != here[name] and name not in _ELSEWHERE]
        for name in differ:
            may_differ = name in RATES or (name == EPOCHS and self.command == "train")
            if not may_differ or (self.path / RESULT).exists():
                raise InputError(
                    f"{self.path} was started with {name} {json.dumps(there[name])}, "
                    f"not {json.dumps(here[name])}: resume it as it was, or start anew with another --out"
                )
        return {name: (there[name], here[name]) for name in differ}

    def begin(self, about: About, config: Configuration, files: Mapping[str, bytes]) -> None:
        """Write what the run begins with; `config.json` comes last, since what has it is a run.

        Args:
            about: what the run is.
            config: its settings.
            files: the content of other files, by name.
        """
        if self.writes:
            for name in _BEFORE_CONFIG:  # of a start that was stopped
                (self.path / name).unlink(missing_ok=True)
            self.write_json(ABOUT, about.model_dump(mode="json"))
            for name, content in files.items():
                self.write(name, content)
            self.write_json(CONFIG, config.model_dump(mode="json"))

    def go_on(self, about: About, config: Configuration, epoch: int) -> tuple[Change, ...]:
        """Take the run up again before an epoch; metrics of later ones are forgotten.

        Returns:
            The settings that are others from now on.

        Raises:
            InputError: the data have changed, or settings that may not.
        """
        before = self.about()
        for name in DataSummary.model_fields:
            if getattr(before.data, name) != getattr(about.data, name):
                raise InputError(
                    f"the data have changed since {self.path} was started ({name}): start anew with another --out"
                )
        others = self.check_settings(config)
        changes = tuple(Change(epoch=epoch, setting=name, before=a, after=b) for name, (a, b) in others.items())
        # A change that was noted, but had not come into force when the run was killed, is noted no longer.
        there = self.config(type(config))
        kept = tuple(one for one in before.changes if one.epoch < epoch or getattr(there, one.setting) == one.after)
        if not self.writes:
            return changes
        self.write_json(ABOUT, about.model_copy(update={"changes": kept + changes}).model_dump(mode="json"))
        if there != config:
            self.write_json(CONFIG, config.model_dump(mode="json"))
        self.write(METRICS, b"".join(self._lines()[:epoch]))
        return changes

    def about(self) -> About:
        """Return what `run.json` holds.

        Raises:
            InputError: it is missing or damaged.
        """
        return self.read(ABOUT, About)

    def config(self, kind: type[Settings]) -> Settings:
        """Return the run's settings, of which none may be missing, since defaults are not the same for ever.

        Raises:
            InputError: they are missing, damaged, or none of that kind.
        """
        path = self._needed(CONFIG)
        try:  # not by pydantic's parser, which takes no names of folders that are not UTF-8
            stored = dict(json.loads(read_whole(path, _MOST)))
        except (ValueError, TypeError, RecursionError):
            raise damaged(path, "it is no whole JSON") from None
        for name in kind.model_fields:
            if name not in stored:
                raise damaged(path, f"it lacks {name}")
        return kind.resolve(stored, dict.fromkeys(stored, str(path)))

    def data(self) -> DataSummary:
        """Return what the run has learned of its data."""
        return self.about().data

    def seen(self) -> "Seen":
        """Return which images the run has learned from, and which it has held out."""
        from entrannas.data.seen import Seen

        return Seen.from_tensors(self.load_tensors(IMAGES)[1])

    def genotype(self) -> Genotype:
        """Return the run's architecture.

        Raises:
            InputError: it is not there, or damaged.
        """
        return genotype_in(self._needed(GENOTYPE))

    def metrics(self, kind: type[Line]) -> list[Line]:
        """Return the lines of `metrics.jsonl`.

        Raises:
            InputError: it is missing or damaged.
        """
        path, adapter = self.path / METRICS, TypeAdapter(kind)
        lines = [parse(path, line, adapter) for line in self._lines()]
        if [line.epoch for line in lines] != list(range(len(lines))):
            raise damaged(path, "epochs are missing from it")
        return lines

    def _lines(self) -> list[bytes]:
        """Return the whole lines of `metrics.jsonl`: the last may be half written."""
        path = self.file(METRICS)
        lines = path.read_bytes().splitlines(keepends=True) if path else []
        return [line for line in lines if line.endswith(b"\n")]

    def log(self, metrics: Mapping[str, Any]) -> None:
        """Append a line to `metrics.jsonl`."""
        if self.writes:
            append_line(self.path / METRICS, json.dumps(metrics).encode())

    def read(self, name: str, kind: type[Read]) -> Read:
        """Read one of the run's JSON files.

        Raises:
            InputError: it is missing or damaged.
        """
        path = self._needed(name)
        return parse(path, read_whole(path, _MOST), TypeAdapter(kind))

    def file(self, name: str) -> Path | None:
        """Return the path of a file of the run; None where the run has not written the file yet.

        Raises:
            InputError: it is no regular file, but a link, say, which could lead out of the run.
        """
        path = self.path / name
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from None
        if not stat.S_ISREG(mode):
            raise InputError(f"cannot read {path}: it is no regular file; a link could lead out of the run")
        return path

    def _needed(self, name: str) -> Path:
        path = self.file(name)
        if path is None:
            raise InputError(f"{self.path / name} is missing: the run is not complete")
        return path

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the run whole."""
        if self.writes:
            write_whole(self.path / name, content)

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file of the run, see `write`."""
        self.write(name, to_json(value))

    def save_tensors(self, name: str, tensors: Mapping[str, "Tensor"], notes: dict[str, str] | None = None) -> None:
        """Write tensors, with notes, as a safetensors file, see `write`."""
        from entrannas.runs.checkpoints import tensors_file

        if self.writes:
            self.write(name, tensors_file(tensors, notes))

    def load_tensors(self, name: str) -> tuple[dict[str, str], dict[str, "Tensor"]]:
        """Load a safetensors file of the run: its notes and its tensors, on the CPU.

        Raises:
            InputError: it is missing or damaged.
        """
        from entrannas.runs.checkpoints import load_tensors

        return load_tensors(self._needed(name))

    def save_checkpoint(self, epoch: int, state: Mapping[str, "Tensor"]) -> None:
        """Write the checkpoint of the epochs before `epoch`."""
        self.save_tensors(CHECKPOINT, state, {"epoch": str(epoch)})

    def load_checkpoint(self) -> tuple[int, dict[str, "Tensor"]]:
        """Return the epoch to go on with and the state, (0, {}) where no epoch has ended.

        Raises:
            InputError: the checkpoint is damaged, or the metrics of an epoch before it are lost.
        """
        from entrannas.runs.checkpoints import load_tensors

        path = self.file(CHECKPOINT)
        if path is None:
            return 0, {}
        notes, state = load_tensors(path)
        if not notes.get("epoch", "").isdecimal():
            raise damaged(path, "it names no epoch")
        epoch = int(notes["epoch"])
        if len(self.metrics(Epoch)) < epoch:
            raise damaged(self.path / METRICS, "epochs are missing from it")
        return epoch, state


def _stopped_early(names: set[str]) -> bool:
    """Return whether files are those of a start that was stopped before `config.json` was there."""
    return ABOUT in names and names <= {ABOUT, *_BEFORE_CONFIG}
