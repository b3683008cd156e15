import io
from collections import Counter
from typing import Literal
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from matplotlib.transforms import Bbox
from PIL import Image, ImageFont

from entrannas.core.genotype import CellGenotype, Connection
from entrannas.report.canvas import Circle, Label, Line
from entrannas.report.drawing import draw_cell, render_cell
from entrannas.runs.genotypes import load_genotype

OPERATIONS = ["max_pool_3x3", "skip_connect", "sep_conv_5x5", "dil_conv_3x3", "conv_7x1_1x7", "$none"]
MIXED = CellGenotype(
    (tuple(Connection(i % 2, name) for i, name in enumerate(OPERATIONS)), (Connection(2, "skip_connect"),)),
    (2, 3),
)


@st.composite
def cells(draw: st.DrawFn) -> CellGenotype:
    nodes = tuple(
        tuple(
            Connection(draw(st.integers(0, node - 1)), draw(st.sampled_from(OPERATIONS)))
            for _ in range(draw(st.integers(1, 14)))
        )
        for node in range(2, 2 + draw(st.integers(1, 5)))
    )
    intermediate = st.integers(2, 2 + len(nodes) - 1)
    return CellGenotype(nodes, tuple(draw(st.sets(intermediate, min_size=1))))


@pytest.mark.parametrize("cell", [load_genotype("darts-v2").normal, MIXED], ids=["darts-v2", "mixed"])
def test_svg_writes_the_operation_of_every_connection(cell: CellGenotype) -> None:
    root = ElementTree.fromstring(render_cell(cell, "a < b & $c", "svg"))
    written = Counter(text.text for text in root.iter() if text.text)
    labels = Counter(c.operation.replace("_", " ") for connections in cell.nodes for c in connections)
    assert {label: written[label] for label in labels} == labels
    assert written["a < b & $c"] == 1


@pytest.mark.parametrize("form", ["svg", "png"])
def test_same_cell_gives_the_same_bytes(form: Literal["svg", "png"]) -> None:
    assert render_cell(MIXED, "mixed", form) == render_cell(MIXED, "mixed", form)


def test_png_is_a_picture() -> None:
    """Of the size of its drawing, with something on it and nothing cut off at its edges."""
    with Image.open(io.BytesIO(render_cell(MIXED, "mixed", "png"))) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("L"))
    width, height = draw_cell(MIXED, "mixed").size
    assert pixels.shape[1] / pixels.shape[0] == pytest.approx(width / height, rel=0.01)
    assert pixels.min() < 100 and (pixels == 255).mean() > 0.5
    assert all((edge == 255).all() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))


@settings(max_examples=15)
@given(cells())
def test_every_label_stands_free(cell: CellGenotype) -> None:
    drawing = draw_cell(cell, "cell")
    whole = Bbox.from_bounds(*drawing.corner, *drawing.size)
    labels = [_extent(shape) for shape in drawing.shapes if isinstance(shape, Label)]
    lines = [shape for shape in drawing.shapes if isinstance(shape, Line)]
    outlines = [Outline(points) for line in lines for points in (line.outline(), line.head()) if points]
    connections = sum(len(node) for node in cell.nodes)
    assert len(labels) == connections + len(cell.nodes) + 4  # the inputs, the output and the title
    assert len(lines) == 2 * connections + len(cell.output)
    assert all(label.count_overlaps(labels) == 1 for label in labels)  # itself
    assert not any(outline.intersects_bbox(label, filled=False) for outline in outlines for label in labels)
    assert all(whole.contains(*corner) for label in labels for corner in label.corners())


def _extent(label: Label) -> Bbox:
    """Return what a label may cover in a wide font, in which many a viewer shows an SVG."""
    wide = 1.15 * ImageFont.load_default(label.size).getlength(label.text + label.subscript) / 72
    height = label.size / 72
    left = label.place[0] - (wide / 2 if label.anchor == "middle" else 0)
    return Bbox.from_bounds(left, label.place[1] - height / 2, wide, height)


def test_lines_begin_and_end_at_nodes_and_boxes() -> None:
    """Each connection's line leaves its source, passes its box and points at the edge of its node."""
    shapes = draw_cell(MIXED, "mixed").shapes
    circles = [shape for shape in shapes if isinstance(shape, Circle)]
    tips = [shape.tip for shape in shapes if isinstance(shape, Line) and shape.tip]
    reach = [min(abs(np.hypot(x - c.centre[0], y - c.centre[1]) - c.radius) for c in circles) for x, y in tips]
    assert len(tips) == len(OPERATIONS) + 1 + 2 and max(reach) < 1e-9


def test_a_large_cell_is_painted_in_parts_that_fit() -> None:
    cell = CellGenotype((tuple(Connection(i % 2, "skip_connect") for i in range(14)),), (2,))
    with Image.open(io.BytesIO(render_cell(cell, "tall", "png"))) as image:
        pixels = np.asarray(image.convert("L"))
    strips = [pixels[row : row + 1] for row in range(128, len(pixels), 128)]
    assert len(strips) > 3
    assert all((strip < 200).any() for strip in strips[:-1]), "lines go on where a part ends"
