"""An extension of Griffe: the docstrings below a class's attributes become the Attributes section of its own."""

from typing import Any

import griffe


class Settings(griffe.Extension):
    """Lists a configuration's settings in one place, with what the docstring below each says."""

    def on_class_members(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Add the section to a class that has none."""
        told = {
            name: " ".join(attribute.docstring.value.split())
            for name, attribute in cls.attributes.items()
            if attribute.docstring and name.islower() and name[0] != "_" and "property" not in attribute.labels
        }
        if told and cls.docstring and "Attributes:" not in cls.docstring.value:
            lines = [f"    {name}: {text}" for name, text in told.items()]
            cls.docstring.value = "\n".join([cls.docstring.value, "", "Attributes:", *lines])
