"""The search: methods, their equations, the steps, the loop, the trials at its end."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
