"""The Python file: it computes and classifies as the network that it was written from, and reads as by a person."""

import ast
import importlib.util
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

import entrannas.deploy.source
from entrannas.core.errors import InputError
from entrannas.core.genotype import PUBLISHED, CellGenotype, Connection, Genotype
from entrannas.core.skeletons import Stem
from entrannas.data.pixels import FORMATS
from entrannas.data.summary import Normalisation, PixelRules
from entrannas.deploy import parts
from entrannas.deploy.source import source_text, write_source
from entrannas.files.whole import write_whole
from entrannas.learning.description import Description
from entrannas.learning.trained import TrainedNetwork, load
from entrannas.runs.genotypes import load_genotype

from ..pictures import picture
from ..strategies import built_genotypes
from .conftest import CASES, GENOTYPES, MakeRun

_ROOT = Path(__file__).parents[2]


def _described(**given: Any) -> Description:
    channels = given.get("shape", (3,))[0]
    settings = {
        "genotype": GENOTYPES["darts"],
        "cells": 3,
        "channels": 4,
        "stem": "cifar",
        "shape": (3, 11, 10),
        "classes": ("cat", "dog", "Ente"),
        "pixels": PixelRules(),
        "normalisation": Normalisation((0.4,) * channels, (0.25,) * channels),
    }
    return Description.model_construct(**settings | given)  # names are written whatever they are


def _network(**given: Any) -> TrainedNetwork:
    """Build a network whose weights are drawn, those of the batch norms too."""
    torch.manual_seed(0)
    network = TrainedNetwork(_described(**given))
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 1:
            tensor.uniform_(*((0.5, 1.5) if name.endswith(("weight", "var")) else (-0.5, 0.5)))
    return network


@torch.no_grad()
def _both(trained: TrainedNetwork, path: Path, batch: int = 3) -> tuple[Tensor, Tensor]:
    """Return what the file answers to some pixels, and what it should."""
    images = torch.rand(batch, *trained.description.shape, generator=torch.Generator().manual_seed(1))
    logits: Tensor = _imported(path).load()(images)
    return logits, trained(images)


def _imported(path: Path) -> ModuleType:
    """Import a file as whoever finds it does."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _ruff(*paths: Path) -> None:
    for command in (["check"], ["format", "--diff"]):
        arguments = ["--no-cache", "--config", str(_ROOT / "pyproject.toml"), *map(str, paths)]
        done = subprocess.run([sys.executable, "-m", "ruff", *command, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("genotype", "data", "stem"), CASES)
def test_it_answers_as_the_network(genotype: str, data: str, stem: Stem, make_run: MakeRun, tmp_path: Path) -> None:
    trained = load(make_run(genotype, data, stem), "cpu")
    path = tmp_path / "network.py"
    write_source(trained, path)
    torch.testing.assert_close(*_both(trained, path, batch=32), atol=1e-5, rtol=0)
    _ruff(path)


@settings(max_examples=15)
@given(built_genotypes, st.sampled_from(["cifar", "imagenet"]), st.integers(1, 4), st.integers(2, 5))
def test_it_answers_as_any_network(
    tmp_path_factory: pytest.TempPathFactory, genotype: Genotype, stem: Stem, cells: int, channels: int
) -> None:
    """With nodes of which nothing comes, nodes at which nothing arrives, and an operation twice on an edge."""
    path = tmp_path_factory.mktemp("written") / "network.py"
    trained = _network(genotype=genotype, cells=cells, channels=channels, stem=stem)
    write_source(trained, path)
    logits, wanted = _both(trained, path)
    torch.testing.assert_close(logits, wanted, atol=1e-5 * max(1, wanted.abs().max().item()), rtol=0)


def test_ruff_has_nothing_to_say_of_any_network(tmp_path: Path) -> None:
    """Of all genotypes, stems and sizes, and where there is more than stands in a line."""
    nodes = tuple(tuple(Connection(i % 2, "conv_1x7_7x1") for i in range(9)) for _ in range(40))
    long = CellGenotype(nodes, tuple(range(2, 42)))
    genotypes = [*GENOTYPES.values(), *map(load_genotype, PUBLISHED), Genotype(long, long)]
    stems = [{"stem": "cifar", "shape": (1, 8, 8)}, {"stem": "imagenet", "shape": (3, 96, 96)}]
    described = [
        _described(genotype=genotype, cells=cells, **stem)
        for genotype in genotypes
        for cells in (1, 2, 3, 20)
        for stem in stems
    ]
    odd = 'a "b"', "it's", '"it\'s"', "Käse", "猫" * 50, "\\n\n\x00", "\udcff"
    for classes in tuple(f"class {number}" for number in range(100)), odd:
        described.append(_described(classes=classes, pixels=PixelRules(low=0.5, high=1e9)))
    paths = [tmp_path / f"network_{number}.py" for number in range(len(described))]
    for path, description in zip(paths, described, strict=True):
        path.write_text(source_text(description, path.stem), "utf-8")
    _ruff(*paths)


def test_a_cell_reads_as_a_person_writes_it(tmp_path: Path) -> None:
    write_source(_network(cells=4), tmp_path / "network.py")
    text = (tmp_path / "network.py").read_text()
    assert (
        """
        x0, x1 = self.farther(farther), self.nearer(nearer)
        x2 = self.sep_conv_3x3_0_to_2(x0) + self.sep_conv_3x3_1_to_2(x1)
        x3 = self.sep_conv_3x3_0_to_3(x0) + self.sep_conv_3x3_1_to_3(x1)
        x4 = self.sep_conv_3x3_1_to_4(x1) + x0
        x5 = x0 + self.dil_conv_3x3_2_to_5(x2)
        return torch.cat([x2, x3, x4, x5], dim=1)
