"""Which device a run takes, and how its processes form a group, by Lightning Fabric."""

import logging
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from entrannas.core.errors import InputError
from entrannas.core.launchers import launched

if TYPE_CHECKING:
    import torch

    from entrannas.core.device import Compute

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["32-true", "bf16-mixed"]
Kernels = Literal["torch", "triton"]

_PATIENCE = timedelta(hours=3)
"""How long a process waits for the others: the first decodes a data set that is new before them."""


def place(device: Device) -> "torch.device":
    """Choose a device; `auto` is CUDA where there is one: that of this process, where a launcher has started several.

    Raises:
        InputError: CUDA asked for where there is none, or too few GPUs for the processes on this machine.
    """
    import torch  # it takes seconds to import: for those alone who compute

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("no CUDA device is visible to PyTorch: use --device cpu or --device auto")
    torch.backends.cudnn.deterministic = True  # a resumed run must retrace the one that was killed
    if device == "cpu" or not available:
        return torch.device("cpu")
    torch.set_float32_matmul_precision("high")  # matrix products in TF32, as convolutions are by PyTorch's default
    _, _, local, here = launched()
    if (gpus := torch.cuda.device_count()) < here:
        raise InputError(f"each of {here} processes needs a GPU, and this one sees {gpus}: start fewer, or show it all")
    return torch.device("cuda", local)


def start(device: Device, precision: Precision, kernels: Kernels = "torch") -> "Compute":
    """Choose the device, form the group of processes, and enable the kernels of the settings.

    Where a launcher has started several processes, they form a group: over NCCL on GPUs, over gloo on CPUs. So all of
    them must come here.

    Raises:
        InputError: as `place` does.
    """
    from lightning_fabric import Fabric  # it takes seconds to import, too
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    from entrannas.core.device import Compute
    from entrannas.core.kernels.triton import conditions

    accelerator = place(device).type
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    _, count, _, here = launched()
    if count == 1:
        fabric = Fabric(accelerator=accelerator, devices=1, precision=precision, plugins=[LightningEnvironment()])
    else:
        _join_again(accelerator)
        strategy = DDPStrategy(timeout=_PATIENCE)
        nodes = count // here
        fabric = Fabric(accelerator=accelerator, devices=here, num_nodes=nodes, strategy=strategy, precision=precision)
    fabric.launch()
    conditions.enable(kernels == "triton")
    return Compute(fabric.device, precision)


def _join_again(accelerator: str) -> None:
    """Form the group of processes that torchrun has started again, under a name of its own.

    The launcher keeps its store over restarts, and in it the addresses of those that are no more, which one of the new
    ones may read (pytorch/pytorch#135712). How often a launcher has restarted is known to all processes of one machine;
    those of several need `TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1` in the launchers' environment.
    """
    from torch import device, distributed

    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    alone = os.environ.get("GROUP_WORLD_SIZE") == "1" and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if attempt == "0" or not alone or distributed.is_initialized():
        return
    address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    kept = distributed.TCPStore(*address, is_master=False)  # type: ignore[attr-defined]
    distributed.init_process_group(
        "nccl" if accelerator == "cuda" else "gloo",
        store=distributed.PrefixStore(f"attempt-{attempt}", kept),  # type: ignore[attr-defined]
        timeout=_PATIENCE,
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
        device_id=device("cuda", int(os.environ["LOCAL_RANK"])) if accelerator == "cuda" else None,
    )
