"""The compiled loops against PyTorch's own operations in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from entrannas import depthwise
from entrannas.operations import ReluDepthwise

pytestmark = pytest.mark.skipif(depthwise.loops() is None, reason="no C compiler here")


@settings(max_examples=60, deadline=None)
@given(
    images=st.integers(1, 20),
    channels=st.integers(1, 40),
    height=st.integers(1, 11),
    width=st.integers(1, 11),
    kernel=st.sampled_from([3, 5, 7]),
    stride=st.sampled_from([1, 2]),
    dilation=st.sampled_from([1, 2]),
    seed=st.integers(0, 2**32),
)
def test_output_and_gradients_are_pytorchs(images, channels, height, width, kernel, stride, dilation, seed):
    torch.manual_seed(seed)
    layer = ReluDepthwise(channels, kernel, stride, dilation)
    x = torch.randn(images, channels, height, width).to(memory_format=torch.channels_last).requires_grad_()
    assert depthwise.applies(x, kernel)
    y = layer(x)
    g = torch.randn_like(y)
    taken = [y, *torch.autograd.grad(y, (x, layer.weight), g)]

    geometry = layer.stride, layer.padding, layer.dilation, channels
    y = F.conv2d(x.double().relu(), layer.weight.double(), None, *geometry)
    wanted = [y, *torch.autograd.grad(y, (x, layer.weight), g.double())]
    for one, other in zip(taken, wanted, strict=True):
        scale = float(other.detach().abs().max()) + 1
        torch.testing.assert_close(one.double(), other.double(), rtol=1e-4, atol=1e-5 * scale)


def test_the_threads_do_not_change_a_bit(monkeypatch):
    layer = ReluDepthwise(20, 5, 1, 1)
    x = torch.randn(33, 20, 9, 9).to(memory_format=torch.channels_last).requires_grad_()
    taken = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        y = layer(x)
        taken.append([y, *torch.autograd.grad(y.square().sum(), (x, layer.weight))])
    for others in taken[1:]:
        assert all(torch.equal(one, other) for one, other in zip(taken[0], others, strict=True))


def test_what_is_not_a_number_stays_so():
    x = torch.full((1, 16, 3, 3), float("nan")).to(memory_format=torch.channels_last).requires_grad_()
    assert ReluDepthwise(16, 3, 1, 1)(x).isnan().all()


def test_without_a_compiler_it_is_pytorchs(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    depthwise.loops.cache_clear()
    try:
        x = torch.randn(2, 4, 5, 5).to(memory_format=torch.channels_last).requires_grad_()
        layer = ReluDepthwise(4, 3, 1, 1)
        assert not depthwise.applies(x, 3)
        torch.testing.assert_close(layer(x), F.conv2d(x.relu(), layer.weight, padding=1, groups=4))
    finally:
        depthwise.loops.cache_clear()


def test_a_compiler_that_fails_is_as_none(monkeypatch, tmp_path):
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    depthwise.loops.cache_clear()
    try:
        assert depthwise.loops() is None
    finally:
        depthwise.loops.cache_clear()
