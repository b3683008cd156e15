import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrannas.core.costs import cost
from entrannas.core.counting import Cost, Place, places, target_cost
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.network import Network, build_network
from entrannas.core.operations import OPERATIONS
from entrannas.core.size import Size
from entrannas.runs.genotypes import load_genotype

from ..strategies import built_genotypes, stacks

sizes = stacks(8)


@settings(max_examples=60)
@given(built_genotypes, sizes, st.tuples(st.integers(1, 37), st.integers(1, 37)))
def test_the_sum_is_what_the_network_takes(genotype: Genotype, size: Size, image: tuple[int, int]) -> None:
    network = Network(genotype, size, auxiliary=True, drop_path=0.0)
    assert target_cost(genotype, size, image) == cost(network, (size.in_channels, *image))


@pytest.mark.parametrize(
    ("name", "size", "side", "expected"),
    [
        ("darts-v2", Size(20, 36, 10), 32, Cost(3_349_342, 528_359_040)),
        ("darts-v2", Size(14, 48, 1000, stem="imagenet"), 224, Cost(4_718_752, 529_911_552)),
    ],
)
def test_published_sizes(name: str, size: Size, side: int, expected: Cost) -> None:
    assert target_cost(load_genotype(name), size, (side, side)) == expected


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", ["normal", "reduction"])
def test_a_connection_more_costs_what_it_is_said_to(kind: str, operation: str) -> None:
    """Wherever it begins: what leaves an input node of a reduction cell has stride 2."""
    genotype, size, image = load_genotype("darts-v1"), Size(6, 5, 10), (13, 9)
    cell, text = genotype.cells[kind], genotype.to_json()
    stack = list(places(genotype.normal.skeleton, {"normal": 4, "reduction": 4}, size, image))
    for source in (0, 1, 2):
        line = text.index(f'"{kind}"') + text[text.index(f'"{kind}"') :].index('"input": 2')
        end = text.index("]", line)
        longer = f'{text[:end]}, {{"input": {source}, "operation": "{operation}"}}{text[end:]}'
        more = [place.connection(source, operation) for place in stack if place.kind == kind]
        assert cell.inputs == 2 and len(more) > 1
        with_it = target_cost(Genotype.from_json(longer), size, image)
        assert with_it == sum(more, target_cost(genotype, size, image))


def test_an_unknown_operation_is_refused_as_by_the_network() -> None:
    genotype = load_genotype(load_genotype("darts-v2").to_json().replace("dil_conv_3x3", "conv_9x9"))
    with pytest.raises(InputError) as counted:
        target_cost(genotype, Size(8, 16, 10), (32, 32))
    with pytest.raises(InputError) as built:
        build_network(genotype)
    assert str(counted.value) == str(built.value)
    assert "node 5 of the normal cell has an unknown operation 'conv_9x9'" in str(built.value)


def test_nothing_is_computed_by_torch() -> None:
    code = "import sys, entrannas.core.counting; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert Place.__module__ == "entrannas.core.counting"
