"""Where and how tensors are computed: a device and a precision."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

Precision = Literal["32-true", "bf16-mixed"]


@dataclass(frozen=True)
class Compute:
    """A device, and the precision of forward passes.

    Attributes:
        device: where modules and batches are.
        precision: `32-true`, or `bf16-mixed` for PyTorch's automatic mixed precision with bfloat16.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: Precision = "32-true"

    def autocast(self) -> AbstractContextManager[Any]:
        """Return a context in which a forward pass and its loss are computed in the precision."""
        if self.precision == "32-true":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)
