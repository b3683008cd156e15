import io
from collections import Counter
from typing import Literal
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path as Outline
from PIL import Image

from entrannas.architecture.drawing import draw_cell, render_cell
from entrannas.architecture.genotype import CellGenotype, Connection, load_genotype

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
    """Of the size of its figure, with something on it and nothing cut off at its edges."""
    with Image.open(io.BytesIO(render_cell(MIXED, "mixed", "png"))) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("L"))
    width, height = draw_cell(MIXED, "mixed").get_size_inches()
    assert pixels.shape[1] / pixels.shape[0] == pytest.approx(width / height, rel=0.01)
    assert pixels.min() < 100 and (pixels == 255).mean() > 0.5
    assert all((edge == 255).all() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))


@settings(max_examples=15)
@given(cells())
def test_every_label_stands_free(cell: CellGenotype) -> None:
    figure = draw_cell(cell, "cell")
    axes = figure.axes[0]
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    labels = [text.get_window_extent(renderer) for text in axes.texts]
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    lines = [
        Outline(polygon)
        for arrow in arrows
        for polygon in arrow.get_path().transformed(arrow.get_transform()).to_polygons(closed_only=False)
    ]
    connections = sum(len(node) for node in cell.nodes)
    assert len(labels) == connections + len(cell.nodes) + 4  # the inputs, the output and the title
    assert len(arrows) == 2 * connections + len(cell.output)
    assert all(label.count_overlaps(labels) == 1 for label in labels)  # itself
    assert not any(line.intersects_bbox(label, filled=False) for line in lines for label in labels)
    assert all(figure.bbox.contains(*corner) for label in labels for corner in label.corners())
