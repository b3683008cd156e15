from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from entrannas.core.costs import cost
from entrannas.core.counting import Cost
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.network import Network, build_network
from entrannas.core.skeletons import Stem
from entrannas.runs.genotypes import load_genotype

from ..strategies import genotypes

DARTS = load_genotype("darts-v2")


@pytest.mark.parametrize("auxiliary", [False, True])
def test_darts_v2_on_cifar_has_the_published_size(auxiliary: bool) -> None:
    assert cost(build_network(DARTS, auxiliary=auxiliary), (3, 32, 32)) == Cost(3_349_342, 528_359_040)


def test_darts_v2_on_imagenet_has_the_published_size() -> None:
    network = build_network(DARTS, num_classes=1000, cells=14, channels=48, stem="imagenet")
    assert cost(network, (3, 224, 224)) == Cost(4_718_752, 529_911_552)


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_auxiliary_head_is_the_darts_family_s(stem: Stem) -> None:
    """A 1 x 1 convolution to 128, a 2 x 2 one to 768, a linear layer; on ImageNet one norm only."""
    head = build_network(DARTS, channels=4, cells=5, stem=stem, auxiliary=True).auxiliary_head
    convolutions = 64 * 128 + 128 * 768 * 4 + 768 * 10 + 10
    norms = 2 * 128 + (2 * 768 if stem == "cifar" else 0)
    assert sum(p.numel() for p in head.parameters()) == convolutions + norms


@settings(max_examples=15)
@given(genotypes)
def test_any_number_of_connections_builds_and_runs(genotype: Genotype) -> None:
    network = build_network(genotype, num_classes=7, cells=3, channels=4, in_channels=1, auxiliary=True, drop_path=0.3)
    logits, auxiliary = network(torch.randn(2, 1, 9, 9))
    assert logits.shape == auxiliary.shape == (2, 7)
    (logits.sum() + auxiliary.sum()).backward()
    for kind, cell in zip(genotype.normal.skeleton.cell_kinds(3), network.cells, strict=True):
        expected = Counter(c.operation for _, connections in genotype.cells[kind].by_node() for c in connections)
        assert len(cell.operations) == expected.total()  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 2, 5, 8, 13, 32, 40])
def test_any_image_size(size: int) -> None:
    network = build_network(DARTS, cells=5, channels=4, auxiliary=True)
    logits, auxiliary = network(torch.randn(2, 3, size, size))
    assert logits.shape == auxiliary.shape == (2, 10)
    assert network.eval()(torch.randn(2, 3, size, size)).shape == (2, 10)


def test_drop_path_is_for_training() -> None:
    torch.manual_seed(0)
    network = build_network(DARTS, cells=3, channels=4, drop_path=0.5).double()
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


def test_unknown_operation_is_named() -> None:
    text = DARTS.to_json().replace("dil_conv_3x3", "conv_9x9")
    with pytest.raises(InputError, match=r"node 5 of the normal cell has an unknown operation 'conv_9x9'"):
        build_network(load_genotype(text))


def test_drop_path_masks_whole_feature_maps_and_keeps_the_expectation() -> None:
    from entrannas.core.cells import _drop_path

    torch.manual_seed(0)
    dropped = _drop_path(torch.ones(2000, 3, 2, 2), torch.tensor(0.75))
    each = dropped.flatten(1)
    assert ((each == 0).all(1) | (each == 1 / 0.75).all(1)).all()
    assert abs(dropped.mean() - 1) < 0.05


def test_network_is_a_plain_module() -> None:
    network = build_network(DARTS, cells=3, channels=4)
    assert isinstance(network, Network) and isinstance(network, nn.Module)
    again = build_network(DARTS, cells=3, channels=4)
    again.load_state_dict(network.state_dict())
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(network.eval()(images), again.eval()(images))


def _nasbench201(operations: dict[tuple[int, int], str]) -> Genotype:
    names = [[f"{operations.get((i, j), 'none')}~{i}" for i in range(j)] for j in (1, 2, 3)]
    return load_genotype("+".join(f"|{'|'.join(node)}|" for node in names))


EDGES = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]


@pytest.mark.parametrize(
    ("operations", "parameters", "multiply_adds"),
    [
        ({}, 0, 0),
        (dict.fromkeys(EDGES, "skip_connect"), 0, 0),
        (dict.fromkeys(EDGES, "avg_pool_3x3"), 0, 0),
        (dict.fromkeys(EDGES, "nor_conv_3x3"), 6 * 9, 6 * 9),
        (dict.fromkeys(EDGES, "nor_conv_1x1"), 6, 6),
        (dict.fromkeys(EDGES, "nor_conv_3x3") | {(0, 3): "skip_connect"}, 5 * 9, 5 * 9),
        ({(0, 3): "nor_conv_1x1", (0, 1): "nor_conv_3x3", (1, 3): "avg_pool_3x3"}, 10, 10),
    ],
)
def test_nasbench201_at_its_size(operations: dict[tuple[int, int], str], parameters: int, multiply_adds: int) -> None:
    """16 channels and 5 cells a stage; `parameters` and `multiply_adds` are kernel entries a cell.

    Around the cells: a stem of 3 x 3 to 16 with its norm; two reductions of 3 x 3 at half size, 3 x 3, and a 1 x 1
    shortcut; the last norm and the classifier. A convolution over c channels of a map of s x s has c * c entries a
    kernel entry, a norm 2c, and c * c * s * s multiply-adds.
    """
    stages = [(16, 32), (32, 16), (64, 8)]
    convolutions = sum("conv" in operation for operation in operations.values())
    expected = 3 * 16 * 9 + 2 * 16 + 2 * 64 + 64 * 10 + 10
    adds = 3 * 16 * 9 * 32 * 32 + 64 * 10
    for (before, _), (channels, size) in pairwise(stages):
        kernels = 9 * before * channels + 9 * channels * channels + before * channels
        expected += kernels + 2 * 2 * channels
        adds += kernels * size * size
    for channels, size in stages:
        expected += 5 * (parameters * channels * channels + convolutions * 2 * channels)
        adds += 5 * multiply_adds * channels * channels * size * size
    network = build_network(_nasbench201(operations), cells=15, channels=16)
    assert cost(network, (3, 32, 32)) == Cost(expected, adds)


def test_the_smallest_of_nasbench201_has_the_published_size() -> None:
    """0.073 million parameters and 7.78 million multiply-adds, in the benchmark's own list."""
    small = _nasbench201(dict.fromkeys(EDGES, "skip_connect"))
    assert cost(build_network(small, cells=15, channels=16), (3, 32, 32)) == Cost(73_306, 7_783_040)


def test_a_cell_cut_off_from_its_input_still_trains() -> None:
    network = build_network(_nasbench201({(0, 1): "nor_conv_3x3"}), cells=3, channels=4)
    network(torch.randn(2, 3, 8, 8)).sum().backward()
    assert network.classifier.bias.grad.abs().sum() > 0
