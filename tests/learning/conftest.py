"""The trained runs of the tests of what is made of them."""

from ..deploy.conftest import digits_run, make_run, photos_run

__all__ = ["digits_run", "make_run", "photos_run"]
