"""What properties are checked on: genotypes, architecture variables, thresholds."""

from dataclasses import replace
from typing import Literal

import torch
from hypothesis import strategies as st
from torch import Tensor

from entrannas.core.genotype import CellGenotype, Connection, Genotype
from entrannas.core.operations import OPERATIONS
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES, SearchSpace

operations = st.sampled_from(["sep_conv_3x3", "skip_connect", "max_pool_3x3", "dil_conv_5x5"])


@st.composite
def cells(draw: st.DrawFn, most: int = 5) -> CellGenotype:
    count = draw(st.integers(1, 5))
    nodes = tuple(
        tuple(Connection(draw(st.integers(0, node - 1)), draw(operations)) for _ in range(draw(st.integers(1, most))))
        for node in range(2, 2 + count)
    )
    output = draw(st.lists(st.integers(2, 2 + count - 1), min_size=1, unique=True))
    return CellGenotype(nodes, tuple(output))


genotypes = st.builds(Genotype, cells(), cells())


@st.composite
def _cells_of_all_operations(draw: st.DrawFn, inputs: Literal[1, 2]) -> CellGenotype:
    """A cell of any of the operations; one of a single input may have nodes at which nothing arrives."""
    count = draw(st.integers(1, 4))
    connections = [
        st.builds(Connection, st.integers(0, node - 1), st.sampled_from(list(OPERATIONS)))
        for node in range(inputs, inputs + count)
    ]
    nodes = tuple(tuple(draw(st.lists(one, min_size=inputs - 1, max_size=4))) for one in connections)
    output = draw(st.lists(st.integers(inputs, inputs + count - 1), min_size=1, unique=True))
    return CellGenotype(nodes, tuple(output), inputs)


built_genotypes = st.builds(Genotype, *[_cells_of_all_operations(2)] * 2) | st.builds(
    Genotype, _cells_of_all_operations(1)
)
"""Of both skeletons and all operations of which a network is built."""


@st.composite
def alphas(draw: st.DrawFn, space: SearchSpace = SPACES["darts"]) -> Tensor:
    seed = draw(st.integers(0, 2**32 - 1))
    scale = draw(st.sampled_from([1e-3, 1.0, 30.0]))
    shape = len(space.edges), len(space.operations)
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@st.composite
def thresholded(draw: st.DrawFn, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, float, SearchSpace]:
    """Alpha, beta, tau and a space of 2 to 5 nodes, none of them spared the extremes."""
    space = replace(SPACES[draw(st.sampled_from(["darts", "darts-extended"]))], nodes=draw(st.integers(2, 5)))
    space = space.without_none()
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.0, 1e-3, 0.3, 3.0, 1000.0]))
    alpha = scale * torch.randn(len(space.edges), len(space.operations), generator=random, dtype=dtype)
    betas = st.floats(-10, 10) | st.sampled_from([-1e30, -1000.0, 20.0, 1000.0, 1e30])
    beta = torch.tensor([draw(betas) for _ in range(space.nodes)], dtype=dtype)
    return alpha, beta, draw(st.sampled_from([0.1, 1.0, 5.0])), space


def stacks(most_cells: int) -> st.SearchStrategy[Size]:
    """Draw how large a small stack is."""
    return st.builds(
        Size,
        cells=st.integers(1, most_cells),
        channels=st.integers(2, 9),
        num_classes=st.integers(1, 12),
        in_channels=st.sampled_from([1, 3]),
        stem=st.sampled_from(["cifar", "imagenet"]),
    )
