import pytest
import torch
from torch import Tensor

from entrannas.genotype import Genotype, load_genotype
from entrannas.methods import METHODS
from entrannas.networks import SuperNet, build_network, cell_kinds
from entrannas.replay import Replay
from entrannas.runtime import start
from entrannas.searcher import Searcher
from entrannas.spaces import SPACES
from entrannas.training import TrainConfig, training_step

SPACE = SPACES["darts"]
NEVER = float("inf")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: nothing is recorded")


def _batch(seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    images = torch.randn(4, 3, 16, 16, generator=random).to("cuda", memory_format=torch.channels_last)
    return images, torch.randint(10, (4,), generator=random).cuda()


def test_what_is_not_on_cuda_is_run_as_it_is() -> None:
    replay, calls = Replay(after=0), []
    for number in range(3):
        assert replay("key", lambda x: (x, calls.append(1)), torch.tensor(number))[0] == number
    assert len(calls) == 3 and not replay.known


@needs_cuda
@pytest.mark.parametrize("method", ["entrannas", "entrannas-dst", "gdas"])
def test_a_search_from_recordings_is_the_search_bit_by_bit(method: str) -> None:
    def search(after: float) -> tuple[list[Tensor], dict[str, Tensor], Replay]:
        row, losses = METHODS[method], []
        space = SPACE.without_none() if row.thresholds else SPACE
        torch.manual_seed(0)
        supernet = SuperNet(space, row.engines(cell_kinds(3)), row.share_features, 3, 4, 10, 3)
        searcher = Searcher(start("cuda", "32-true"), row, space, supernet, seed=0)
        searcher.replay = Replay(after, kept=2)  # fewer than there are: some are dropped and made again
        searcher.set_rates(0.01, 0.01)
        for group in searcher.weights_optimizer.param_groups:
            group["lr"] = 0.1
        cell = searcher.derive().normal
        genotypes = [searcher.derive(), Genotype(*[load_genotype("darts-v2").normal] * 2), Genotype(cell, cell)]
        for step in range(18):
            genotype = genotypes[step // 6 if step < 12 else step % 3]
            losses.append(searcher.weights_step(*_batch(step), genotype)[0])
            losses.append(searcher.alpha_step(*_batch(100 + step), genotype)[0])
        return losses, searcher.state(), searcher.replay

    launched, recorded = search(NEVER), search(1)
    assert recorded[0] == launched[0]
    for name, tensor in launched[1].items():
        assert torch.equal(recorded[1][name], tensor), name
    assert launched[2].latest is None
    assert method == "gdas" or recorded[2].latest is not None


@needs_cuda
def test_a_training_from_recordings_is_the_training_bit_by_bit() -> None:
    def train(replay: Replay) -> list[Tensor]:
        fabric, config = start("cuda", "32-true"), TrainConfig(auxiliary=0.4)
        torch.manual_seed(0)
        network = build_network(load_genotype("darts-v2"), cells=3, channels=4, auxiliary=True).cuda()
        network.to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        losses = []
        for step in range(8):
            network.drop_path = 0.1 if step < 4 else 0.2
            losses.append(training_step(fabric, network, optimizer, config, replay, *_batch(step))[0])
        return losses + [parameter.detach() for parameter in network.parameters()]

    recorded = Replay(after=1)
    for one, other in zip(train(Replay(NEVER)), train(recorded), strict=True):
        assert torch.equal(one, other)
    assert recorded.latest is not None
