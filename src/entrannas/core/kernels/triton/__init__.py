"""Kernels in Triton for a GPU, which move few bytes and are few; each has its file, with the autograd function.

Triton comes with PyTorch for CUDA, and is imported when the first of them is used, see `conditions.enable`. All reckon
in 32 bits.
"""