"""
        in text
    )
    assert "entrannas" not in "".join(line for line in text.splitlines() if "import" in line)
    names = load_file(tmp_path / "weights.safetensors")
    assert "cells.0.sep_conv_3x3_0_to_2.1.weight" in names


def test_only_what_occurs_is_written(tmp_path: Path) -> None:
    for name, there, away in (
        ("darts", ["SepConv", "DilConv", "FactorizedReduce"], ["RowColumnConv", "ResidualReduction"]),
        ("nasbench201", ["ReluConvNorm", "ResidualReduction"], ["SepConv", "DilConv", "FactorizedReduce", "F.pad"]),
    ):
        write_source(_network(genotype=GENOTYPES[name]), tmp_path / "network.py")
        text = (tmp_path / "network.py").read_text()
        assert all(one in text for one in there) and not any(one in text for one in away)


def test_nodes_of_which_nothing_comes_are_left_out(tmp_path: Path) -> None:
    """With what brings the farther map to the cell's channels, if no other node takes it."""
    nodes = ((Connection(0, "sep_conv_5x5"),), (Connection(1, "dil_conv_3x3"), Connection(1, "dil_conv_3x3")))
    cell = CellGenotype(nodes, (3,))
    trained = _network(genotype=Genotype(cell, cell), cells=5)
    write_source(trained, tmp_path / "network.py")
    text, names = (tmp_path / "network.py").read_text(), load_file(tmp_path / "weights.safetensors")
    assert "SepConv" not in text and not any("farther" in name for name in names)
    assert "x3 = self.dil_conv_3x3_1_to_3(x1) + self.dil_conv_3x3_1_to_3_no2(x1)" in text
    torch.testing.assert_close(*_both(trained, tmp_path / "network.py"), atol=1e-5, rtol=0)
    _ruff(tmp_path / "network.py")


