"""Where and how tensors are computed: device and precision, through Lightning Fabric."""

from typing import TYPE_CHECKING, Literal

from entrannas.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["32-true", "bf16-mixed"]


def start(device: Device, precision: Precision) -> "Fabric":
    """Start Fabric on one device; `auto` is CUDA where there is one.

    Raises:
        InputError: CUDA asked for where there is none.
    """
    import torch  # both take seconds to import: for those alone who compute
    from lightning_fabric import Fabric

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("no CUDA device is visible to PyTorch: use --device cpu or --device auto")
    torch.backends.cudnn.deterministic = True  # a resumed run must retrace the one that was killed
    accelerator = "cuda" if available and device != "cpu" else "cpu"
    if accelerator == "cuda":
        torch.set_float32_matmul_precision("high")  # matrix products in TF32, as convolutions are by PyTorch's default
    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    fabric.launch()
    return fabric
