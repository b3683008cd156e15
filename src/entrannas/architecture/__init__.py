"""What a search chooses from and what it finds: spaces with their skeletons, genotypes, and their pictures."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
