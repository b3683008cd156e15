"""Images: where they come from, decoded, augmented, in batches."""

from entrannas.data.augmentation import Augmentation, Normalisation
from entrannas.data.images import Images, Shape, load_images
from entrannas.data.sources import balanced_order, open_source
from entrannas.data.training_data import (
    Batch,
    DataSummary,
    TrainingData,
    load_training_data,
    ordered_batches,
    plain_batches,
    training_batches,
)

__all__ = [
    "Augmentation",
    "Batch",
    "DataSummary",
    "Images",
    "Normalisation",
    "Shape",
    "TrainingData",
    "balanced_order",
    "load_images",
    "load_training_data",
    "open_source",
    "ordered_batches",
    "plain_batches",
    "training_batches",
]
