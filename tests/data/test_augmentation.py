from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from entrannas.core.seeds import generator
from entrannas.data.augmentation import Augmentation
from entrannas.data.settings import DataSettings
from entrannas.data.training_data import load_training_data, ordered_batches

CPU = torch.device("cpu")


def test_normalisation_is_measured(cifar10: Path) -> None:
    """The published figures of CIFAR-10's training set."""
    images = load_training_data(DataSettings(str(cifar10)), CPU)
    assert images.images.shape == (3, 32, 32) and len(images.images) == 50_000
    assert images.normalisation.mean == pytest.approx((0.49139968, 0.48215827, 0.44653124), abs=1e-6)
    assert images.normalisation.std == pytest.approx((0.24703233, 0.24348505, 0.26158768), abs=1e-6)
    assert images.classes[3] == "cat"


def test_normalised_training_set_has_mean_0_and_deviation_1() -> None:
    learned = load_training_data(DataSettings("digits"), CPU)
    ((batch, _),) = ordered_batches(learned.images, 2000, learned.normalisation)
    assert abs(batch.mean()) < 1e-5 and abs(batch.std() - 1) < 1e-3
    assert batch.is_contiguous(memory_format=torch.channels_last)


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([0, 0.125, 0.5]), st.booleans())
def test_crop_is_a_window_of_the_padded_image(height: int, width: int, padding: float, flip: bool) -> None:
    images = torch.randint(1, 256, (6, 3, height, width), dtype=torch.uint8)
    cropped = Augmentation(padding, flip, 0).crop(images, generator("crop", height, width))
    assert cropped.shape == images.shape and cropped.dtype == torch.uint8
    border = round(padding * max(height, width))
    padded = torch.nn.functional.pad(images, (border,) * 4)
    for before, after in zip(padded, cropped, strict=True):
        windows = [
            before[:, top : top + height, left : left + width]
            for top in range(2 * border + 1)
            for left in range(2 * border + 1)
        ]
        assert any(torch.equal(after, w) or (flip and torch.equal(after, w.flip(2))) for w in windows)


def test_augmentation_uses_its_range() -> None:
    images = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8).repeat(500, 1, 1, 1)
    cropped = Augmentation(0.125, True, 0).crop(images, generator("range"))
    assert len(cropped.unique(dim=0)) == 2 * 3 * 3


def test_cutout_sets_a_square_to_the_mean() -> None:
    cut = Augmentation(0, False, 0.5).cut(torch.ones(300, 3, 8, 8), generator("cutout"))
    zeros = (cut == 0).all(dim=1)
    assert torch.equal(zeros, (cut == 0).any(dim=1))
    counts = zeros.sum(dim=(1, 2))
    assert counts.max() == 16 and counts.min() == 4  # whole, and a quarter in a corner
    assert torch.equal(Augmentation(0, False, 0).cut(cut, generator("none")), cut)
