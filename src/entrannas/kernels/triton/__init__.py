"""Kernels in Triton for a GPU, which move few bytes and are few; each has its file, with the autograd function.

Triton comes with PyTorch for CUDA, and is imported when the first of them is asked for. All reckon in 32 bits.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
