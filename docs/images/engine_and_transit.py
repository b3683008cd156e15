"""Draws engine-and-transit.svg: what Engine-cells and Transit-cells are. Lengths are inches.

    python docs/images/engine_and_transit.py [PATH]

The weights are the softmax of an alpha drawn by a constant seed, and what the Transit-cell keeps is derived from them
by the rule of DARTS: the strongest operation of an edge, the two strongest edges of a node. The cells drawn are smaller
than those of a search, three nodes and four operations, so that a reader can follow each line.
"""

import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon

Point = tuple[float, float]
Edge = tuple[int, int]

WIDTH, HEIGHT = 9.4, 6.35
INK, SOFT, LINE = "#22262d", "#5b636e", "#9aa3ad"
ENGINE, ENGINE_FILL, ENGINE_LINE = "#c2410c", "#fff1e6", 1.8
TRANSIT, TRANSIT_FILL, TRANSIT_LINE = "#475569", "#f1f4f8", 1.0

# The stack of cells.
CELLS, REDUCTIONS, ENGINES = 8, (2, 5), (5, 7)
CELL_WIDTH, CELL_HEIGHT, CELL_GAP = 0.78, 0.62, 0.21
STACK_LEFT, STACK_BOTTOM = 0.93, 4.85
STACK_TOP = STACK_BOTTOM + CELL_HEIGHT

# The two panels, and the cell in each.
PANEL_WIDTH, PANEL_HEIGHT, PANEL_BOTTOM = 3.85, 3.6, 0.62
OPERATIONS = {
    "separable convolution": "#2f76c4",
    "dilated convolution": "#8656c9",
    "pooling": "#d9822b",
    "skip": "#4f9a3b",
}
NAMES = ["$c_{k-2}$", "$c_{k-1}$", "0", "1", "2", "$c_k$"]
CENTRES = [(0.0, 1.2), (0.0, 0.3), (0.95, 1.6), (1.45, 0.0), (2.3, 1.3), (3.1, 0.75)]
NODES, OUTPUT, RADIUS = range(2, 5), 5, 0.17
EDGES: list[Edge] = [(i, j) for j in NODES for i in range(j)]


def weights() -> dict[Edge, np.ndarray]:
    """The weights p of each edge's operations."""
    alpha = np.random.default_rng(1).normal(0, 1.5, (len(EDGES), len(OPERATIONS)))
    p = np.exp(alpha) / np.exp(alpha).sum(1, keepdims=True)
    return dict(zip(EDGES, p, strict=True))


def derived(p: dict[Edge, np.ndarray]) -> list[Edge]:
    """The two edges of each node whose strongest operation weighs most."""
    return [edge for j in NODES for edge in sorted((e for e in p if e[1] == j), key=lambda e: -p[e].max())[:2]]


def write(axes: Axes, x: float, y: float, text: str, size: float, colour: str = INK, **style: Any) -> None:
    """A text on its base line, centred if the style does not say otherwise."""
    axes.text(x, y, text, size=size, color=colour, **{"ha": "center", "va": "center_baseline"} | style)


def draw_arrow(axes: Axes, start: Point, end: Point, colour: str, shrink: float = 0, **style: Any) -> None:
    """An arrow from a point to another, or a line where the style says so."""
    plain: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 8, "lw": 1.2, "capstyle": "butt"}
    axes.add_patch(FancyArrowPatch(start, end, shrinkA=shrink, shrinkB=shrink, color=colour, **plain | style))


def draw_box(axes: Axes, corner: Point, width: float, height: float, fill: str, colour: str, line: float) -> None:
    """A box with round corners."""
    style = "round,pad=0,rounding_size=0.1"
    axes.add_patch(FancyBboxPatch(corner, width, height, style, fc=fill, ec=colour, lw=line))


def draw_cell(axes: Axes, left: float, bottom: float, engine: bool) -> None:
    """An Engine-cell with all its candidates, or a Transit-cell with what is derived from these."""
    centres = [(left + x, bottom + y) for x, y in CENTRES]
    p = weights()
    kept = derived(p)
    for node in NODES:
        draw_arrow(axes, centres[node], centres[OUTPUT], LINE, 12.5, lw=1)
    for (i, j), of_edge in p.items():
        for k, colour in enumerate(OPERATIONS.values()):
            if engine:
                style: dict[str, Any] = {"lw": 0.5 + 2.7 * of_edge[k], "alpha": 0.3 + 0.7 * of_edge[k]}
                bend = f"arc3,rad={0.14 * (k - 1.5)}"
                draw_arrow(axes, centres[i], centres[j], colour, connectionstyle=bend, arrowstyle="-", **style)
            elif (i, j) in kept and k == of_edge.argmax():
                draw_arrow(axes, centres[i], centres[j], colour, 12.5, lw=2.2, mutation_scale=10)
    for centre, name in zip(centres, NAMES, strict=True):
        axes.add_patch(Circle(centre, RADIUS, fc="white", ec=INK, lw=1, zorder=3))
        write(axes, *centre, name, 8.5, zorder=4)


