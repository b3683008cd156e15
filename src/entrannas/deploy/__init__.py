"""A trained network used: on files of images, exported to where it is wanted, and as a service."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
