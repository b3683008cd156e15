import pytest
import torch

from entrannas.core.errors import InputError
from entrannas.core.seeds import generator
from entrannas.data.augmentation import Augmentation
from entrannas.data.images import ResidentImages
from entrannas.data.settings import DataSettings
from entrannas.data.summary import Normalisation
from entrannas.data.training_data import load_training_data, training_batches

CPU = torch.device("cpu")


def test_subset_is_class_balanced_and_seeded() -> None:
    first = load_training_data(DataSettings("digits", subset=200, seed=0), CPU)
    again = load_training_data(DataSettings("digits", subset=200, seed=0), CPU)
    other = load_training_data(DataSettings("digits", subset=200, seed=1), CPU)
    fraction = load_training_data(DataSettings("digits", subset=0.5, seed=0), CPU)
    assert isinstance(first.images, ResidentImages) and isinstance(again.images, ResidentImages)
    assert len(first.images) == 200 and len(fraction.images) == 719
    assert first.images.labels.bincount().tolist() == [20] * 10
    assert torch.equal(first.images.images, again.images.images)
    assert isinstance(other.images, ResidentImages)
    assert not torch.equal(first.images.images, other.images.images)


@pytest.mark.parametrize(
    ("subset", "complaint"),
    [
        (9, "subset 9 is less than the 10 classes of digits: take one of each at least"),
        (0.002, "subset 3 is less than the 10 classes of digits: take one of each at least"),
        (2000, "subset 2000 is more than the 1438 training images of digits"),
    ],
)
def test_impossible_subset(subset: float, complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        load_training_data(DataSettings("digits", subset=subset, seed=0), CPU)
    assert str(caught.value) == complaint


def test_batches_shuffle_and_leave_what_does_not_fill_one() -> None:
    learned = load_training_data(DataSettings("digits", subset=50, seed=0), CPU)
    plain = Augmentation(0, False, 0), Normalisation((0.0,), (1.0,))
    places = torch.arange(50)
    batches = list(training_batches(learned.images, places, 16, *plain, generator("a")))
    assert [len(labels) for _, labels in batches] == [16, 16, 16]
    other = list(training_batches(learned.images, places, 16, *plain, generator("b")))
    assert not torch.equal(batches[0][0], other[0][0])
    ((all_images, _),) = training_batches(learned.images, places, 64, *plain, generator("a"))
    assert len(all_images) == 50
