from .exporting import Exported, export
from .formats import Format, ResultsFormat, Takes
from .onnx_file import passes_by_onnx
from .predicting import Classified, Unreadable, classify_files
from .results import open_results
from .service import application
from .serving import serve_network

__all__ = [
    "Classified",
    "Exported",
    "Format",
    "ResultsFormat",
    "Takes",
    "Unreadable",
    "application",
    "classify_files",
    "export",
    "open_results",
    "passes_by_onnx",
    "serve_network",
]
