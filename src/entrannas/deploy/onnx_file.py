"""A traced network as one ONNX file, and what ONNX Runtime computes by it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from entrannas.deploy.checking import Computed
from entrannas.deploy.formats import Takes
from entrannas.deploy.program import as_taken, quiet
from entrannas.errors import needs

if TYPE_CHECKING:
    from onnx import ModelProto


def check_installed() -> None:
    """Raise an InputError where a package is missing that the functions of this file need, or those of `int8`."""
    with needs("export"):
        import onnx  # noqa: F401
        import onnxruntime  # type: ignore[import-untyped]  # noqa: F401
        import onnxscript  # noqa: F401 - the exporter's


def to_onnx(program: ExportedProgram, told: Mapping[str, Any]) -> bytes:
    """Return the content of an ONNX file, from `image` to `logits`, with what is told in its metadata."""
    from onnx import helper

    with quiet(), torch.no_grad():
        exported = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=["image"],
            output_names=["logits"],
            dynamic_shapes={"image": {0: "batch"}},
            external_data=False,
        )
    assert exported is not None
    model = exported.model_proto
    for part in _parts(model):
        del part.metadata_props[:]  # notes of the exporter, paths of this machine among them
        part.doc_string = ""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in told.items()}
    helper.set_model_props(model, texts)
    return bytes(model.SerializeToString())


def _parts(model: "ModelProto") -> Iterator[Any]:
    graph = model.graph
    yield from (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer)


def computed_by_onnx(path: Path, takes: Takes, threads: int = 0) -> Computed:
    """Load an ONNX file into ONNX Runtime, on the CPU.

    Args:
        path: the file.
        takes: what it takes.
        threads: how many compute; 0 for as many as there are cores.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def compute(images: Tensor) -> Tensor:
        (logits,) = session.run(["logits"], {"image": as_taken(images, takes).numpy()})
        return torch.from_numpy(logits)

    return compute
