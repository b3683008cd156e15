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
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from entrannas.core.kernels import average_pool, batch_norm, max_pool, relu_depthwise, weighted_sums
from entrannas.core.kernels.triton import conditions

pytest.importorskip("triton", reason="no Triton here")

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"

kinds = st.sampled_from([torch.float32, torch.bfloat16])
strides = st.sampled_from([1, 2])
seeds = st.integers(0, 2**32)


# The interpreter is slow: few examples, and small ones, beside many.
few_and_many = pytest.mark.parametrize(
    ("examples", "images", "channels", "side"),
    [(3, 2, 20, 4), pytest.param(30, 3, 130, 9, marks=pytest.mark.long)],
    ids=["few", "many"],
)
# NumPy, by which Triton interprets, warns of what is not a number.
on_device = pytest.mark.filterwarnings("ignore") if INTERPRETED else pytest.mark.cuda


@pytest.fixture(scope="module", autouse=True)
def enabled() -> Iterator[None]:
    """As by --kernels triton."""
    conditions.enable(True)
    yield
    conditions.enable(False)


@pytest.mark.skipif(INTERPRETED, reason="this is the process")
@pytest.mark.parametrize("which", ["not long", pytest.param("long", marks=pytest.mark.long)])
def test_they_are_right_by_the_interpreter(which: str) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", which, __file__]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(INTERPRETED, reason="once is enough")
@pytest.mark.parametrize("there", [True, False])
def test_triton_is_imported_at_its_first_use_and_may_lack(there: bool) -> None:
    """Where it lacks, PyTorch's operations are all there is, even if its interpreter is asked for."""
    lines = [
        "import sys",
        *(["sys.modules['triton'] = None"] if not there else []),
        "import torch",
        "from entrannas.core.kernels import max_pool",
        "from entrannas.core.kernels.triton.conditions import enable",
        "enable(True)",
        "print('triton' in sys.modules and sys.modules['triton'] is not None)",
        "x = torch.randn(1, 2, 3, 3).to(memory_format=torch.channels_last).requires_grad_()",
        "max_pool(x, 3, 1, 1).sum().backward()",
        "print('entrannas.core.kernels.triton.pooling' in sys.modules)",
    ]
    command, environment = [sys.executable, "-c", "\n".join(lines)], os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["False", str(there)], done.stderr


def test_they_are_for_maps_of_one_type_on_a_gpu() -> None:
    if not INTERPRETED and not torch.cuda.is_available():
        assert not conditions.applies(torch.randn(2, 4, 5, 5).to(memory_format=torch.channels_last))
        return
    x = maps(torch.float32, 2, 4, 5, 5)
    assert conditions.applies(x, x) and conditions.applies(x.bfloat16())
    assert not conditions.applies(x.half()) and not conditions.applies(x, x.bfloat16())
    assert not conditions.applies(x.contiguous())
    with torch.no_grad():
        assert not conditions.applies(x)
    with torch.autocast(DEVICE, torch.bfloat16):
        assert conditions.applies(x.bfloat16()) and not conditions.applies(x), "PyTorch's would return bfloat16"


@pytest.mark.skipif(INTERPRETED, reason="where kernels are launched")
@pytest.mark.parametrize("current", [0, 1])
def test_they_are_for_maps_on_the_current_gpu(monkeypatch: pytest.MonkeyPatch, current: int) -> None:
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current)
    with FakeTensorMode():
        x = torch.empty(2, 4, 5, 5, device="cuda:1", memory_format=torch.channels_last)
    assert conditions.applies(x) == (current == 1)


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
        rounding = 2**-8 if one.dtype == torch.bfloat16 else 2**-16
        torch.testing.assert_close(one.double(), other, rtol=rounding, atol=rounding * scale)


