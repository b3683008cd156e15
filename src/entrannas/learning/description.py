"""The description of a trained network: everything but its weights, read without torch."""

import json
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError, model_validator

from entrannas.core.counting import Cost, check_operations, places, target_cost
from entrannas.core.errors import InputError, brief
from entrannas.core.genotype import Genotype
from entrannas.core.size import Size
from entrannas.core.skeletons import Stem
from entrannas.data.summary import Normalisation, PixelRules
from entrannas.files.validation import explain
from entrannas.learning.train_config import TrainConfig
from entrannas.runs.bounds import Between, Cells, Channels
from entrannas.runs.run import Run

_WIDE = 1024  # pixels of an image that any stride of a stack divides


def _genotype(value: Any) -> Any:
    return value if isinstance(value, Genotype) else Genotype.from_json(json.dumps(value))


class Description(BaseModel):
    """A trained network: its architecture, its classes, and how pixels come to it.

    Attributes:
        genotype: its cells; a versioned object in JSON, as in a file of its own.
        cells: how many are stacked.
        channels: those of the first cells.
        stem: what stands before the cells.
        shape: channels, height and width of the images.
        classes: the names of the outputs, in their order.
        pixels: how images become 8 bits.
        normalisation: mean and deviation of pixels from 0 to 1, by which these are normalised.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    genotype: Annotated[
        Genotype, BeforeValidator(_genotype), PlainSerializer(lambda genotype: json.loads(genotype.to_json()))
    ]
    cells: Cells
    channels: Channels
    stem: Stem
    shape: tuple[Annotated[int, Between(1, 3)], Annotated[int, Between(1, 4096)], Annotated[int, Between(1, 4096)]]
    classes: tuple[str, ...]
    pixels: PixelRules
    normalisation: Normalisation

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_operations(self.genotype)
        if self.shape[0] == 2:
            raise ValueError("images have 1 channel or 3, not 2")
        if not 2 <= len(self.classes) <= 100_000:
            raise ValueError(f"{len(self.classes)} classes are not from 2 to 100000")
        for name in self.classes:
            if name.encode(errors="replace").decode() != name:
                raise ValueError(f"the class {brief(name)} has a name that is no text")
        of_channels = self.normalisation.mean, self.normalisation.std
        if any(len(numbers) != self.shape[0] for numbers in of_channels) or min(self.normalisation.std) <= 0:
            raise ValueError("the normalisation has no mean and positive deviation for each channel")
        return self

    @classmethod
    def of(cls, run: Run) -> Self:
        """Describe the network of a training.

        Raises:
            InputError: a file of the run is missing or damaged.
        """
        config, data = run.config(TrainConfig), run.data()
        return cls(
            genotype=run.genotype(),
            cells=config.cells,
            channels=config.channels,
            stem=config.stem,
            shape=data.shape,
            classes=data.classes,
            pixels=data.pixels,
            normalisation=data.normalisation,
        )

    @classmethod
    def parse(cls, value: Any, where: str | Path) -> Self:
        """Return the description that a JSON document holds.

        Raises:
            InputError: it is no description; the message begins with where it was read.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise InputError(f"{where} describes no trained network: {explain(error)}") from None

    @property
    def size(self) -> Size:
        """How large the network is."""
        return Size(self.cells, self.channels, len(self.classes), self.shape[0], self.stem)

    def levels(self) -> tuple[tuple[int, int, int], ...]:
        """Return the last cell of each width: its place in the stack, the channels of its map, and the map's stride."""
        concatenated = {kind: len(cell.output) for kind, cell in self.genotype.cells.items()}
        stack = list(places(self.genotype.normal.skeleton, concatenated, self.size, (_WIDE, _WIDE)))
        last = {place.channels: index for index, place in enumerate(stack)}.values()
        return tuple(
            (index, concatenated[stack[index].kind] * stack[index].channels, _WIDE // stack[index].output[0])
            for index in last
        )

    def cost(self) -> Cost:
        """Count what the network costs for one image, by arithmetic."""
        return target_cost(self.genotype, self.size, self.shape[1:])
