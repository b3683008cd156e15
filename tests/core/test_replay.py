from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from entrannas.core.genotype import PUBLISHED, Genotype
from entrannas.core.methods import METHODS
from entrannas.core.optimisation import set_lr
from entrannas.core.recipe import Recipe
from entrannas.core.replay import Replay
from entrannas.core.schedules import Hyperparameters
from entrannas.core.searcher import Searcher
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES
from entrannas.core.trainer import Trainer
from entrannas.runs.device import start

from ..gpu import Block, Gpu

NEVER = float("inf")
X = torch.zeros(2)


def _pass(gpu: Gpu, maps: int, output: int = 1) -> Callable[[Tensor], tuple[Any, ...]]:
    """A pass that holds so many maps of one GiB at once, and leaves an output."""

    def run(x: Tensor) -> tuple[Any, ...]:
        held = [Block(gpu, 1) for _ in range(maps)]
        del held
        return (Block(gpu, output),)

    return run


def test_what_is_not_on_a_gpu_is_run_as_it_is() -> None:
    replay, calls = Replay(after=0), []
    for number in range(3):
        assert replay("key", lambda x: (x, calls.append(1)), torch.tensor(number))[0] == number
    assert len(calls) == 3
    assert replay.passes() == {"launched": 3, "recorded": 0, "replayed": 0}
    assert replay.passes() == {"launched": 0, "recorded": 0, "replayed": 0}


