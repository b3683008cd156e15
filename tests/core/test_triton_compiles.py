"""The kernels in Triton compiled for GPUs that need not be here, as they would be launched: nothing may spill."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

triton = pytest.importorskip("triton", reason="no Triton here")
depthwise, mixture, norm, pooling = (
    pytest.importorskip(f"entrannas.core.kernels.triton.{name}") for name in ("depthwise", "mixture", "norm", "pooling")
)
pytestmark = pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="nothing is compiled here")

AMPERE, HOPPER = 80, 90
_ALIGNED = [["tt.divisibility", 16]]


class Launches:
    """Takes the place of launches: compiles what would have been launched, and finds what its threads spill."""

    def __init__(self, capability: int) -> None:
        self.target = triton.backends.compiler.GPUTarget("cuda", capability, 32)
        self.spilled: dict[str, int] = {}

    def __call__(self, kernel: Any, *arguments: Any, grid: Any, warmup: bool, **options: Any) -> None:
        signature: dict[str, Any] = {}
        constants, hints = {}, {}
        for index, (parameter, argument) in enumerate(zip(kernel.params, arguments, strict=True)):
            general = parameter.do_not_specialize
            if (
                parameter.is_constexpr
                or argument is None
                or (isinstance(argument, int) and argument == 1 and not general)
            ):
                signature[parameter.name] = "constexpr"
                constants[index,] = argument
                continue
            signature[parameter.name] = _type(argument)
            if isinstance(argument, tuple):
                hints |= {(index, at): _ALIGNED for at in range(len(argument))}
            elif isinstance(argument, Tensor) or (isinstance(argument, int) and argument % 16 == 0 and not general):
                hints[index,] = _ALIGNED
        source = triton.compiler.ASTSource(kernel, signature, constants, hints)
        cubin = triton.compile(source, target=self.target, options=options).asm["cubin"]
        self.spilled[kernel.fn.__name__] = _spilled(cubin)


class Operations(TorchDispatchMode):
    """Notes the operations of PyTorch's that launch a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, called: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not called.is_view and "empty" not in called.name():
            self.names.append(called.overloadpacket.__name__)
        return called(*args, **(kwargs or {}))


def _type(argument: Any) -> Any:
    match argument:
        case tuple():
            return tuple(map(_type, argument))
        case Tensor():
            return {torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.int8: "*i8"}[argument.dtype]
        case float():
            return "fp32"
    return "i32" if argument < 2**31 else "i64"


def _spilled(cubin: bytes) -> int:
    """Return how many bytes of memory a thread takes for what does not fit into its registers."""
    folder = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    file = Path(os.environ["TRITON_CACHE_DIR"], "kernel.cubin")
    file.write_bytes(cubin)
    command = [folder / "cuobjdump", "--dump-resource-usage", file]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sum(map(int, re.findall(r"(?:STACK|LOCAL):(\d+)", told)))


@pytest.fixture(params=[HOPPER, pytest.param(AMPERE, marks=pytest.mark.long)], ids=["hopper", "ampere"])
def launches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Launches]:
    made = Launches(request.param)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(triton.runtime.jit.JITFunction, "run", lambda kernel, *a, **k: made(kernel, *a, **k))
    yield made
    assert made.spilled and not any(made.spilled.values()), made.spilled


def maps(kind: torch.dtype, *shape: int) -> Tensor:
    """Make memory that is nowhere."""
    x = torch.empty(shape, dtype=kind, device="meta", memory_format=torch.channels_last)
    return x.requires_grad_()


def numbers(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta", requires_grad=True)


def through(*made: Tensor) -> None:
    torch.autograd.backward(made, [torch.empty_like(y) for y in made])


def test_depthwise(launches: Launches) -> None:
    with Operations() as beside:
        through(depthwise.ReluDepthwise.apply(maps(torch.float32, 256, 16, 32, 32), numbers(16, 1, 3, 3), 1, 1, 1))
    assert set(launches.spilled) == {"_slide_kernel", "_correlate_kernel"}
    assert beside.names == ["sum"], "of the parts"


def test_batch_norm(launches: Launches) -> None:
    running = numbers(16).detach(), numbers(16).detach()
    through(norm.BatchNorm.apply(maps(torch.float32, 256, 16, 32, 32), numbers(16), numbers(16), *running, 0.1, 1e-5))
    assert len(launches.spilled) == 4


@pytest.mark.parametrize("pool", [pooling.MaxPool, pooling.AveragePool])
def test_pooling(launches: Launches, pool: Any) -> None:
    through(pool.apply(maps(torch.float32, 256, 16, 32, 32), 3, 1, 1))
    assert len(launches.spilled) == 2


def test_mixture(launches: Launches) -> None:
    through(*mixture.WeightedSums.apply(numbers(4, 7), *(maps(torch.float32, 256, 16, 32, 32) for _ in range(7))))
    assert len(launches.spilled) == 2
