"""What the JSON files of a run hold, read strictly: types are not turned into others, and numbers are finite."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype, read_genotype
from entrannas.data.summary import DataSummary
from entrannas.files.validation import explain
from entrannas.files.whole import read_whole

_MOST = 2**20  # bytes of a genotype; the published ones have some hundred


class Record(BaseModel):
    """What a file holds, or a line of it. Numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Epoch(Record):
    """What every line of `metrics.jsonl` has, among others.

    Attributes:
        epoch: counted from 0.
    """

    model_config = ConfigDict(extra="allow")

    epoch: int


class Change(Record):
    """A setting that was changed when a run was taken up again.

    Attributes:
        epoch: the first one that goes by it.
        setting: its name.
        before: its value up to then.
        after: its value from then on.
    """

    epoch: int
    setting: str
    before: float | None
    after: float | None


class About(Record):
    """What `run.json` holds: what a run is.

    Attributes:
        command: what made it: search or train.
        device: where it was computed last.
        threads: how many of PyTorch's were at it.
        versions: those of the libraries.
        data: what was learned of the data.
        changes: the settings that were changed on the way.
        launch: the name by which torchrun has started its processes, if it has: those that it starts again go on with
            the run.
    """

    command: str
    device: str
    threads: int
    versions: dict[str, str]
    data: DataSummary
    changes: tuple[Change, ...] = ()
    launch: str | None = None


Parsed = TypeVar("Parsed")


def parse(path: Path, content: bytes, kind: TypeAdapter[Parsed]) -> Parsed:
    """Parse JSON of a file as a value of a kind.

    Raises:
        InputError: it is none.
    """
    try:
        return kind.validate_json(content, strict=True)
    except ValidationError as error:
        json_is_broken = error.errors()[0]["type"] == "json_invalid"
        raise damaged(path, "it is no whole JSON" if json_is_broken else explain(error)) from None


def damaged(path: Path, why: str) -> InputError:
    """Say that a file of a run cannot be used, and what to do."""
    return InputError(f"{path} is damaged: {why}; put a copy back, or start anew with another --out")


def genotype_in(path: Path) -> Genotype:
    """Read a file that holds a genotype, in any of the notations.

    Raises:
        FileNotFoundError: there is none.
        InputError: it cannot be read, or is not a valid genotype.
    """
    try:
        text = read_whole(path, _MOST).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"cannot read the genotype {path}: it is no UTF-8 text") from None
    try:
        return read_genotype(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
