"""A module as an ONNX model, and what ONNX Runtime computes by it."""

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from entrannas.files.extras import needs

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


def traced(network: nn.Module, example: Tensor) -> ExportedProgram:
    """Trace what takes `image`, by two of them, for any number."""
    with torch.no_grad(), quiet():
        program = torch.export.export(network, (example,), dynamic_shapes={"image": {0: Dim("batch")}})
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it has paths of this machine
    return program


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
    model, given = session(content, threads), {"image": image.contiguous().numpy()}
    return lambda: model.run(["logits"], given)


class _OfImage(nn.Module):
    """Has the name that a program's input is given."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return what the network does."""
        logits: Tensor = self.network(image)
        return logits


def session(file: Path | bytes, threads: int) -> Any:
    """Load a file, or its content, into ONNX Runtime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


@contextmanager
def quiet() -> Iterator[None]:
    """Keep from the screen what others tell of themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
