import pytest
import torch

from entrannas.core.network import build_network
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES
from entrannas.latencies.harness import LANES, Lanes, image_of, spread, without
from entrannas.latencies.layers import Piece, Stack
from entrannas.runs.genotypes import load_genotype


def _pieces() -> list[Piece]:
    found: dict[Piece, None] = {}
    for space in SPACES.values():
        for stem in ("cifar", "imagenet"):
            stack = Stack.over(space, Size(3, 4, 10, 1, stem), (13, 9))  # type: ignore[arg-type]
            operations = tuple(name for name in space.operations if name != "none")
            found.update(dict.fromkeys(stack.pieces(operations)))
    return list(found)


@pytest.mark.parametrize("piece", _pieces(), ids=str)
@torch.no_grad()
def test_every_piece_fits_its_lanes_and_counts_there(piece: Piece) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, *image_of(piece))
    with_it, without_it = Lanes(piece, True).eval(), Lanes(without(piece), False).eval()
    assert with_it(images).shape == without_it(images).shape == (2, 1)
    assert image_of(without(piece)) == image_of(piece)
    names = [name for name, _ in with_it.named_parameters() if ".piece." not in name]
    assert names == [name for name, _ in without_it.named_parameters()]
    without_it.load_state_dict(dict(with_it.state_dict()), strict=False)
    assert len(with_it.lanes) == LANES and not torch.allclose(with_it(images), without_it(images))


@torch.no_grad()
def test_maps_neither_vanish_nor_overflow() -> None:
    torch.manual_seed(0)
    network = build_network(load_genotype("darts-v2"), cells=14, channels=4).eval()
    spread(network)
    for x in network.maps(torch.rand(1, 3, 32, 32)):
        assert 1e-3 < x.abs().mean() < 1e30