def draw_stack(axes: Axes) -> None:
    """The super-net from left to right, and which Engine-cell decides what a Transit-cell computes."""
    title = f"The super-net: {CELLS} cells, of which {len(ENGINES)} compute all candidates"
    write(axes, 0.2, HEIGHT - 0.28, title, 11.5, weight="bold", ha="left")
    middle = (STACK_BOTTOM + STACK_TOP) / 2
    write(axes, 0.2, middle, "image", 9, SOFT, ha="left")
    write(axes, WIDTH - 0.2, middle, "class", 9, SOFT, ha="right")
    lefts = [STACK_LEFT + (CELL_WIDTH + CELL_GAP) * index for index in range(CELLS + 1)]
    centres = [left + CELL_WIDTH / 2 for left in lefts]
    for left in lefts:
        draw_arrow(axes, (left - CELL_GAP, middle), (left, middle), LINE)
    for index in range(CELLS):
        corner = (lefts[index], STACK_BOTTOM)
        if index in ENGINES:
            draw_box(axes, corner, CELL_WIDTH, CELL_HEIGHT, ENGINE_FILL, ENGINE, ENGINE_LINE)
            write(axes, centres[index], middle + 0.12, "Engine", 9.5, ENGINE, weight="bold")
        else:
            draw_box(axes, corner, CELL_WIDTH, CELL_HEIGHT, TRANSIT_FILL, TRANSIT, TRANSIT_LINE)
            write(axes, centres[index], middle + 0.12, "Transit", 9.5, TRANSIT)
        write(axes, centres[index], middle - 0.13, "reduction" if index in REDUCTIONS else "normal", 8.5, SOFT)
    reductions = [index for index in REDUCTIONS if index not in ENGINES]
    normals = [index for index in range(CELLS) if index not in (*REDUCTIONS, *ENGINES)]
    for kind, engine, others, start, way in (
        ("reduction", ENGINES[0], reductions, STACK_BOTTOM, -0.2),
        ("normal", ENGINES[1], normals, STACK_TOP, 0.2),
    ):
        first, last = centres[others[0]], centres[engine]
        axes.plot([last, last, first], [start, start + way, start + way], color=ENGINE, lw=1.2)
        for index in others:
            draw_arrow(axes, (centres[index], start + way), (centres[index], start), ENGINE)
        text, side = rf"derived from $\alpha$ of {kind} cells", "bottom" if way > 0 else "top"
        write(axes, (first + last) / 2, start + 1.25 * way, text, 8.5, ENGINE, va=side)


def draw_panel(axes: Axes, left: float, index: int, title: str, text: str, equation: str) -> None:
    """A cell of the stack, enlarged."""
    engine = index in ENGINES
    colour, fill, line = (ENGINE, ENGINE_FILL, ENGINE_LINE) if engine else (TRANSIT, TRANSIT_FILL, TRANSIT_LINE)
    x, top = STACK_LEFT + (CELL_WIDTH + CELL_GAP) * index, PANEL_BOTTOM + PANEL_HEIGHT
    above = [(x + 0.05, STACK_BOTTOM - 0.04), (x + CELL_WIDTH - 0.05, STACK_BOTTOM - 0.04)]
    axes.add_patch(Polygon([*above, (left + PANEL_WIDTH - 0.1, top), (left + 0.1, top)], fc=fill, alpha=0.7))
    draw_box(axes, (left, PANEL_BOTTOM), PANEL_WIDTH, PANEL_HEIGHT, fill, colour, line)
    write(axes, left + 0.18, top - 0.26, title, 11.5, colour, weight="bold", ha="left", va="center")
    write(axes, left + 0.18, top - 0.45, text, 9, ha="left", va="top", linespacing=1.35)
    write(axes, left + PANEL_WIDTH / 2, PANEL_BOTTOM + 0.33, equation, 11.5, va="center")
    draw_cell(axes, left + (PANEL_WIDTH - CENTRES[OUTPUT][0]) / 2, PANEL_BOTTOM + 0.9, engine)


def draw_legend(axes: Axes) -> None:
    """What the colours and widths of the lines mean."""
    x, y = 0.45, 0.32
    for name, colour in OPERATIONS.items():
        axes.plot([x, x + 0.3], [y, y], color=colour, lw=2.2)
        write(axes, x + 0.38, y, name, 9, ha="left")
        x += 0.8 + 0.067 * len(name)
    write(axes, WIDTH - 0.3, y, "width of a line: its weight", 9, SOFT, ha="right")


def draw() -> Figure:
    """The whole picture, on a white card that reads on a dark page too."""
    figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.set_axis_off()
    draw_box(axes, (0.02, 0.02), WIDTH - 0.04, HEIGHT - 0.04, "white", "#d5dae0", 1)
    draw_stack(axes)
    text = "computes what is derived now: for each node its\ntwo strongest inputs, as in the network found"
    draw_panel(axes, 0.2, 1, "Transit-cell", text, r"$x_j = \sum_{(i,k)\,\in\,S_j} o_k(x_i)$")
    text = "computes all candidates, weighted by\n" r"$p = \mathrm{softmax}(\alpha / \tau)$, so that $\alpha$ learns"
    draw_panel(axes, 5.35, 7, "Engine-cell", text, r"$x_j = \sum_{i<j} \sum_k\; p_{ijk}\; o_k(x_i)$")
    broad = "simple,head_length=12,head_width=20,tail_width=8"
    draw_arrow(axes, (5.3, 2.3), (4.1, 2.3), ENGINE, arrowstyle=broad, mutation_scale=1, lw=0)
    write(axes, 4.7, 2.62, "derive,\nevery step", 10, ENGINE, weight="bold", va="bottom")
    write(axes, 4.7, 1.98, r"$\alpha \;\rightarrow\; S$", 11.5, ENGINE, va="top")
    draw_legend(axes)
    return figure


def main() -> None:
    """Write the picture beside this file, or to the path given; the same bytes each time."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("engine-and-transit.svg")
    with matplotlib.rc_context({"svg.hashsalt": "entrannas", "mathtext.fontset": "dejavusans"}):
        draw().savefig(path, dpi=200, metadata={"Date": None, "Creator": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    main()
