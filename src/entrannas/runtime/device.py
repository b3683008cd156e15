"""Where and how tensors are computed: device, precision and processes, through Lightning Fabric."""

import logging
import os
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from entrannas.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["32-true", "bf16-mixed"]

_PATIENCE = timedelta(hours=3)
"""How long a process waits for the others: the first decodes a data set that is new before them."""


def start(device: Device, precision: Precision) -> "Fabric":
    """Start Fabric on one device; `auto` is CUDA where there is one.

    Where a launcher has started several processes, each has a device of its own, and they form a group: over NCCL on
    GPUs, over gloo on CPUs.

    Raises:
        InputError: CUDA asked for where there is none, or fewer GPUs than processes on this machine.
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
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The `srun` command is available")  # and not wanted
        processes = _processes()
        if accelerator == "cuda" and processes["devices"] > (gpus := torch.cuda.device_count()):
            raise InputError(f"{processes['devices']} processes need a GPU each, and there are {gpus} on this machine")
        _join_again(accelerator)
        fabric = Fabric(accelerator=accelerator, precision=precision, **processes)
        fabric.launch()
    return fabric


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


def _processes() -> dict[str, Any]:
    """Return what Fabric is to know of the processes that a launcher has started: how many, on how many machines."""
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    if TorchElasticEnvironment.detect():
        count, local = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    elif "SLURM_NTASKS" in os.environ and SLURMEnvironment.detect():
        count = int(os.environ["SLURM_NTASKS"])
        local = count // int(os.environ.get("SLURM_NNODES", 1))
    else:
        count = local = 1
    if count == 1:
        return {"devices": 1}
    return {"devices": local, "num_nodes": count // local, "strategy": DDPStrategy(timeout=_PATIENCE)}
