"""A run directory: what a search or a training leaves, and what it needs to go on after it was killed.

    config.json             the resolved configuration
    run.json                the command, versions, device, and what was learned of the data
    metrics.jsonl           a line an epoch
    genotype.json           rewritten whole at every epoch of a search
    trials.json             the trials of a search that have ended, rewritten whole at every one
    checkpoint.safetensors  everything that the next epoch needs, rewritten whole at every epoch
    result.json             once the run has ended

Tensors are safetensors and everything else is JSON, so that nothing that is loaded can run code. Files are written
whole or not at all.
"""

import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import save
from torch import Tensor

from entrannas.data import DataSummary
from entrannas.errors import InputError, explain
from entrannas.files import unwritable, write_whole
from entrannas.runs.checkpoints import load_tensors

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Run:
    """A run directory."""

    path: Path

    @classmethod
    def claim(cls, path: str | Path | None, command: str, data: str, config: Mapping[str, Any], resume: bool) -> "Run":
        """Find the directory for a run of `command`, search or train; nothing is written yet.

        Args:
            path: the directory; None for a new one in `runs/`.
            command: search or train.
            data: names a new directory.
            config: the resolved configuration.
            resume: the run is there already and is to be gone on with.

        Raises:
            InputError: the directory holds something else than what is to be resumed.
        """
        if path is None:
            name = f"{command}-{Path(data).name}-{time.strftime('%Y%m%d-%H%M%S')}"
            path = Path("runs") / name
        path = Path(path)
        if resume:
            run = cls.open(path, command)
            run._check_config(config)
            return run
        if path.exists() and not path.is_dir():
            raise InputError(f"{path} is a file: choose another --out")
        if path.is_dir() and any(path.iterdir()):
            what = "holds another run" if (path / "config.json").exists() else "is not empty"
            raise InputError(f"{path} {what}: choose another --out, or go on with a run by --resume")
        return cls(path)

    @classmethod
    def find(cls, path: str | Path) -> "Run | None":
        """Return the run in a directory, if there is one."""
        return cls(Path(path)) if os.path.isfile(os.path.join(path, "config.json")) else None

    @classmethod
    def open(cls, path: Path, command: str | None = None) -> "Run":
        """Open a run, of `command` if given.

        Raises:
            InputError: no run, or another command's.
        """
        run = cls.find(path)
        if run is None:
            raise InputError(f"no run in {path}")
        if command not in (None, run.command):
            advice = f": train it first, entrannas train {path}" if run.command == "search" else ""
            raise InputError(f"{path} is the run of a {run.command}, not of a {command}{advice}")
        return run

    @property
    def command(self) -> str:
        """The command that made the run: search or train."""
        return str(self.read_json("run.json").get("command"))

    def _check_config(self, config: Mapping[str, Any]) -> None:
        """Refuse another configuration than the run's, naming the first setting that differs."""
        there = self.read_json("config.json")
        here = json.loads(json.dumps(config))
        for name in sorted(there.keys() | here.keys()):
            if there.get(name) != here.get(name):
                raise InputError(
                    f"{self.path} was started with {name} {json.dumps(there.get(name))}, "
                    f"not {json.dumps(here.get(name))}: resume it as it was, or start anew with another --out"
                )

    def begin(self, command: str, config: Mapping[str, Any], device: torch.device, data: DataSummary) -> None:
        """Make the directory and write config.json and run.json into it.

        Raises:
            InputError: the run is resumed with data that have changed.
        """
        if (self.path / "run.json").exists():
            before = self.data()
            for name in DataSummary.model_fields:
                if getattr(before, name) != getattr(data, name):
                    raise InputError(
                        f"the data have changed since {self.path} was started ({name}): start anew with another --out"
                    )
        about = {
            "command": command,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
            "threads": torch.get_num_threads(),
            "versions": {name: version(name) for name in ("entrannas", "torch", "lightning-fabric")}
            | {"python": platform.python_version()},
            "data": data.model_dump(mode="json"),
        }
        self.write_json("run.json", about)
        self.write_json("config.json", config)  # last: what has it is a run

    def data(self) -> DataSummary:
        """Return what the run has learned of its data."""
        try:
            return DataSummary.model_validate(self.read_json("run.json").get("data"))
        except ValidationError as error:
            raise InputError(f"{self.path / 'run.json'} is damaged: {explain(error)}") from None

    def check_classes(self, classes: tuple[str, ...], data: str | None) -> None:
        """Refuse images of other classes than the run's.

        Raises:
            InputError: they differ.
        """
        learned = self.data().classes
        if classes != learned:
            raise InputError(
                f"{data} has other classes than the network was trained on: {', '.join(classes)} "
                f"instead of {', '.join(learned)}"
            )

    def read_json(self, name: str) -> dict[str, Any]:
        """Read one of the run's JSON files.

        Raises:
            InputError: it is missing or damaged.
        """
        path = self.path / name
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(value, dict):
                raise ValueError("expected an object")
            return value
        except FileNotFoundError:
            raise InputError(f"{path} is missing: the run is not complete") from None
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {path}: {error}") from None

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file whole."""
        self.write(name, (json.dumps(value, indent=2) + "\n").encode())

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole, see `write_whole`."""
        write_whole(self.path / name, content)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of metrics.jsonl; a last line that a kill cut short is left out.

        Raises:
            InputError: another line is damaged.
        """
        path = self.path / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
        try:
            return [json.loads(line) for line in lines]
        except ValueError as error:
            raise InputError(f"{path} is damaged: {error}") from None

    def log(self, metrics: Mapping[str, Any]) -> None:
        """Append a line to metrics.jsonl."""
        path = self.path / "metrics.jsonl"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(metrics) + "\n")
        except OSError as error:
            raise unwritable(path, error) from None

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor], notes: dict[str, str] | None = None) -> None:
        """Write tensors, with notes, as a safetensors file."""
        self.write(name, save({key: tensor.contiguous() for key, tensor in tensors.items()}, notes))

    def save_checkpoint(self, epoch: int, state: Mapping[str, Tensor]) -> None:
        """Write the checkpoint of the epochs before `epoch`."""
        self.save_tensors(CHECKPOINT, state, {"epoch": str(epoch)})

    def load_checkpoint(self) -> tuple[int, dict[str, Tensor]]:
        """Return the epoch to go on with and the state, (0, {}) where no epoch has ended; forget later metrics.

        Raises:
            InputError: the checkpoint is damaged.
        """
        epoch, state = 0, dict[str, Tensor]()
        if (self.path / CHECKPOINT).exists():
            notes, state = load_tensors(self.path / CHECKPOINT)
            if not notes.get("epoch", "").isdecimal():
                raise InputError(f"{self.path / CHECKPOINT} is no checkpoint of a run: it names no epoch")
            epoch = int(notes["epoch"])
        kept = [line for line in self.metrics() if line["epoch"] < epoch]
        self.write("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept).encode())
        return epoch, state
