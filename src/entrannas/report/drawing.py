"""Drawing: the picture of a cell genotype; and how pictures are written.

The cell reads from left to right: the two input nodes, the intermediate nodes, the output. Every connection has
a row of its own, and the rows of a node lie below those of the nodes before it. So the picture descends like a
staircase, and a line runs along its row without meeting a box or a node. Lengths are inches.
"""

import io
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Literal

from entrannas.core.genotype import CellGenotype, Genotype, Placed
from entrannas.files.whole import write_whole
from entrannas.report.canvas import Box, Circle, Drawing, Label, Line, Point, Shape, stacked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Form = Literal["svg", "png"]
FORMS: tuple[Form, ...] = ("svg", "png")

# Fill of the box and colour of the line, by the first of these that the operation's name holds; the last serves
# every other name.
_COLOURS = {
    "sep_conv": ("#dce9f7", "#4f8ac9"),
    "dil_conv": ("#e8e1f5", "#8c6cc2"),
    "conv": ("#f9e0e5", "#cc6480"),
    "skip": ("#deefd8", "#63a351"),
    "pool": ("#fde8d0", "#dd8a3a"),
    "": ("#ececec", "#858585"),
}
_INK = "#2b2f36"
_OUTPUT_LINE = "#b4bac2"

_MARGIN = 0.12
_TITLE = 0.4
_RADIUS = 0.19
_ROW = 0.34
_STEP = 0.14  # between the rows of two nodes, on top of a row
_BOX = 0.26  # height of a box
_CHARACTER = 0.077  # width in a box; generous, because an SVG is shown in the fonts of its viewer
_ARROW = 0.1
_THICK = 2.5  # times as wide are the lines of a marked connection


def draw_cell(cell: CellGenotype, title: str, marked: Placed = frozenset()) -> Drawing:
    """Draw a cell: its nodes as circles, the operation of each connection as a box before its node.

    Args:
        cell: the cell.
        title: what stands above it.
        marked: connections that are drawn with thick lines.
    """
    sizes = [len(connections) for connections in cell.nodes]
    branch = 0.27 + 0.013 * sum(sizes)  # the way in which a line bends from its source into its row
    merge = 0.27 + 0.03 * max(sizes)  # and from its row into its target
    names = [len(c.operation) for connections in cell.nodes for c in connections]
    box = _CHARACTER * (1.5 + max(names, default=0))
    column = 2 * _RADIUS + branch + box + merge

    shapes: list[Shape] = []
    centres = {node: ((node + 1 - cell.inputs) * (2 * _RADIUS + branch), 0.0) for node in range(cell.inputs)}
    for node, centre in centres.items():
        shapes += _node(centre, "c", f"k-{cell.inputs - node}")
    row = _RADIUS + _STEP + _BOX / 2
    for node, connections in cell.by_node():
        x = (node + 1 - cell.inputs) * column
        centres[node] = (x, row + (len(connections) - 1) / 2 * _ROW)
        shapes += _node(centres[node], str(node - cell.inputs))
        for connection in sorted(connections, key=lambda c: -c.input):  # in this order fewest lines cross
            fill, colour = next(_COLOURS[family] for family in _COLOURS if family in connection.operation)
            end, thick = x - _RADIUS - merge, _THICK if (node, connection) in marked else 1.0
            shapes.append(_line((end - box, row), centres[connection.input], branch, colour, thick))
            shapes.append(_line((end, row), centres[node], merge, colour, thick))
            shapes += _box((end - box, row), box, connection.operation.replace("_", " "), fill, colour, thick)
            row += _ROW
        row += _STEP
    gather = branch + _ARROW
    output = (x + 2 * _RADIUS + gather, mean(centres[node][1] for node in cell.output))
    shapes += _node(output, "c", "k")
    for node in cell.output:
        x, y = centres[node]
        shapes.append(_line((x + _RADIUS, y), output, gather, _OUTPUT_LINE))

    left, right = centres[0][0] - _RADIUS - _MARGIN, output[0] + _RADIUS + _MARGIN
    top, bottom = -_RADIUS - _TITLE, row - _STEP - _ROW + _RADIUS + _MARGIN
    shapes.append(Label((left + _MARGIN, top + 1.5 * _MARGIN), title, 10, _INK, "start"))
    return Drawing((left, top), (right - left, bottom - top), tuple(shapes))


def render_cell(cell: CellGenotype, title: str, form: Form, marked: Placed = frozenset()) -> bytes:
    """Draw a cell as the content of an SVG or PNG file, see `draw_cell`; the same bytes for the same cell."""
    drawing = draw_cell(cell, title, marked)
    return drawing.svg() if form == "svg" else drawing.png()


def render_genotype(genotype: Genotype) -> str:
    """Draw all cells of a genotype, one below another, as an SVG."""
    drawings = [draw_cell(cell, f"{kind} cell") for kind, cell in genotype.cells.items()]
    return stacked(drawings)


def save_pictures(genotype: Genotype, folder: Path, prefix: str) -> list[Path]:
    """Write the cells of a genotype into a folder, each as SVG and PNG, and return the paths.

    Raises:
        InputError: the folder cannot be written.
    """
    paths = []
    for kind, cell in genotype.cells.items():
        for form in FORMS:
            paths.append(folder / f"{prefix}{kind}.{form}")
            write_whole(paths[-1], render_cell(cell, f"{kind} cell", form))
    return paths


def save_plot(figure: "Figure", folder: Path, name: str) -> None:
    """Write the plot of a measurement into a folder, as SVG and PNG.

    Raises:
        InputError: the folder cannot be written.
    """
    for form in FORMS:
        content = io.BytesIO()
        figure.savefig(content, format=form)
        write_whole(folder / f"{name}.{form}", content.getvalue())


def _node(centre: Point, name: str, subscript: str = "") -> tuple[Shape, ...]:
    return Circle(centre, _RADIUS, "white", _INK, 1), Label(centre, name, 9, _INK, subscript=subscript)


def _box(left: Point, width: float, name: str, fill: str, colour: str, thick: float) -> tuple[Shape, ...]:
    x, y = left
    box = Box(x, y - _BOX / 2, (width, _BOX), 0.07, fill, colour if thick == 1 else _INK, 0.8 * thick)
    return box, Label((x + width / 2, y), name, 9, _INK)


def _line(start: Point, node: Point, bend: float, colour: str, thick: float = 1.0) -> Line:
    """A line that runs straight along its row and bends into a node: with an arrow, or backwards to its source."""
    (x, row), (centre, y) = start, node
    forward = centre > x
    side, tip = (-1, _ARROW) if forward else (1, 0)
    end, arrival, steep, turn = (centre + side * (_RADIUS + way) for way in (0, tip, tip + 0.4 * (bend - tip), bend))
    curve = (turn, row), (steep, row), (steep, y), (arrival, y)
    return Line(start, curve, colour, 1.2 * thick, (end, y) if forward else None)
