"""Where and how tensors are computed: device, seeds, CUDA graphs, memory, and the steps of learning."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