def test_it_learns(tmp_path: Path) -> None:
    write_source(_network(), tmp_path / "network.py")
    network = _imported(tmp_path / "network.py").load()
    network.train()
    network(torch.rand(4, 3, 11, 10)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


NAMES = st.text(st.characters(), min_size=1, max_size=20) | st.text(alphabet="\"'\\{}\n\udcff\u202e%a", min_size=1)


@given(st.lists(NAMES, min_size=2, max_size=5))
def test_names_of_classes_are_data(names: list[str]) -> None:
    from entrannas.deploy.source import _literal

    assert [ast.literal_eval(_literal(name)) for name in names] == names
    assert all(_literal(name).isprintable() for name in names)


def test_a_class_that_is_named_like_code_is_harmless(tmp_path: Path) -> None:
    classes = '"]; import os', "')\nraise SystemExit", '"""\nraise SystemExit', "{__import__('os')}"
    trained = _network(classes=classes, pixels=PixelRules(background='"); raise SystemExit; ("'))
    write_source(trained, tmp_path / "network.py")
    module = _imported(tmp_path / "network.py")
    assert classes == module.CLASSES
    assert trained.description.pixels.background == module.BACKGROUND


@pytest.mark.parametrize("name", ["my-network.py", "network", "network.txt", "class.py", "random.py", "torch.py"])
def test_a_name_under_which_it_could_not_be_imported_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"my_network\.py"):
        write_source(_network(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_weights_are_replaced_only_where_such_an_export_wrote_them(tmp_path: Path, digits_run: Path) -> None:
    before = (digits_run / "weights.safetensors").read_bytes()
    with pytest.raises(InputError, match=r"weights\.safetensors is of something else: choose another folder"):
        write_source(_network(), digits_run / "network.py")
    assert (digits_run / "weights.safetensors").read_bytes() == before and not (digits_run / "network.py").exists()

    save_file({"a": torch.ones(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match="of something else"):
        write_source(_network(), tmp_path / "network.py")
    (tmp_path / "weights.safetensors").unlink()
    for cells in (3, 4, 4):
        trained = _network(cells=cells)
        write_source(trained, tmp_path / "network.py")
        torch.testing.assert_close(*_both(trained, tmp_path / "network.py"), atol=1e-5, rtol=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["network.py", "weights.safetensors"]
    assert not [name for name in sys.modules if name == "network"]


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_weights_are_of_one_python_file(tmp_path: Path) -> None:
    write_source(_network(), tmp_path / "first.py")
    before = _contents(tmp_path)
    with pytest.raises(InputError, match=r"weights\.safetensors is of first\.py: choose another folder for second\.py"):
        write_source(_network(cells=4), tmp_path / "second.py")
    assert _contents(tmp_path) == before


def test_a_python_file_that_is_no_export_or_was_changed_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "network.py"
    path.write_text("mine = 1\n")
    with pytest.raises(
        InputError, match=r"network\.py was not written by an export, or was changed since: choose"
    ) as told:
        write_source(_network(), path)
    assert "\n" not in str(told.value) and _contents(tmp_path) == {"network.py": b"mine = 1\n"}
    path.unlink()
    write_source(_network(), path)
    path.write_text(path.read_text() + "# mine\n")
    before = _contents(tmp_path)
    with pytest.raises(InputError, match="was changed since"):
        write_source(_network(), path)
    assert _contents(tmp_path) == before


def test_what_a_kill_leaves_is_replaced_by_the_next_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without an older export there, and killed more than once."""
    path = tmp_path / "network.py"

    def killed(there: Path, content: bytes) -> None:
        if there == path:
            raise KeyboardInterrupt
        write_whole(there, content)

    for cells in (3, 4):
        for _ in range(2):
            with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
                patch.setattr(entrannas.deploy.source, "write_whole", killed)
                write_source(_network(cells=cells + 1), path)
            assert path.exists() == (cells == 4)
        trained = _network(cells=cells)
        write_source(trained, path)
        torch.testing.assert_close(*_both(trained, path), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["network.py", "weights.safetensors"])
def test_what_is_no_file_is_not_waited_for(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=name):
        write_source(_network(), tmp_path / "network.py")


def _pictures(folder: Path) -> list[Path]:
    """Save pictures that are turned, transparent, of a palette, grey, wide, large and small."""
    folder.mkdir()
    random = np.random.default_rng(0)
    colour, wide = (random.integers(0, 2**bits, (40, 23, 4), f"uint{bits}") for bits in (8, 16))
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(colour)
    image.convert("RGB").save(folder / "turned.jpg", exif=exif)
    image.save(folder / "transparent.png")
    image.convert("LA").save(folder / "grey-transparent.png")
    image.convert("RGB").quantize(16).save(folder / "palette.png")
    image.convert("RGB").quantize(16).save(folder / "palette-transparent.png", transparency=bytes([0, 128, 255]))
    image.convert("1").save(folder / "two.png")
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.convert("RGB").resize((10, 11)).save(folder / "of-the-size.png")
    Image.fromarray(wide[..., 0]).save(folder / "wide.png")
    Image.fromarray(wide[..., 0].astype(np.int32) * 3).save(folder / "wider.tif")
    Image.fromarray(wide[..., 0].astype(np.float32) / 7).save(folder / "floats.tif")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("spread", [(None, None), (100, 60000), (7, 7)])
@pytest.mark.parametrize("crop", [1.0, 7 / 8])
def test_pixels_come_as_to_the_network(
    channels: int, spread: tuple[float | None, float | None], crop: float, tmp_path: Path
) -> None:
    rules = PixelRules(background="red", low=spread[0], high=spread[1], crop=crop)
    trained = _network(shape=(channels, 11, 10), pixels=rules)
    write_source(trained, tmp_path / "network.py")
    module = _imported(tmp_path / "network.py")
    for path in _pictures(tmp_path / "pictures"):
        if spread[0] is None and path.stem in ("wide", "wider", "floats"):
            with pytest.raises(ValueError, match="more than 8 bits"):
                module.preprocess(path)
            continue
        pixels = (module.preprocess(path) * 255).round().byte().permute(1, 2, 0)
        assert np.array_equal(pixels.numpy(), trained.pixels(path)), path.name
    multiplied = Image.open(tmp_path / "pictures" / "grey-transparent.png").convert("La")
    pixels = (module.pixels(multiplied) * 255).round().byte().permute(1, 2, 0)
    assert np.array_equal(pixels.numpy(), trained.pixels(multiplied))
    Image.fromarray(np.array([[1, np.nan]], np.float32)).save(tmp_path / "nan.tif")
    with pytest.raises(ValueError, match="no numbers" if spread[0] is not None else "more than 8 bits"):
        module.preprocess(tmp_path / "nan.tif")


def test_no_image_is_handed_to_another_program(tmp_path: Path) -> None:
    write_source(_network(), tmp_path / "network.py")
    Image.new("RGB", (10, 11)).save(tmp_path / "picture.png", "EPS")
    with pytest.raises(ValueError, match="Pillow does not decode EPS itself"):
        _imported(tmp_path / "network.py").preprocess(tmp_path / "picture.png")
    text = inspect.getsource(parts.preprocess)
    assert {name for name in Image.OPEN if f'"{name}"' in text} == Image.OPEN.keys() - set(FORMATS)


def test_it_classifies_as_the_network(photos_run: Path, tmp_path: Path) -> None:
    trained = load(photos_run, "cpu")
    write_source(trained, tmp_path / "network.py")
    module = _imported(tmp_path / "network.py")
    for path in _pictures(tmp_path / "pictures"):
        if path.stem not in ("wide", "wider", "floats"):
            (wanted,) = trained.predict(path, topk=2)
            found = module.predict(path, topk=2)
            assert [name for name, _ in found] == [name for name, _ in wanted]
            assert [p for _, p in found] == pytest.approx([p for _, p in wanted], abs=1e-5)
    assert len(module.predict(tmp_path / "pictures" / "turned.jpg")) == 3, "it has no more classes"


@pytest.mark.long
def test_it_needs_torch_safetensors_and_pillow_alone(
    photos_run: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from .fresh import fresh_python

    python = fresh_python(tmp_path_factory, "torch==2.13.0", "safetensors", "Pillow")
    trained = load(photos_run, "cpu")
    write_source(trained, tmp_path / "network.py")
    picture(tmp_path / "picture.png", 5, size=(50, 40))
    code = "import json, network; print(json.dumps(network.predict('picture.png')))"
    done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wanted,) = trained.predict(tmp_path / "picture.png")
    found = json.loads(done.stdout)
    assert [name for name, _ in found] == [name for name, _ in wanted]
    assert [p for _, p in found] == pytest.approx([p for _, p in wanted], abs=1e-5)
    missing = subprocess.run([python, "-c", "import numpy"], capture_output=True)
    assert missing.returncode != 0, "it would be no proof with NumPy there"

    command = [python, "network.py", "picture.png", "picture.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("picture.png\n") == 2, done.stderr
    assert done.stdout.splitlines()[1] == f"{wanted[0][1]:8.2%}  {wanted[0][0]}"
