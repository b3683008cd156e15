"""A surrogate that stands in for NAS-Bench-301's: of the same inputs, with a value that a test can work out."""

import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

from entrannas.bench.surrogate import needed

WEIGHTS = [0.001 * (i + 1) for i in range(34)]
"""What the number of each category is multiplied by."""

PER_EPOCH = 0.9
"""What the epoch is multiplied by."""


def write_surrogate(folder: Path, per_epoch: float = PER_EPOCH, inputs: int = 34) -> tuple[Path, Path]:
    """Write the two files; the value is `WEIGHTS` times the numbers, and `per_epoch` times the epoch."""
    weights = np.array([[weight, 0.0] for weight in WEIGHTS[:inputs]], dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x_cat"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["numbers", "weights"], ["of_cells"]),
            helper.make_node("Mul", ["x_cont", "per_epoch"], ["of_epoch"]),
            helper.make_node("Add", ["of_cells", "of_epoch"], ["y"]),
        ],
        "stand-in",
        [
            helper.make_tensor_value_info("x_cat", TensorProto.INT32, [1, inputs]),
            helper.make_tensor_value_info("x_cont", TensorProto.FLOAT, [1, 1]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([[per_epoch]], dtype=np.float32), "per_epoch"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    surrogate, encoding = folder / "surrogate.onnx", folder / "encoding.json"
    save(model, surrogate)
    numbers = {name: {category: i for i, category in enumerate(wanted)} for name, wanted in needed().items()}
    encoding.write_text(json.dumps(numbers))
    return surrogate, encoding