def test_all_passes_share_a_stream_and_a_pool_and_hold_little_more_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the architecture changes: ten keys, of which some come back after they were dropped."""
    gpu, replay = Gpu(monkeypatch), Replay(after=2, kept=3)
    for key in [*range(10), *range(10)]:
        for _ in range(5):
            replay(key, _pass(gpu, maps=40 + key), X)
    assert (len(gpu.streams), len(gpu.pools), gpu.recordings) == (1, 1, 20)
    assert replay.passes() == {"launched": 40, "recorded": 20, "replayed": 40}
    assert {place for place, sizes in gpu.free.items() if sizes} == {(gpu.pools[0].id, gpu.streams[0])}
    assert gpu.peak <= 49 + 5  # the largest, the outputs of those kept, of the one that comes and of the last launch


def test_the_memory_of_recordings_that_were_dropped_goes_to_those_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, replay = Gpu(monkeypatch), Replay(after=0, kept=2)
    for key in range(50):
        replay(key, _pass(gpu, maps=1, output=10), X)
    assert gpu.recordings == 50 and gpu.peak <= 1 + 3 * 10
    replay.forget()
    assert gpu.reserved == sum(map(sum, gpu.free.values())), "nothing is held any more"
    replay("again", _pass(gpu, maps=1, output=10), X)
    assert gpu.peak <= 1 + 3 * 10


def test_where_a_recording_does_not_fit_the_run_goes_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    gpu, replay = Gpu(monkeypatch, capacity=100), Replay(after=1, kept=8, say=said.append)
    for key in range(6):
        for _ in range(3):
            (block,) = replay(key, _pass(gpu, maps=40, output=15), X)
            assert block.size == 15
            del block
    assert said == ["recordings do not fit into the GPU's memory: going on without them, which is slower"]
    assert gpu.pool is None and gpu.stream is gpu.main and not gpu.capturing
    passes = replay.passes()
    assert passes["recorded"] == 4 and sum(passes.values()) == 18
    recordings = gpu.recordings
    replay("more", _pass(gpu, maps=99), X)
    assert gpu.recordings == recordings, "nothing is recorded any more, and all memory is there for launches"


def test_a_pass_that_does_not_fit_at_all_is_an_error_and_leaves_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(monkeypatch, capacity=10)
    with pytest.raises(torch.OutOfMemoryError):
        Replay()("key", _pass(gpu, maps=11), X)
    assert gpu.pool is None and gpu.stream is gpu.main


def _batch(seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    images = torch.randn(4, 3, 16, 16, generator=random).to("cuda", memory_format=torch.channels_last)
    return images, torch.randint(10, (4,), generator=random).cuda()


@pytest.mark.cuda
@pytest.mark.parametrize("method", ["entrannas", "entrannas-dst", "gdas"])
def test_a_search_from_recordings_is_the_search_bit_by_bit(method: str) -> None:
    def search(after: float) -> tuple[list[Tensor], dict[str, Tensor], dict[str, int]]:
        row, losses = METHODS[method], []
        compute = start("cuda", "32-true")
        torch.manual_seed(0)
        replay = Replay(after, kept=2)  # fewer than there are: some are dropped and made again
        searcher = Searcher.build(compute, row, SPACES["darts"], Size(3, channels=4, num_classes=10), replay=replay)
        searcher.set_hyperparameters(Hyperparameters(0.1, 0.01, 0.01, row.tau[0]))
        cell = searcher.derive().normal
        genotypes = [searcher.derive(), Genotype(*[PUBLISHED["darts-v2"].normal] * 2), Genotype(cell, cell)]
        for step in range(18):
            genotype = genotypes[step // 6 if step < 12 else step % 3]
            losses.append(searcher.weights_step(*_batch(step), genotype)[0])
            losses.append(searcher.alpha_step(*_batch(100 + step), genotype)[0])
        return losses, searcher.state(), replay.passes()

    launched, recorded = search(NEVER), search(1)
    assert recorded[0] == launched[0]
    for name, tensor in launched[1].items():
        assert torch.equal(recorded[1][name], tensor), name
    assert launched[2] == {"launched": 36, "recorded": 0, "replayed": 0}
    assert method == "gdas" or (recorded[2]["recorded"] >= 4 and recorded[2]["replayed"] >= 4)


def _train(replay: Replay, steps: int = 8) -> list[Tensor]:
    compute = start("cuda", "32-true")
    torch.manual_seed(0)
    trainer = Trainer.build(compute, PUBLISHED["darts-v2"], Size(3, 4, 10), Recipe(), replay)
    losses = []
    for step in range(steps):
        trainer.network.drop_path = step // 3 * 0.1
        set_lr(trainer.optimizer, 0.1)
        losses.append(trainer.step(*_batch(step))[0])
    return losses + [parameter.detach() for parameter in trainer.network.parameters()]


@pytest.mark.cuda
def test_a_training_from_a_recording_is_the_training_bit_by_bit() -> None:
    recorded = Replay(after=1)
    for one, other in zip(_train(Replay(NEVER)), _train(recorded), strict=True):
        assert torch.equal(one, other)
    assert recorded.passes() == {"launched": 1, "recorded": 1, "replayed": 6}, "drop path rises, the recording stays"


@pytest.mark.cuda
def test_many_architectures_reserve_little_more_than_one_pass() -> None:
    """Passes of more and more maps of one size, as architectures have them."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    replay, held = Replay(after=2, kept=3), torch.cuda.memory_reserved()
    x = torch.zeros(8 << 20, device="cuda")
    for key in range(12):
        for _ in range(4):
            replay(key, lambda x, key=key: (torch.stack([y.sum() for y in [x + 1 for _ in range(8 + key)]]),), x)
    assert replay.passes() == {"launched": 24, "recorded": 12, "replayed": 12}
    assert torch.cuda.max_memory_reserved() - held < 1.5 * (8 + 11 + 3) * x.nbytes  # the maps, and the inputs kept


@pytest.mark.cuda
def test_where_a_recording_does_not_fit_on_a_gpu_what_follows_is_as_launched() -> None:
    """The limit is reached within a recording: it is ended, its memory goes back, and draws go on as they were."""
    said: list[str] = []
    replay = Replay(after=2, say=said.append)

    def draw(x: Tensor) -> tuple[Tensor]:
        if torch.cuda.is_current_stream_capturing():
            torch.cuda.set_per_process_memory_fraction(1e-6)
            torch.empty(1 << 28, device="cuda")
        return (x + torch.rand_like(x),)

    def emptied() -> None:
        torch.cuda.set_per_process_memory_fraction(1.0)
        emptying()

    emptying, x = torch.cuda.empty_cache, torch.zeros(1 << 10, device="cuda")
    torch.manual_seed(0)
    expected = [x + torch.rand_like(x) for _ in range(6)]
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "empty_cache", emptied)
        drawn = [replay("draw", draw, x)[0].clone() for _ in range(6)]
    assert len(said) == 1 and replay.passes() == {"launched": 6, "recorded": 0, "replayed": 0}
    assert all(torch.equal(one, other) for one, other in zip(drawn, expected, strict=True))
