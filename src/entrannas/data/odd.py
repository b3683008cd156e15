"""What is odd of images that can be learned from all the same, told before that takes its time."""

from entrannas.data.folders import count
from entrannas.data.training_data import TrainingData

_UNEVEN = 3  # times as many images as the smallest class has
_FEW = 20  # images of a class


def class_sizes(data: TrainingData) -> list[tuple[int, str]]:
    """Return how many images to learn from each class has, and its name, the smallest first."""
    counts = data.images.labels.bincount(minlength=len(data.classes)).tolist()
    return sorted(zip(counts, data.classes, strict=True))


def oddities(data: TrainingData) -> tuple[str, ...]:
    """Say what looks odd, a line each: classes of very different sizes or of few images, images of several sizes."""
    told = []
    ((few, smallest), *_, (many, largest)) = class_sizes(data)
    if many >= _UNEVEN * few:
        told.append(
            f"classes of very different sizes: {largest} has {count(many, 'image')} and {smallest} {few:,}, "
            "and the largest decide what is learned"
        )
    if few < _FEW:
        told.append(f"few images: the class {smallest} has {few:,} to learn from")
    if data.sizes is not None:
        (small, large), (_, height, width) = data.sizes, data.images.shape
        apart = f"from {small[0]} x {small[1]} to {large[0]} x {large[1]} pixels"
        told.append(f"images of several sizes, {apart}: all become {width} x {height}")
    return tuple(told)
