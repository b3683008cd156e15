"""Loggers: a run told to TensorBoard, Weights & Biases, MLflow and Trackio, while it goes on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
