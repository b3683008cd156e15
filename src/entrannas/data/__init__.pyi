from .augmentation import Augmentation
from .folders import count, find_images, plain_text
from .images import Images, decode_files, reason, survey
from .odd import class_sizes, oddities
from .pixels import Pixels, open_image, to_pixels
from .seen import Seen
from .settings import CropKind, DataSettings
from .sources import Source, balanced_order, open_source
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
    "CropKind",
    "DataSettings",
    "DataSummary",
    "Images",
    "Normalisation",
    "PixelRules",
    "Pixels",
    "Seen",
    "Shape",
    "Source",
    "TrainingData",
    "balanced_order",
    "class_sizes",
    "count",
    "decode_files",
    "find_images",
    "load_learned_images",
    "load_test_images",
    "load_training_data",
    "oddities",
    "open_image",
    "open_source",
    "ordered_batches",
    "plain_batches",
    "plain_text",
    "reason",
    "survey",
    "to_pixels",
    "training_batches",
]
