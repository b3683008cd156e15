"""The export of a run: compared with the network before it is written, and refused as a whole where it cannot be."""

import copy
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch.export import ExportedProgram

import entrannas.deploy.exporting
from entrannas.cli import application
from entrannas.core.errors import InputError
from entrannas.deploy.exporting import export
from entrannas.deploy.formats import Format, Takes
from entrannas.deploy.program import ABOUT, trace
from entrannas.learning.evaluation import evaluate
from entrannas.learning.trained import TrainedNetwork

from .conftest import MakeRun

Printed = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def run(make_run: MakeRun) -> Path:
    """Give a training on digits whose network is small."""
    return make_run("nasbench201-empty", "digits")


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Printed:
    """Run the command in an empty folder; return its exit code, the lines of stdout, and stderr."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def call(*arguments: object) -> tuple[int, list[str], str]:
        monkeypatch.setattr(sys, "argv", ["entrannas", "export", *map(str, arguments)])
        capfd.readouterr()
        code = application.run()
        out, err = capfd.readouterr()
        return code, out.splitlines(), err

    return call


_FOUND = "digits: 1,797 images of 10 classes, 359 of them held out for the test\n"


@pytest.mark.parametrize(
    ("to", "files"),
    [
        ("torch", ["run.pt2"]),
        ("python", ["run.py", "weights.safetensors"]),
        ("hub", ["run-hub/config.json", "run-hub/model.safetensors"]),
    ],
)
def test_it_is_compared_and_written_under_the_name_of_the_run(
    to: Format, files: list[str], run: Path, printed: Printed
) -> None:
    code, out, err = printed(run, "--format", to, "--check", 100, "--json")
    assert (code, err) == (0, _FOUND)
    *lines, last = out
    told = json.loads(last)
    assert lines[0] == f"exported        {files[0].split('/')[0]}"
    assert lines[2].startswith("checked         100 test images: the same predictions, logits within ")
    assert told["check"]["images"] == 100 and told["check"]["largest_difference"] <= 1e-4
    assert all(Path(name).is_file() for name in files)
    written = [path for path in Path().rglob("*") if path.is_file()]
    assert told["size"] == sum(path.stat().st_size for path in written)
    assert to == "hub" or len(written) == len(files), "and nothing else is left"


@pytest.mark.slow
def test_in_8_bits_it_tells_what_is_lost_on_all_test_images(run: Path, printed: Printed) -> None:
    code, out, err = printed(run, "--int8", "--input", "uint8", "--out", "small.onnx", "--check", "20", "--json")
    assert (code, err) == (0, _FOUND), "once, and nothing of what the exporters say"
    *lines, last = out
    told = json.loads(last)
    assert [line.split()[0] for line in lines] == ["exported", "size", "checked", "float32", "int8"]
    assert told["check"]["images"] == 20
    assert told["int8"]["float_accuracy"] == evaluate(run, device="cpu").test_accuracy
    assert abs(told["int8"]["int8_accuracy"] - told["int8"]["float_accuracy"]) < 0.5
    assert told["size"] == Path("small.onnx").stat().st_size
    assert any(tensor.data_type == onnx.TensorProto.INT8 for tensor in onnx.load("small.onnx").graph.initializer)


def _spoilt(change: Callable[[TrainedNetwork], None]) -> Callable[..., ExportedProgram]:
    """Trace another network than the one that is given."""

    @torch.no_grad()
    def trace_another(trained: TrainedNetwork, takes: Takes) -> ExportedProgram:
        other = copy.deepcopy(trained)
        change(other)
        return trace(other, takes)

    return trace_another


def _shift_all(network: TrainedNetwork) -> None:
    network.network.classifier.bias.add_(2e-4)


def _swap_classes(network: TrainedNetwork) -> None:
    network.network.classifier.bias.copy_(network.network.classifier.bias.roll(1))
    network.network.classifier.weight.copy_(network.network.classifier.weight.roll(1, dims=0))


def _break(network: TrainedNetwork) -> None:
    network.network.classifier.bias.fill_(torch.nan)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_shift_all, "of 30 test images 0 are classified otherwise, and logits differ by up to 0.0002"),
        (_swap_classes, "of 30 test images 30 are classified otherwise"),
        (_break, "logits differ by up to nan"),
    ],
)
@pytest.mark.parametrize("before", [None, b"an older file"])
def test_what_computes_something_else_is_not_written(
    change: Callable[[TrainedNetwork], None],
    complaint: str,
    before: bytes | None,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entrannas.deploy.exporting, "trace", _spoilt(change))
    out = tmp_path / "network.pt2"
    if before is not None:
        out.write_bytes(before)
    with pytest.raises(InputError, match=complaint):
        export(run, "torch", out, check=30)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([] if before is None else [before])
    assert export(run, "torch", out, check=0).check is None, "as the message says"
    assert out.stat().st_size > 1000


def test_other_data_are_taken_where_those_of_the_run_are_gone(
    make_run: MakeRun, tmp_path: Path, printed: Printed
) -> None:
    run, config = tmp_path / "moved", json.loads((make_run("nasbench201", "photos") / "config.json").read_text())
    shutil.copytree(make_run("nasbench201", "photos"), run)
    photos = Path(config["data"])
    gone = photos.with_name("gone")
    photos.rename(gone)
    try:
        code, out, err = printed(run, "--format", "torch")
        assert (code, out) == (2, []) and err.count("\n") == 1
        assert str(photos) in err and "--check 0 exports without" in err
        assert os.listdir() == []
        assert printed(run, gone, "--format", "torch")[0] == 0
        assert printed(run, "--format", "torch", "--check", 0, "--out", "unchecked.pt2")[0] == 0
        code, _, err = printed(run, "--int8", "--check", 0)
        assert code == 2 and str(photos) in err and "--check" not in err, "8 bits need images"
        assert sorted(os.listdir()) == ["moved.pt2", "unchecked.pt2"]
    finally:
        gone.rename(photos)


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ({"to": "torch", "int8": True}, "--int8 goes with --format onnx, not with torch"),
        ({"to": "python", "takes": "uint8"}, "--input uint8 goes with --format onnx and torch, not with python"),
        ({"to": "onnx", "push_to": "me/it"}, "--push goes with --format hub, not with onnx"),
        ({"to": "torch", "out": "folder"}, "folder is a folder, and --format torch writes a file: choose another"),
        ({"to": "hub", "out": "file"}, "file is a file, and --format hub writes a folder: choose another --out"),
        ({"to": "python", "out": "my-net.py"}, "my-net.py could not be imported"),
        ({"run": "folder"}, "no run in folder"),
    ],
)
def test_what_does_not_go_together_is_refused(
    wanted: dict[str, Any], complaint: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").touch()
    with pytest.raises(InputError, match=complaint):
        export(**{"run": run} | wanted)
    assert sorted(os.listdir()) == ["file", "folder"] and os.listdir("folder") == []


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_what_is_not_installed_is_named(package: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError) as caught:
        export(run)
    assert str(caught.value) == f"this needs {package}: pip install onnx onnxscript onnxruntime"


def test_a_folder_is_pushed_once_it_is_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed: list[object] = []

    def push(folder: Path, name: str) -> str:
        assert (folder / "model.safetensors").exists()
        pushed.append((folder, name))
        return "https://there"

    monkeypatch.setattr(entrannas.deploy.exporting, "push", push)
    result = export(run, "hub", tmp_path / "hub", check=1, push_to="me/it")
    assert result.address == "https://there" and pushed == [(tmp_path / "hub", "me/it")]


def test_a_name_that_cannot_be_imported_is_made_one(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, "2-runs")
    assert export("2-runs", "python", check=1).path == Path("_2_runs.py")


def test_the_program_says_what_comes_to_it(run: Path, tmp_path: Path) -> None:
    export(run, "torch", tmp_path / "network.pt2", takes="uint8", check=5)
    files = {ABOUT: ""}
    torch.export.load(tmp_path / "network.pt2", extra_files=files)
    assert json.loads(files[ABOUT])["classes"] == [str(digit) for digit in range(10)]
