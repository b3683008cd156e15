"""A trained run written for others: as an ONNX file, a program of PyTorch, a Python file, or a folder of the hub.

Whatever it is, it is compared with the network on test images before it is written where it is wanted.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from entrannas.core.errors import InputError
from entrannas.data.images import Images
from entrannas.data.seen import Seen
from entrannas.data.settings import DataSettings
from entrannas.data.summary import DataSummary
from entrannas.data.training_data import load_learned_images, load_test_images
from entrannas.deploy.checking import Check, Computed, accuracy, compare, in_batches
from entrannas.deploy.formats import Format, Takes
from entrannas.deploy.hub import push, write_hub
from entrannas.deploy.int8 import to_int8
from entrannas.deploy.onnx_file import computed_by_onnx
from entrannas.deploy.program import about, computed_by, computed_by_program, saved, trace
from entrannas.deploy.source import BESIDE, check_place, source_module, write_source
from entrannas.files.onnx_model import check_installed, to_onnx
from entrannas.files.whole import write_whole
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.trained import TrainedNetwork, load
from entrannas.runs.events import Events, Listener
from entrannas.runs.run import Run
from entrannas.runs.task import Result

_ENDINGS: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2", "python": ".py", "hub": "-hub"}
_MEASURED = 256  # training images, on which the ranges of maps are measured

Origin = tuple[DataSettings, DataSummary, Seen, torch.device]
"""Where images come from: what `load_test_images` and `load_learned_images` begin with."""

Write = Callable[[Path], None]
LoadWritten = Callable[[Path], Computed]


@dataclass(frozen=True)
class Quantised:
    """What 8 bits have changed.

    Attributes:
        float_size: the bytes of the file in float32.
        float_accuracy: the share of all test images that it classifies rightly, from 0 to 1.
        int8_accuracy: the share in 8 bits.
    """

    float_size: int
    float_accuracy: float
    int8_accuracy: float


@dataclass(frozen=True)
class Exported(Result):
    """What was written.

    Attributes:
        run: the run directory.
        path: the file, or the folder.
        size: its bytes, with those of what belongs to it.
        check: how it was compared with the network, if it was; what is in 8 bits, before it was.
        int8: what 8 bits have changed, if it is in 8 bits.
        address: where it is on the hub, if it was pushed there.
    """

    path: Path
    size: int
    check: Check | None
    int8: Quantised | None
    address: str | None


def export(
    run: str | Path,
    to: Format = "onnx",
    out: str | Path | None = None,
    int8: bool = False,
    check: int = 256,
    takes: Takes = "float",
    push_to: str | None = None,
    data: str | None = None,
    test_split: str | None = None,
    label_column: str | None = None,
    skip_damaged: bool = False,
    listeners: Sequence[Listener] = (),
) -> Exported:
    """Write a trained run as a file or a folder that others can use.

    Args:
        run: the directory that `train` left.
        to: as what, see `Format`.
        out: where; by default it has the name of the run, and lies in the working directory.
        int8: whether it is to compute in 8 bits; of `onnx` alone.
        check: the number of test images on which it is compared with the network; 0 for none.
        takes: what comes to it, see `Takes`; of `onnx` and `torch` alone.
        push_to: a repository of the hub to which the folder is pushed, as user/name.
        data: a source with the same classes; by default the one that the run was trained on.
        test_split: the split to test on, see `TrainConfig`; by default the run's for its own data.
        label_column: the column of labels, likewise.
        skip_damaged: leave images out that cannot be read.
        listeners: are told of what happens, see `runs.events`.

    Raises:
        InputError: no training there of which an epoch has ended, what is wanted does not go together, the data cannot
            be used, what was exported does not compute what the network does, or the place is taken. What was there
            before is kept.
    """
    _check_options(to, int8, takes, push_to)
    opened, say = Run.open(Path(run), "train"), Events(listeners).tell
    path = _place(opened.path, out, to)
    trained = load(opened.path, "cpu", listeners)
    wanted = opened.config(TrainConfig).data_settings().elsewhere(data, test_split, label_column, skip_damaged)
    origin = wanted, opened.data(), opened.seen(), trained.device
    images = _test_images(origin, say, int8, check) if int8 or check else None

    write, load_written = _made(trained, opened, to, takes)
    with TemporaryDirectory() as folder:
        staged = Path(folder, f"network{_ENDINGS[to]}")
        write(staged)
        compared = compare(load_written(staged), trained, images, check) if images is not None and check else None
        quantised = None
        if images is not None and int8:
            quantised = _quantise(staged, takes, load_learned_images(*origin, say, _MEASURED), images)
            write = partial(write_whole, content=staged.read_bytes())
    write(path)
    address = _pushed(path, push_to) if push_to is not None else None
    return Exported(opened.path, path, _size(path, to), compared, quantised, address)


def _check_options(to: Format, int8: bool, takes: Takes, push_to: str | None) -> None:
    """Refuse what does not go together, and a format whose packages are not installed."""
    if int8 and to != "onnx":
        raise InputError(f"--int8 goes with --format onnx, not with {to}")
    if takes != "float" and to not in ("onnx", "torch"):
        raise InputError(f"--input {takes} goes with --format onnx and torch, not with {to}")
    if push_to is not None and to != "hub":
        raise InputError(f"--push goes with --format hub, not with {to}")
    if to == "onnx":
        check_installed()


def _place(run: Path, out: str | Path | None, to: Format) -> Path:
    """Return where the export goes."""
    name = run.resolve().name
    if to == "python":  # which is to be imported
        name = re.sub(r"^(?=\d)|\W", "_", name)
    path = Path(f"{name}{_ENDINGS[to]}" if out is None else out)
    if path.exists() and path.is_dir() != (to == "hub"):
        there, written = ("folder", "file") if path.is_dir() else ("file", "folder")
        raise InputError(f"{path} is a {there}, and --format {to} writes a {written}: choose another --out")
    if to == "python":
        check_place(path)
    return path


def _test_images(origin: Origin, say: Callable[[str], None], int8: bool, check: int) -> Images:
    """Load as many as are wanted, all if 8 bits are to be judged by them."""
    try:
        return load_test_images(*origin, say, None if int8 else check)
    except InputError as error:
        if int8:
            raise
        raise InputError(f"{error}; --check 0 exports without a look at test images") from None


def _pushed(path: Path, name: str) -> str:
    try:
        return push(path, name)
    except InputError as error:
        raise InputError(f"{error}; {path} is written") from None


def _quantise(path: Path, takes: Takes, learned: Images, test: Images) -> Quantised:
    """Put an ONNX file in 8 bits into the place of one in float32, and compare them."""
    size, before = path.stat().st_size, accuracy(computed_by_onnx(path, takes), test)
    path.write_bytes(to_int8(path, (batch for batch, _ in in_batches(learned)), takes))
    return Quantised(size, before, accuracy(computed_by_onnx(path, takes), test))


def _size(path: Path, to: Format) -> int:
    beside = path.rglob("*") if to == "hub" else [path.with_name(BESIDE)] if to == "python" else []
    return sum(file.stat().st_size for file in [path, *beside] if file.is_file())


def _made(trained: TrainedNetwork, run: Run, to: Format, takes: Takes) -> tuple[Write, LoadWritten]:
    """Return what writes a network in a format to a path, and what loads again what was written there."""
    match to:
        case "python":
            return partial(write_source, trained), lambda path: computed_by(
                source_module(trained.description, path).load()
            )
        case "hub":
            return partial(write_hub, trained, run=run), lambda path: computed_by(TrainedNetwork.from_pretrained(path))
    program, told = trace(trained, takes), about(trained.description, takes)
    if to == "torch":
        return partial(write_whole, content=saved(program, told)), partial(computed_by_program, takes=takes)
    return partial(write_whole, content=to_onnx(program, told)), partial(computed_by_onnx, takes=takes)
