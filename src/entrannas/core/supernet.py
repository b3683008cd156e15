"""The super-net of a search."""

from dataclasses import dataclass

from torch import Tensor, nn

from entrannas.core.cells import Live, PartialCell, SearchCell
from entrannas.core.genotype import Genotype
from entrannas.core.size import Size, positions
from entrannas.core.spaces import SearchSpace
from entrannas.core.stack import build_head, build_stem


@dataclass(frozen=True)
class SuperNetConfig:
    """What a super-net is built from.

    Attributes:
        space: the space that is searched.
        size: how large the stack is.
        engines: the indices of the cells that may be Engine-cells; all others are Transit-cells always.
        share_features: whether an operation is computed once a source node, or once an edge.
        partial: one in so many channels goes through an Engine-cell's operations, the others pass by them.
    """

    space: SearchSpace
    size: Size
    engines: tuple[int, ...]
    share_features: bool
    partial: int = 1


class SuperNet(nn.Module):
    """The stack that a search trains: Engine-cells where alpha learns, Transit-cells elsewhere.

    The architecture variables are no part of it: it gets the connection weights p and the genotype derived from them at
    each call, so its parameters are the weights of the operations and nothing else.
    """

    def __init__(self, config: SuperNetConfig) -> None:
        super().__init__()
        self.config = config
        space, size = config.space, config.size
        self.stem = build_stem(size, space.skeleton, affine=False)
        self.cells = nn.ModuleList()
        self.kinds = space.skeleton.cell_kinds(size.cells)
        for index, at in enumerate(positions(space.skeleton, size, dict.fromkeys(space.kinds, len(space.output)))):
            partial = config.partial if index in config.engines else 1
            build = PartialCell if partial > 1 else SearchCell
            cell = build(space, at.kind, at.before, at.channels, at.reduced, config.share_features, partial)
            self.cells.append(cell)
        self.head = build_head(at.out_channels, space.skeleton, affine=False)
        self.classifier = nn.Linear(at.out_channels, size.num_classes)

    def forward(
        self,
        images: Tensor,
        p: dict[str, Tensor],
        genotype: Genotype,
        live: dict[str, Live] | None = None,
        engines: tuple[int, ...] | None = None,
    ) -> Tensor:
        """Return logits [batch, num_classes].

        Args:
            images: [batch, in_channels, height, width].
            p: the weights of the candidate connections by kind of cell, [edges, K] each; for the Engine-cells.
            genotype: derived from p; for the Transit-cells.
            live: which of p are above zero, where that is known; else the Engine-cells read it from p.
            engines: which cells are the Engine-cells now; by default all that may be.
        """
        farther, nearer = self.stem(images)
        engines = self.config.engines if engines is None else engines
        for index, (kind, cell) in enumerate(zip(self.kinds, self.cells, strict=True)):
            architecture = (p[kind], live and live[kind]) if index in engines else (genotype.cells[kind],)
            farther, nearer = nearer, cell(farther, nearer, *architecture)
        logits: Tensor = self.classifier(self.head(nearer).mean(dim=(2, 3)))
        return logits
