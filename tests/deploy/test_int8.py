"""The ONNX file in 8 bits: smaller, and nearly the same."""

from pathlib import Path

import onnx
import pytest
import torch

from entrannas.deploy.formats import Takes
from entrannas.deploy.int8 import to_int8
from entrannas.deploy.onnx_file import computed_by_onnx
from entrannas.deploy.program import about, trace
from entrannas.files.onnx_model import to_onnx

from .conftest import MakeRun
from .lively import Lively


@pytest.mark.slow
@pytest.mark.parametrize(("genotype", "takes"), [("nasbench201", "float"), ("darts", "uint8")])
def test_it_is_smaller_and_answers_nearly_the_same(
    genotype: str, takes: Takes, make_run: MakeRun, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lively = Lively.of(make_run(genotype, "digits"))
    plain, written = tmp_path / "plain.onnx", tmp_path / "int8.onnx"
    plain.write_bytes(to_onnx(trace(lively.trained, takes), about(lively.trained.description, takes)))
    capfd.readouterr()
    written.write_bytes(to_int8(plain, lively.pixels.split(64), takes))
    assert capfd.readouterr() == ("", ""), "what the quantiser has to say is nothing to a user"
    before, after = onnx.load(plain), onnx.load(written)
    assert after.metadata_props == before.metadata_props
    integers = [tensor for tensor in after.graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    kernels = [node for node in after.graph.node if node.op_type == "Conv"]
    assert kernels and len(integers) >= len(kernels)
    logits = computed_by_onnx(written, takes)(lively.pixels)
    assert (logits.argmax(dim=1) == lively.predicted).float().mean() > 0.85
    assert 0 < (logits - lively.logits).square().mean().sqrt() < 0.2 * lively.logits.std()
    one = torch.cat([computed_by_onnx(written, takes)(pixel) for pixel in lively.pixels[:3].split(1)])
    torch.testing.assert_close(one, logits[:3], atol=0.2, rtol=0)
