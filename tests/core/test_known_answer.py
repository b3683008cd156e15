"""Searches whose best operation is known, since no other of the space can tell the classes apart.

The images are noise that repeats itself every few pixels, along the rows in one class and along the columns in the
other: in a window no wider than the period, both are the same noise. A network of one cell of one connection, without
a ReLU behind it, averages over all windows what is nonlinear in them, so what sees no wider window has nothing to
learn from. The stem sees 3 pixels and is linear; a pooling adds 2 pixels, a separable convolution what its first half
does, since its second half is linear.
"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from entrannas.core.device import Compute
from entrannas.core.methods import METHODS
from entrannas.core.schedules import Hyperparameters
from entrannas.core.searcher import Searcher
from entrannas.core.size import Size
from entrannas.core.skeletons import NASBENCH201
from entrannas.core.spaces import SearchSpace

ALONE = replace(NASBENCH201, stem_width=4, head=False)  # the one cell's width, so that no reduction comes before it
KINDS = ALONE.cell_kinds(1)
SEES_NO_MORE_THAN_3 = ("none", "skip_connect", "avg_pool_3x3", "conv_3x3")
SEES_NO_MORE_THAN_5 = (*SEES_NO_MORE_THAN_3, "max_pool_3x3", "sep_conv_3x3")
TRAVEL = 4.0  # how far an alpha can go
LEARNING = [name for name, row in METHODS.items() if row.engines(KINDS)]


def _batch(period: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    noise = torch.randint(0, 2, (32, 1, 4 * period, period), generator=random) * 2.0 - 1
    images, labels = noise.repeat(1, 1, 1, 4), torch.arange(32) % 2
    images[labels == 1] = images[labels == 1].transpose(2, 3)
    return images.to(memory_format=torch.channels_last), labels


def _search(method: str, operations: tuple[str, ...], period: int, steps: int) -> tuple[Searcher, float]:
    """Search as the method does, and return its accuracy on the alpha batches of the last quarter, all of them new."""
    torch.manual_seed(0)
    row, random = METHODS[method], torch.Generator().manual_seed(0)
    space = SearchSpace(operations, nodes=1, skeleton=ALONE, edges_kept=None)
    size = Size(cells=1, channels=2, num_classes=2, in_channels=1)
    searcher = Searcher.build(Compute(), row, space, size)
    right = []
    for step in range(steps):
        tau = row.tau[0] + (row.tau[1] - row.tau[0]) * step / steps
        target = 1.0 if row.thresholds else 0.0
        searcher.set_hyperparameters(Hyperparameters(0.1, TRAVEL / steps, 0.1, tau, target=target))
        genotype, batch = searcher.derive(), _batch(period, random)
        searcher.weights_step(*batch, genotype)
        if step >= row.warmup * steps:
            images, labels = _batch(period, random)
            _, logits = searcher.alpha_step(images, labels, genotype, batch)
            right.append((logits.argmax(dim=1) == labels).float().mean())
    return searcher, float(torch.stack(right[-steps // 4 :]).mean())


@pytest.mark.parametrize(
    ("others", "period", "best", "steps"),
    [
        (SEES_NO_MORE_THAN_3, 3, "sep_conv_3x3", 80),
        pytest.param(SEES_NO_MORE_THAN_5, 5, "sep_conv_5x5", 160, marks=[pytest.mark.slow, pytest.mark.long]),
    ],
)
@pytest.mark.parametrize("method", LEARNING)
def test_the_one_operation_that_can_tell_is_found(
    method: str, others: tuple[str, ...], period: int, best: str, steps: int
) -> None:
    searcher, accuracy = _search(method, (*others, best), period, steps)
    ((connection,),) = searcher.derive().normal.nodes
    assert connection.operation == best
    weights = dict(zip(searcher.space.operations, searcher.relax()["normal"][0].tolist(), strict=True))
    assert weights[best] > 0.6, weights
    assert accuracy > 0.7


@pytest.mark.parametrize(
    ("operations", "period"),
    [(SEES_NO_MORE_THAN_3, 3), pytest.param(SEES_NO_MORE_THAN_5, 5, marks=[pytest.mark.slow, pytest.mark.long])],
)
def test_without_it_nothing_can_be_told(operations: tuple[str, ...], period: int) -> None:
    _, accuracy = _search("entrannas", operations, period, 80)
    assert 0.4 < accuracy < 0.6


def test_a_draw_learns_nothing_of_what_could_be_found() -> None:
    searcher, _ = _search("random", (*SEES_NO_MORE_THAN_3, "sep_conv_3x3"), 3, 20)
    drawn = Searcher.build(searcher.compute, searcher.method, searcher.space, searcher.supernet.config.size)
    assert torch.equal(searcher.alpha["normal"], drawn.alpha["normal"])
    assert searcher.derive() == searcher.initial == drawn.initial
