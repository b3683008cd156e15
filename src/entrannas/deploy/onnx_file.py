"""A traced network as one ONNX file, and what ONNX Runtime computes by it."""

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from entrannas.deploy.checking import Computed
from entrannas.deploy.formats import Takes
from entrannas.deploy.program import as_taken, quiet, traced
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
    session = _session(path, threads)

    def compute(images: Tensor) -> Tensor:
        (logits,) = session.run(["logits"], {"image": as_taken(images, takes).numpy()})
        return torch.from_numpy(logits)

    return compute


def passes_by_onnx(network: nn.Module, image: Tensor, threads: int) -> Callable[[], object]:
    """Return what lets ONNX Runtime compute a network of an `image`, as it computes an exported run.

    Args:
        network: in evaluation mode; it is not changed.
        image: float32 [batch, channels, height, width], on the CPU.
        threads: how many compute; 0 for as many as there are cores.

    Raises:
        InputError: a package is missing.
    """
    check_installed()
    plain = _OfImage(copy.deepcopy(network)).eval().requires_grad_(False)
    plain.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    content = to_onnx(traced(plain, image.new_zeros(2, *image.shape[1:])), {})
    session, given = _session(content, threads), {"image": image.contiguous().numpy()}
    return lambda: session.run(["logits"], given)


class _OfImage(nn.Module):
    """Has the name that a program's input is given."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return what the network does."""
        logits: Tensor = self.network(image)
        return logits


def _session(file: Path | bytes, threads: int) -> Any:
    """Load a file, or its content, into ONNX Runtime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
