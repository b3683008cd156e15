"""What other commands have left in a run's directory beside its own files: evaluation, consistency, ranking."""

import base64
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter

from entrannas.core.errors import InputError
from entrannas.files.whole import read_whole
from entrannas.runs.records import Record, parse

EVALUATION = "evaluation.json"
CONSISTENCY = "consistency.json"
RANK = "rank.json"
BENCH = "bench.json"
WORST = "worst"
"""A folder with `worst.json`, the images that a network is most wrong about, and small pictures of them by number."""

_MOST = 2**26  # bytes
_PICTURE = 2**17  # bytes of a small picture
_FEW = 100  # classes, more than which leave out the rarer mistakes
_PAIRS = 300
_PNG = b"\x89PNG\r\n\x1a\n"


class _Lenient(Record):
    model_config = ConfigDict(extra="ignore")


class _OfClass(_Lenient):
    name: str
    images: int
    accuracy: float | None


class _MixedUp(_Lenient):
    name: str
    taken_for: str
    images: int


class _Wrong(_Lenient):
    image: str
    name: str
    taken_for: str
    probability: float


class _Evaluation(_Lenient):
    data: str
    test_accuracy: float
    test_loss: float
    top5_accuracy: float
    calibration_error: float
    classes: tuple[_OfClass, ...]
    mixed_up: tuple[_MixedUp, ...]


class _Worst(_Lenient):
    worst: tuple[_Wrong, ...]


class _Consistency(_Lenient):
    supernet_accuracy: float
    derived_accuracy: float
    gap: float
    dropped_mass: float


class _Ranking(_Lenient):
    kendall: float
    spearman: float
    genotypes: tuple[str, ...]
    supernet_accuracies: tuple[float, ...]
    table_accuracies: tuple[float, ...]


Read = TypeVar("Read", bound=_Lenient)


def left_beside(path: Path) -> dict[str, Any]:
    """Return `evaluation`, `consistency` and `ranking`, each None where it is not there.

    Raises:
        InputError: one of them is damaged.
    """
    check_own(path)
    evaluation = _read(path / EVALUATION, _Evaluation)
    if evaluation:
        if len(evaluation["classes"]) > _FEW:
            evaluation["mixed_up"] = evaluation["mixed_up"][:_PAIRS]
        evaluation["worst"] = (_read(path / WORST / "worst.json", _Worst) or {"worst": []})["worst"]
        for number, wrong in enumerate(evaluation["worst"], 1):
            wrong["picture"] = _picture(path / WORST / f"{number}.png")
    return {
        "evaluation": evaluation,
        "consistency": _read(path / CONSISTENCY, _Consistency),
        "ranking": _read(path / RANK, _Ranking),
    }


def check_own(path: Path) -> None:
    """Refuse what links lead to from a run's directory: those files have no digest that would tell.

    Raises:
        InputError: one of them is a link.
    """
    for name in (EVALUATION, CONSISTENCY, RANK, BENCH, WORST):
        if (path / name).is_symlink():
            raise InputError(f"{path / name} is a link: what it leads to is not shown")
    for picture in (path / WORST).glob("*"):
        if picture.is_symlink():
            raise InputError(f"{picture} is a link: what it leads to is not shown")


def _read(path: Path, kind: type[Read]) -> dict[str, Any] | None:
    try:
        return parse(path, read_whole(path, _MOST), TypeAdapter(kind)).model_dump(mode="json")
    except FileNotFoundError:
        return None


def _picture(path: Path) -> str | None:
    """Return a picture as the address of its own content; None where there is none."""
    try:
        content = read_whole(path, _PICTURE)
    except (FileNotFoundError, InputError):
        return None
    picture = base64.b64encode(content).decode()
    return f"data:image/png;base64,{picture}" if content.startswith(_PNG) else None
