from .exporting import Exported, export
from .formats import Format, ResultsFormat, Takes
from .predicting import Classified, Unreadable, classify_files
from .results import open_results
from .server import serve_network
from .service import application

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
    "serve_network",
]
