"""From images to a network in use within a time: what is known, what is planned by it, and all of it done."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
