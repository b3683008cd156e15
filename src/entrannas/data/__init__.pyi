from .augmentation import Augmentation
from .images import Images, reason
from .pixels import Pixels, open_image, to_pixels
from .seen import Seen
from .settings import DataSettings
from .sources import balanced_order
from .summary import DataSummary, Normalisation, PixelRules, Shape
from .training_data import (
    Batch,
    TrainingData,
    load_learned_images,
    load_test_images,
    load_training_data,
    ordered_batches,
    plain_batches,
    training_batches,
)

__all__ = [
    "Augmentation",
    "Batch",
    "DataSettings",
    "DataSummary",
    "Images",
    "Normalisation",
    "PixelRules",
    "Pixels",
    "Seen",
    "Shape",
    "TrainingData",
    "balanced_order",
    "load_learned_images",
    "load_test_images",
    "load_training_data",
    "open_image",
    "ordered_batches",
    "plain_batches",
    "reason",
    "to_pixels",
    "training_batches",
]
