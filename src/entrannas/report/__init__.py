"""Pages: of a run, as it goes on and when it has ended, of a benchmark, of all runs, and of some that are compared."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
