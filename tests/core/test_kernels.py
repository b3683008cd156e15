"""The compiled loops against PyTorch's own operations in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from entrannas.core.kernels import c
from entrannas.core.kernels.mixture import weighted_sums
from entrannas.core.network import build_network
from entrannas.core.operations import BatchNorm2d, MaxPool2d, ReluDepthwise
from entrannas.runs.genotypes import load_genotype

pytestmark = pytest.mark.skipif(c.loops() is None, reason="no C compiler here")

sides = st.integers(1, 11)
strides = st.sampled_from([1, 2])
seeds = st.integers(0, 2**32)


def maps(*shape: int) -> Tensor:
    return torch.randn(shape).to(memory_format=torch.channels_last).requires_grad_()


def assert_same(taken: list[Tensor], wanted: list[Tensor]) -> None:
    for one, other in zip(taken, wanted, strict=True):
        scale = float(other.detach().abs().max()) + 1
        torch.testing.assert_close(one.double(), other.double(), rtol=1e-4, atol=1e-5 * scale)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 20), st.integers(1, 40), sides, sides, st.sampled_from([3, 5, 7]), strides, st.integers(1, 2), seeds
)
def test_depthwise_and_its_gradients_are_pytorchs(images, channels, height, width, kernel, stride, dilation, seed):
    torch.manual_seed(seed)
    layer = ReluDepthwise(channels, kernel, stride, dilation)
    x = maps(images, channels, height, width)
    assert c.applies(x)
    y = layer(x)
    g = torch.randn_like(y)
    taken = [y, *torch.autograd.grad(y, (x, layer.weight), g)]

    y = F.conv2d(x.double().relu(), layer.weight.double(), None, layer.stride, layer.padding, layer.dilation, channels)
    assert_same(taken, [y, *torch.autograd.grad(y, (x, layer.weight), g.double())])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 40), sides, sides, strides, seeds)
def test_max_pooling_and_its_gradient_are_pytorchs(images, channels, height, width, stride, seed):
    torch.manual_seed(seed)
    x = torch.randint(-3, 4, (images, channels, height, width)).float()  # many are alike: the first gets the gradient
    x = x.to(memory_format=torch.channels_last).requires_grad_()
    y = MaxPool2d(stride)(x)
    g = torch.randn_like(y)
    taken = [y, *torch.autograd.grad(y, x, g)]

    y = F.max_pool2d(x, 3, stride, padding=1)
    wanted = [y, *torch.autograd.grad(y, x, g)]
    assert torch.equal(taken[0], wanted[0])
    assert_same(taken, wanted)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 8), st.integers(1, 12), sides, seeds)
def test_mixture_and_its_gradients_are_pytorchs(sums, features, channels, side, seed):
    torch.manual_seed(seed)
    p = torch.rand(sums, features) * (torch.rand(sums, features) > 0.3)
    p[:, 0] = 0.5  # every sum has something
    p.requires_grad_()
    given = [maps(3, channels, side, side) for _ in range(features)]
    made = weighted_sums(p, given)
    g = [torch.randn_like(one) for one in made]
    taken = [*made, *torch.autograd.grad(made, (p, *given), g)]

    made = list(torch.einsum("jk,knchw->jnchw", p.double(), torch.stack(given).double()))
    of_p, *of_features = torch.autograd.grad(made, (p, *given), [one.double() for one in g])
    assert_same(taken, [*made, of_p * (p != 0), *of_features])
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("entrannas.core.kernels.c.library.loops", lambda: None)  # as on other devices
    plain = weighted_sums(p, given)
    monkeypatch.undo()
    assert_same([*plain, *torch.autograd.grad(plain, (p, *given), g)], taken)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(1, 40), sides, st.booleans(), st.floats(-100, 100), seeds)
def test_batch_norm_its_gradients_and_statistics_are_pytorchs(images, channels, side, affine, centre, seed):
    torch.manual_seed(seed)
    images += side == 1  # a single value has no variance
    x = maps(images, channels, side, side)
    x.data += centre
    g = torch.randn_like(x)
    taken, wanted = [], []
    ours, plain = BatchNorm2d(channels, affine=affine), nn.BatchNorm2d(channels, affine=affine).double()
    for parameter in ours.parameters():
        nn.init.uniform_(parameter)
    plain.load_state_dict(ours.state_dict())
    for layer, results in ((ours, taken), (plain, wanted)):
        y = layer(x.to(layer.running_mean.dtype))
        of_inputs = torch.autograd.grad(y, (x, *layer.parameters()), g.to(y.dtype))
        results += [y, *of_inputs, layer.running_mean, layer.running_var]
        assert layer.num_batches_tracked == 1
    assert_same(taken, wanted)


def test_the_threads_do_not_change_a_bit(monkeypatch):
    layer = ReluDepthwise(20, 5, 1, 1)
    x, p = maps(33, 20, 9, 9), torch.rand(2, 3, requires_grad=True)
    taken = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        y = sum(weighted_sums(p, [x, BatchNorm2d(20)(layer(x)), MaxPool2d(1)(x)]))
        taken.append([y, *torch.autograd.grad(y.square().sum(), (x, layer.weight, p))])
    for others in taken[1:]:
        assert all(torch.equal(one, other) for one, other in zip(taken[0], others, strict=True))


def test_what_is_not_a_number_stays_so():
    x = torch.full((1, 16, 3, 3), float("nan")).to(memory_format=torch.channels_last).requires_grad_()
    assert ReluDepthwise(16, 3, 1, 1)(x).isnan().all()
    assert MaxPool2d(1)(x).isnan().all()


def test_a_network_can_be_compiled_and_exported():
    size = {"cells": 3, "channels": 4}
    network = build_network(load_genotype("darts-v2"), **size, drop_path=0.2).to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 16, 16).to(memory_format=torch.channels_last)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    for network.drop_path in (0.0, 0.2):
        compiled(images).sum().backward()
    network.eval()
    torch.testing.assert_close(torch.export.export(network, (images,)).module()(images), network(images))


@pytest.mark.parametrize("compiler", [None, "#!/bin/sh\nexit 1\n"], ids=["none", "one that fails"])
def test_without_a_compiler_it_is_pytorchs(monkeypatch, tmp_path, compiler):
    if compiler is not None:
        (tmp_path / "cc").write_text(compiler)
        (tmp_path / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    c.loops.cache_clear()
    try:
        x, layer = maps(2, 4, 5, 5), ReluDepthwise(4, 3, 1, 1)
        assert not c.applies(x) and c.missing(x.device)
        torch.testing.assert_close(layer(x), F.conv2d(x.relu(), layer.weight, padding=1, groups=4))
    finally:
        c.loops.cache_clear()
