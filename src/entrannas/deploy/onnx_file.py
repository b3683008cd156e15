"""What ONNX Runtime computes by an exported file."""

from pathlib import Path

import torch
from torch import Tensor

from entrannas.deploy.checking import Computed
from entrannas.deploy.formats import Takes
from entrannas.deploy.program import as_taken
from entrannas.files.onnx_model import session


def computed_by_onnx(path: Path, takes: Takes, threads: int = 0) -> Computed:
    """Load an ONNX file into ONNX Runtime, on the CPU.

    Args:
        path: the file.
        takes: what it takes.
        threads: how many compute; 0 for as many as there are cores.
    """
    model = session(path, threads)

    def compute(images: Tensor) -> Tensor:
        (logits,) = model.run(["logits"], {"image": as_taken(images, takes).numpy()})
        return torch.from_numpy(logits)

    return compute
