"""The program: it computes what the network does, for any number of images, and says what it takes."""

import json
import zipfile
from pathlib import Path

import pytest
import torch

from entrannas.data.summary import Normalisation, PixelRules
from entrannas.deploy.formats import Takes
from entrannas.deploy.program import ABOUT, about, as_taken, computed_by_program, saved, trace
from entrannas.learning.description import Description

from .conftest import CASES, GENOTYPES, MakeRun
from .fresh import fresh_python, run_fresh
from .lively import Lively


def _written(lively: Lively, takes: Takes, path: Path) -> Path:
    path.write_bytes(saved(trace(lively.trained, takes), about(lively.trained.description, takes)))
    return path


@pytest.mark.parametrize(("genotype", "data", "stem"), CASES)
def test_it_computes_what_the_network_does(
    genotype: str, data: str, stem: str, make_run: MakeRun, tmp_path: Path
) -> None:
    lively = Lively.of(make_run(genotype, data, stem))
    path = _written(lively, "float", tmp_path / "network.pt2")
    lively.compare(computed_by_program(path, "float"))
    assert b"/entrannas/" not in b"".join(zipfile.ZipFile(path).read(name) for name in zipfile.ZipFile(path).namelist())


def test_it_takes_images_as_they_are_decoded(make_run: MakeRun, tmp_path: Path) -> None:
    lively = Lively.of(make_run("nasbench201", "photos"))
    path = _written(lively, "uint8", tmp_path / "network.pt2")
    lively.compare(computed_by_program(path, "uint8"))
    files = {ABOUT: ""}
    program = torch.export.load(path, extra_files=files)
    told = json.loads(files[ABOUT])
    assert told["classes"] == ["Ente", "cat", "dog"] and "uint8 [batch, height, width, channels]" in told["input"]
    with pytest.raises(Exception, match="size"):
        program.module()(torch.zeros(1, 3, 32, 36, dtype=torch.uint8))


def test_what_is_told_suffices_to_prepare_an_image() -> None:
    settings = {"cells": 3, "channels": 4, "stem": "cifar", "classes": ("a", "b"), "genotype": GENOTYPES["darts"]}
    rules = PixelRules(background="teal", low=-4.0, high=900.0)
    description = Description(**settings, shape=(1, 30, 20), pixels=rules, normalisation=Normalisation((0.5,), (0.25,)))
    told = about(description, "float")
    assert (told["channels"], told["height"], told["width"]) == (1, 30, 20)
    assert told["range"] == [-4.0, 900.0] and "range[0]" in told["wide"]
    for word in ("EXIF", "teal", "grey", "fit(image, (20, 30), Image.Resampling.BICUBIC)", "divide its bytes by 255"):
        assert word in told["preprocessing"]
    assert told["border"] == 0
    cropped = about(description.model_copy(update={"pixels": PixelRules(crop=0.875), "shape": (3, 224, 224)}), "float")
    assert cropped["border"] == 0.0625
    for word in ("scale it so that it covers 256 x 256", "(224, 224), Image.Resampling.BICUBIC, bleed=0.0625)"):
        assert word in cropped["preprocessing"]
    plain = about(description.model_copy(update={"pixels": PixelRules(), "shape": (3, 8, 8)}), "uint8")
    assert "range" not in plain and "RGB" in plain["preprocessing"] and "255" not in plain["preprocessing"]


_RUN = """\
import json, sys, torch
files = {"entrannas.json": ""}
module = torch.export.load(sys.argv[1], extra_files=files).module()
with torch.no_grad():
    torch.save([module(image) for image in torch.load(sys.argv[2])], sys.argv[3])
print(json.loads(files["entrannas.json"])["classes"])
try:
    import entrannas
except ImportError:
    print("alone")
"""


@pytest.mark.long
def test_it_runs_where_there_is_torch_alone(
    make_run: MakeRun, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lively = Lively.of(make_run("darts-extended", "photos"))
    path, given, answered = _written(lively, "float", tmp_path / "n.pt2"), tmp_path / "images", tmp_path / "logits"
    torch.save([as_taken(lively.pixels[:size], "float") for size in (1, 7, 18)], given)
    printed = run_fresh(fresh_python(tmp_path_factory, "torch==2.13.0"), _RUN, path, given, answered)
    assert printed.splitlines() == ["['Ente', 'cat', 'dog']", "alone"]
    for logits in torch.load(answered):
        torch.testing.assert_close(logits, lively.logits[: len(logits)], atol=1e-4, rtol=0)
