"""The ONNX file: it computes what the network does, for any number of images, and says what it takes."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from entrannas.deploy.formats import Takes
from entrannas.deploy.onnx_file import computed_by_onnx
from entrannas.deploy.program import about, as_taken, trace
from entrannas.files.onnx_model import to_onnx

from .conftest import CASES, MakeRun
from .fresh import fresh_python, run_fresh
from .lively import Lively


def _written(lively: Lively, takes: Takes, path: Path) -> Path:
    path.write_bytes(to_onnx(trace(lively.trained, takes), about(lively.trained.description, takes)))
    return path


@pytest.mark.parametrize(("genotype", "data", "stem"), CASES)
def test_it_computes_what_the_network_does(
    genotype: str, data: str, stem: str, make_run: MakeRun, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lively = Lively.of(make_run(genotype, data, stem))
    capfd.readouterr()
    path = _written(lively, "float", tmp_path / "network.onnx")
    assert capfd.readouterr() == ("", ""), "what the exporter has to say is nothing to a user"
    lively.compare(computed_by_onnx(path, "float"))
    lively.compare(computed_by_onnx(path, "float", threads=1))
    onnx.checker.check_model(path, full_check=True)
    assert b"/entrannas/" not in path.read_bytes() and b"stack_trace" not in path.read_bytes()


def test_it_takes_images_as_they_are_decoded(make_run: MakeRun, tmp_path: Path) -> None:
    lively = Lively.of(make_run("nasbench201", "photos"))
    path = _written(lively, "uint8", tmp_path / "network.onnx")
    lively.compare(computed_by_onnx(path, "uint8"))
    model = onnx.load(path)
    told = {one.key: one.value for one in model.metadata_props}
    assert json.loads(told["classes"]) == ["Ente", "cat", "dog"]
    assert (told["channels"], told["height"], told["width"]) == ("3", "32", "36")
    (image,), (logits,) = model.graph.input, model.graph.output
    sizes = [one.dim_param or one.dim_value for one in image.type.tensor_type.shape.dim]
    assert (image.name, sizes) == ("image", ["batch", 32, 36, 3])
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert (logits.name, logits.type.tensor_type.shape.dim[0].dim_param) == ("logits", "batch")


_RUN = """\
import json, sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
images = numpy.load(sys.argv[2])
for size in (1, 7, len(images)):
    (logits,) = session.run(["logits"], {"image": images[:size]})
numpy.save(sys.argv[3], logits)
print(json.loads(session.get_modelmeta().custom_metadata_map["classes"]))
try:
    import torch
except ImportError:
    print("alone")
"""


@pytest.mark.long
def test_it_runs_where_there_is_onnxruntime_alone(
    make_run: MakeRun, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lively = Lively.of(make_run("darts-extended", "photos"))
    path = _written(lively, "float", tmp_path / "network.onnx")
    given, answered = tmp_path / "images.npy", tmp_path / "logits.npy"
    np.save(given, as_taken(lively.pixels, "float").numpy())
    printed = run_fresh(fresh_python(tmp_path_factory, "onnxruntime", "numpy"), _RUN, path, given, answered)
    assert printed.splitlines() == ["['Ente', 'cat', 'dog']", "alone"]
    torch.testing.assert_close(torch.from_numpy(np.load(answered)), lively.logits, atol=1e-4, rtol=0)
