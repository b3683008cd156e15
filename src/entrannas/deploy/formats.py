"""What a trained run can be exported as, and how predictions are told. It is read without torch."""

from typing import Literal

Format = Literal["onnx", "torch", "python", "hub"]
"""One file for ONNX Runtime and others; a program that `torch.export.load` loads; a file of plain PyTorch with its
weights beside it; a folder in the layout of the Hugging Face hub."""

Takes = Literal["float", "uint8"]
"""What `image` of an ONNX file or a program is: pixels from 0 to 1, float32 [batch, channels, height, width]; or bytes
as they are decoded, uint8 [batch, height, width, channels]."""

ResultsFormat = Literal["text", "csv", "json", "parquet"]
"""How predictions are told, see `results`."""
