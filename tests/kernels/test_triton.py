"""The kernels in Triton against PyTorch's own operations in float64: on a GPU, and by Triton's interpreter.

Triton reads once, when it's imported, whether it is to interpret. So those tests run in a process of their own.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from entrannas.kernels import relu_depthwise, triton

pytest.importorskip("triton", reason="no Triton here")

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"

kinds = st.sampled_from([torch.float32, torch.bfloat16])
strides = st.sampled_from([1, 2])
seeds = st.integers(0, 2**32)


# The interpreter is slow: few examples, and small ones, beside many.
few_and_many = pytest.mark.parametrize(
    ("examples", "images", "channels", "side"),
    [(4, 2, 20, 4), pytest.param(60, 3, 130, 9, marks=pytest.mark.long)],
    ids=["few", "many"],
)
on_device = pytest.mark.filterwarnings("ignore") if INTERPRETED else pytest.mark.cuda


@pytest.fixture(scope="module", autouse=True)
def ours_are_taken() -> Iterator[None]:
    """However fast they are."""
    with pytest.MonkeyPatch.context() as patch:
        for file in ("depthwise",):
            patch.setattr(
                f"entrannas.kernels.{file}.fastest", lambda name, ways, *arguments: ways["triton"](*arguments)
            )
        yield


@pytest.mark.skipif(INTERPRETED, reason="this is the process")
@pytest.mark.parametrize("which", ["not long", pytest.param("long", marks=pytest.mark.long)])
def test_they_are_right_by_the_interpreter(which: str) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", which, __file__]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout


def test_they_are_for_maps_of_one_type_on_a_gpu() -> None:
    if not INTERPRETED and not torch.cuda.is_available():
        assert not triton.applies(torch.randn(2, 4, 5, 5).to(memory_format=torch.channels_last))
        return
    x = maps(torch.float32, 2, 4, 5, 5)
    assert triton.applies(x, x) and triton.applies(x.bfloat16())
    assert not triton.applies(x.half()) and not triton.applies(x, x.bfloat16())
    assert not triton.applies(x.contiguous())
    with torch.no_grad():
        assert not triton.applies(x)


def maps(kind: torch.dtype, *shape: int) -> Tensor:
    return torch.randn(shape, device=DEVICE).to(kind, memory_format=torch.channels_last).requires_grad_()


def assert_same(
    ours: Callable[..., Sequence[Tensor]], exact: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]
) -> None:
    """Compare what two functions make of the inputs and its gradients; ours must make the same twice, to the bit."""
    made = ours(*inputs)
    gradients = [torch.randn_like(y) for y in made]
    taken = [*made, *torch.autograd.grad(made, inputs, gradients)]
    made = ours(*inputs)
    again = [*made, *torch.autograd.grad(made, inputs, gradients)]
    doubles = [x.detach().double().requires_grad_() for x in inputs]
    made = exact(*doubles)
    wanted = [*made, *torch.autograd.grad(made, doubles, [g.double() for g in gradients])]
    for one, same, other in zip(taken, again, wanted, strict=True):
        assert torch.equal(one, same)
        scale = float(other.detach().abs().max()) + 1
        rounding = 2**-8 if one.dtype == torch.bfloat16 else 2**-18
        torch.testing.assert_close(one.double(), other, rtol=rounding, atol=rounding * scale)


@on_device
@few_and_many
def test_depthwise_and_its_gradients_are_pytorchs(examples: int, images: int, channels: int, side: int) -> None:
    kernels, sides = st.sampled_from([3, 5, 7]), st.integers(1, side)

    @settings(max_examples=examples)
    @given(
        *(st.integers(1, images), st.integers(1, channels), sides, sides),
        *(kernels, strides, st.integers(1, 2), kinds, seeds),
    )
    def agree(n: int, c: int, h: int, w: int, k: int, stride: int, dilation: int, kind: torch.dtype, seed: int) -> None:
        torch.manual_seed(seed)
        x, weight = maps(kind, n, c, h, w), maps(torch.float32, c, 1, k, k)
        padding = dilation * (k - 1) // 2
        assert triton.applies(x)

        def ours(x: Tensor, weight: Tensor) -> list[Tensor]:
            return [relu_depthwise(x, weight, *((number, number) for number in (stride, padding, dilation)))]

        def exact(x: Tensor, weight: Tensor) -> list[Tensor]:
            return [F.conv2d(x.relu(), weight, None, stride, padding, dilation, c)]

        assert_same(ours, exact, [x, weight])

    agree()
