import pytest
import torch
from torch import nn

from entrannas.core.size import Size
from entrannas.core.skeletons import DARTS, NASBENCH201, Skeleton
from entrannas.core.stack import build_head, build_stem

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("skeleton", "width"), [(DARTS, 24), (NASBENCH201, 8)])
def test_the_stem_for_small_images_gives_one_map_at_full_size(skeleton: Skeleton, width: int) -> None:
    stem = build_stem(Size(cells=3, channels=8, num_classes=2), skeleton, affine=True)
    farther, nearer = stem(IMAGES)
    assert farther is nearer and farther.shape == (2, width, 32, 32)


def test_the_stem_for_large_images_gives_a_quarter_and_of_that_a_half() -> None:
    stem = build_stem(Size(cells=3, channels=8, num_classes=2, stem="imagenet"), DARTS, affine=True).eval()
    farther, nearer = stem(IMAGES)
    assert farther.shape == (2, 8, 8, 8) and nearer.shape == (2, 8, 4, 4)
    for at in (farther, nearer):
        assert (at.flatten(1).std(dim=1) > 0).all() and not torch.allclose(at[0], at[1])
    torch.testing.assert_close(nearer, stem.eighth(farther))  # type: ignore[operator]
    assert [m.stride for m in stem.modules() if isinstance(m, nn.Conv2d)] == [(2, 2)] * 3


@pytest.mark.parametrize("affine", [True, False])
def test_the_head_is_that_of_the_skeleton(affine: bool) -> None:
    assert isinstance(build_head(8, DARTS, affine), nn.Identity)
    norm, rectifier = build_head(8, NASBENCH201, affine).children()
    assert isinstance(norm, nn.BatchNorm2d) and norm.affine is affine and isinstance(rectifier, nn.ReLU)
