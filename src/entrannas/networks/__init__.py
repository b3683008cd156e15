"""What is computed: operations, cells, the super-net, the target network, and what a network costs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