@on_device
@few_and_many
def test_depthwise_and_its_gradients_are_pytorchs(examples: int, images: int, channels: int, side: int) -> None:
    kernels, sides = st.sampled_from([3, 5, 7] if side > 4 else [3, 5]), st.integers(1, side)

    @settings(max_examples=examples)
    @given(
        *(st.integers(1, images), st.integers(1, channels), sides, sides),
        *(kernels, strides, st.integers(1, 2), kinds, seeds),
    )
    def agree(n: int, c: int, h: int, w: int, k: int, stride: int, dilation: int, kind: torch.dtype, seed: int) -> None:
        torch.manual_seed(seed)
        x, weight = maps(kind, n, c, h, w), maps(torch.float32, c, 1, k, k)
        padding = dilation * (k - 1) // 2
        assert conditions.applies(x)

        def ours(x: Tensor, weight: Tensor) -> list[Tensor]:
            return [relu_depthwise(x, weight, *((number, number) for number in (stride, padding, dilation)))]

        def exact(x: Tensor, weight: Tensor) -> list[Tensor]:
            return [F.conv2d(x.relu(), weight, None, stride, padding, dilation, c)]

        assert_same(ours, exact, [x, weight])

    agree()


Norm = Callable[..., list[Tensor]]


def norms(c: int) -> tuple[Norm, Norm]:
    """Return ours and PyTorch's of c channels, of the same running statistics, which they return as well."""
    begun = torch.randn(c, device=DEVICE), torch.rand(c, device=DEVICE)

    def ours(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> list[Tensor]:
        running = [one.clone() for one in begun]
        y = batch_norm(x, weight, bias, *running, 0.1, 1e-5)
        return [y, *(one + 0 * y.sum() for one in running)]

    def exact(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> list[Tensor]:
        running = [one.double() for one in begun]
        y = F.batch_norm(x, *running, weight, bias, True, 0.1, 1e-5)
        return [y, *(one + 0 * y.sum() for one in running)]

    return ours, exact


@on_device
@few_and_many
def test_batch_norm_its_gradients_and_statistics_are_pytorchs(
    examples: int, images: int, channels: int, side: int
) -> None:
    sides = st.integers(1, side)

    @settings(max_examples=examples)
    @given(
        *(st.integers(1, 10 * images), st.integers(1, channels), sides, sides),
        *(st.booleans(), st.floats(-10, 10), kinds, seeds),
    )
    def agree(n: int, c: int, h: int, w: int, affine: bool, centre: float, kind: torch.dtype, seed: int) -> None:
        torch.manual_seed(seed)
        n += n * h * w == 1  # a single value has no variance
        x = (maps(kind, n, c, h, w).detach() + centre).requires_grad_()
        assert conditions.applies(x)
        assert_same(*norms(c), [x, *(torch.rand(c, device=DEVICE, requires_grad=True) for _ in range(2 * affine))])

    agree()


@on_device
def test_batch_norm_adds_up_parts_of_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entrannas.core.kernels.triton.norm._ROWS", 64)
    monkeypatch.setattr("entrannas.core.kernels.triton.norm._PARTS", 2)
    assert_same(*norms(3), [maps(torch.float32, 60, 3, 3, 3)])


@on_device
def test_batch_norm_far_from_zero_has_its_variance() -> None:
    """A sum of squares would have lost it."""
    x = (maps(torch.float32, 30, 2, 5, 5).detach() + 3000).requires_grad_()
    mean, variance = torch.zeros(2, device=DEVICE), torch.zeros(2, device=DEVICE)
    batch_norm(x, None, None, mean, variance, 1.0, 1e-5)
    torch.testing.assert_close(variance.double(), x.detach().double().var(dim=(0, 2, 3)), rtol=1e-3, atol=0)


@on_device
@few_and_many
@pytest.mark.parametrize("kind", ["largest", "mean"])
def test_poolings_and_their_gradients_are_pytorchs(
    kind: str, examples: int, images: int, channels: int, side: int
) -> None:
    sides = st.integers(1, side)

    @settings(max_examples=examples)
    @given(st.integers(1, images), st.integers(1, channels), sides, sides, strides, kinds, seeds)
    def agree(n: int, c: int, h: int, w: int, stride: int, dtype: torch.dtype, seed: int) -> None:
        torch.manual_seed(seed)
        x = torch.randint(-3, 4, (n, c, h, w), device=DEVICE)  # many are alike: the first gets the gradient
        x = x.to(dtype, memory_format=torch.channels_last).requires_grad_()
        assert conditions.applies(x)

        def ours(x: Tensor) -> list[Tensor]:
            return [(max_pool if kind == "largest" else average_pool)(x, 3, stride, 1)]

        def exact(x: Tensor) -> list[Tensor]:
            if kind == "largest":
                return [F.max_pool2d(x.contiguous(), 3, stride, 1)]
            return [F.avg_pool2d(x.contiguous(), 3, stride, 1, count_include_pad=False)]

        assert_same(ours, exact, [x])

    agree()


@on_device
@few_and_many
@pytest.mark.parametrize("wanted", ["all", "p", "maps"])
def test_mixtures_and_their_gradients_are_pytorchs(
    wanted: str, examples: int, images: int, channels: int, side: int
) -> None:
    sides = st.integers(1, side)

    @settings(max_examples=examples)
    @given(
        *(st.integers(1, 4), st.integers(1, 8)),
        *(st.integers(1, images), st.integers(1, channels), sides, sides, kinds, seeds),
    )
    def agree(sums: int, count: int, n: int, c: int, h: int, w: int, kind: torch.dtype, seed: int) -> None:
        torch.manual_seed(seed)
        p = torch.rand(sums, count, device=DEVICE) * (torch.rand(sums, count, device=DEVICE) > 0.3)
        features = [maps(kind, n, c, h, w) for _ in range(count)]
        live = (p != 0).detach()
        inputs = {"all": [p.requires_grad_(), *features], "p": [p.requires_grad_()], "maps": features}[wanted]
        constant = {"all": [], "p": [x.detach() for x in features], "maps": [p]}[wanted]
        assert conditions.applies(*features)

        def both(given: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
            p, *features = (*constant, *given) if wanted == "maps" else (*given, *constant)
            return p, features

        def ours(*given: Tensor) -> list[Tensor]:
            return weighted_sums(*both(given))

        def exact(*given: Tensor) -> list[Tensor]:
            p, features = both(given)
            return list(torch.einsum("jk,knchw->jnchw", (p * live).double(), torch.stack(features).double()))

        assert_same(ours, exact, inputs)

    agree()


@on_device
def test_mixtures_add_up_parts_of_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entrannas.core.kernels.triton.mixture._PARTS", 2)
    p, x = torch.rand(2, 1, device=DEVICE, requires_grad=True), maps(torch.float32, 3, 20, 5, 5)
    assert_same(lambda p, x: weighted_sums(p, [x]), lambda p, x: [p[0, 0] * x, p[1, 0] * x], [p, x])


@pytest.mark.cuda
@pytest.mark.skipif(INTERPRETED, reason="too large")
def test_the_last_image_is_found_where_places_need_64_bits() -> None:
    if torch.cuda.mem_get_info()[0] < 40 * 2**30:
        pytest.skip("no 40 GB of memory are free")
    shape = 2**31 // (16 * 64 * 64) + 2, 16, 64, 64
    x = torch.empty(shape, dtype=torch.bfloat16, device=DEVICE, memory_format=torch.channels_last).normal_()
    weight = maps(torch.float32, 16, 1, 3, 3)

    def made(x: Tensor) -> list[Tensor]:
        x = x.detach().requires_grad_()
        y = relu_depthwise(max_pool(x, 3, 1, 1), weight, (1, 1), (1, 1), (1, 1))
        (sums,) = weighted_sums(torch.ones(1, 1, device=DEVICE), [y])
        return [sums, *torch.autograd.grad(sums, x, torch.ones_like(sums))]

    for whole, last in zip(made(x), made(x[-1:]), strict=True):
        assert torch.equal(whole[-1:], last)


@on_device
def test_what_is_not_a_number_stays_so() -> None:
    x = torch.full((1, 3, 4, 4), float("nan"), device=DEVICE).to(memory_format=torch.channels_last).requires_grad_()
    assert max_pool(x, 3, 1, 1).isnan().all() and average_pool(x, 3, 1, 1).isnan().all()
    assert relu_depthwise(x, maps(torch.float32, 3, 1, 3, 3), (1, 1), (1, 1), (1, 1)).isnan().all()
    nothing = torch.full_like(x, -torch.inf).requires_grad_()
    largest = max_pool(nothing, 3, 1, 1)
    assert (largest == -torch.inf).all()
    (gradient,) = torch.autograd.grad(largest, nothing, torch.ones_like(largest))
    assert gradient.sum() == largest.numel()
