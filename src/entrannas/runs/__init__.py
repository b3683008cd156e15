"""What a search or a training leaves and tells: its settings, directory, checkpoints, events, progress, result."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
