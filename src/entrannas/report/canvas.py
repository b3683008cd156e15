"""A drawing of circles, boxes, lines and labels, written as SVG or PNG. Lengths are inches, and y runs downwards.

That is little enough to do without a plotting library, whose import alone takes longer than all else that shows a cell.
"""

import functools
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL import ImageDraw
    from PIL.Image import Image as PillowImage
    from PIL.ImageFont import FreeTypeFont, ImageFont

Point = tuple[float, float]

_POINTS = 72  # an inch, the unit of an SVG
_PIXELS = 150  # an inch, of a PNG
_FINE = 3  # a PNG is painted so many times larger, and then reduced: its edges are smooth
_SUBSCRIPT = 0.7  # of the size of what stands before it
_LOWER = 0.2
_MIDDLE = 0.35  # of a label's size: as far above its baseline is the middle of its letters


class Pen:
    """Paints on a picture, in inches."""

    def __init__(self, draw: "ImageDraw.ImageDraw", corner: Point) -> None:
        """Take the upper left corner of the picture."""
        self.draw, self.corner, self.scale = draw, corner, _PIXELS * _FINE

    def at(self, point: Point) -> Point:
        """Return where a point lies, in pixels."""
        return (point[0] - self.corner[0]) * self.scale, (point[1] - self.corner[1]) * self.scale

    def width(self, points: float) -> int:
        """Return the width of a line in pixels."""
        return round(points / _POINTS * self.scale)

    def font(self, points: float) -> "FreeTypeFont | ImageFont":
        """Return a font of a size."""
        return _font(points / _POINTS * self.scale)


@functools.cache
def _font(size: float) -> "FreeTypeFont | ImageFont":
    from PIL import ImageFont

    return ImageFont.load_default(size)


@dataclass(frozen=True)
class Circle:
    """A circle with a line around it."""

    centre: Point
    radius: float
    fill: str
    colour: str
    width: float

    def svg(self) -> str:
        """Return the element."""
        x, y = self.centre
        style = f'fill="{self.fill}" stroke="{self.colour}" stroke-width="{self.width}"'
        return f'<circle cx="{_of(x)}" cy="{_of(y)}" r="{_of(self.radius)}" {style}/>'

    def paint(self, pen: Pen) -> None:
        """Paint it; the line lies on both sides of the edge."""
        (x, y), reach = self.centre, self.radius + self.width / 2 / _POINTS
        corners = (*pen.at((x - reach, y - reach)), *pen.at((x + reach, y + reach)))
        pen.draw.ellipse(corners, self.fill, self.colour, pen.width(self.width))


@dataclass(frozen=True)
class Box:
    """A box with round corners and a line around it."""

    left: float
    top: float
    size: Point
    radius: float
    fill: str
    colour: str
    width: float

    def svg(self) -> str:
        """Return the element."""
        place = f'x="{_of(self.left)}" y="{_of(self.top)}" width="{_of(self.size[0])}" height="{_of(self.size[1])}"'
        style = f'fill="{self.fill}" stroke="{self.colour}" stroke-width="{self.width}"'
        return f'<rect {place} rx="{_of(self.radius)}" {style}/>'

    def paint(self, pen: Pen) -> None:
        """Paint it; the line lies on both sides of the edge."""
        half = self.width / 2 / _POINTS
        first = pen.at((self.left - half, self.top - half))
        last = pen.at((self.left + self.size[0] + half, self.top + self.size[1] + half))
        radius = (self.radius + half) * pen.scale
        pen.draw.rounded_rectangle((*first, *last), radius, self.fill, self.colour, pen.width(self.width))


@dataclass(frozen=True)
class Line:
    """A line from its start straight to a turn, and along a curve from there to its end.

    Attributes:
        start: where it begins.
        curve: the turn, the two points that it is drawn towards, and the end: a cubic Bezier curve.
        colour: of the line.
        width: of the line, in points.
        tip: where the head of an arrow behind its end points to, if it has one.
    """

    start: Point
    curve: tuple[Point, Point, Point, Point]
    colour: str
    width: float
    tip: Point | None

    def svg(self) -> str:
        """Return the elements."""
        start, turn, *rest = (f"{_of(x)} {_of(y)}" for x, y in (self.start, *self.curve))
        path = f"M {start} L {turn} C {', '.join(rest)}"
        line = f'<path d="{path}" fill="none" stroke="{self.colour}" stroke-width="{self.width}"/>'
        head = " ".join(f"{_of(x)},{_of(y)}" for x, y in self.head())
        return line + (f'<polygon points="{head}" fill="{self.colour}"/>' if head else "")

    def paint(self, pen: Pen) -> None:
        """Paint it."""
        pen.draw.line([pen.at(point) for point in self.outline()], self.colour, pen.width(self.width))
        if self.tip:
            pen.draw.polygon([pen.at(point) for point in self.head()], self.colour)

    def outline(self) -> list[Point]:
        """Return points on the line, close enough to one another."""
        steps = [step / 24 for step in range(25)]
        return [self.start, *(_bezier(self.curve, step) for step in steps)]

    def head(self) -> Sequence[Point]:
        """Return the corners of the arrow's head; it lies along x, as the end of the curve does."""
        if self.tip is None:
            return ()
        (x, y), (tip, _) = self.curve[-1], self.tip
        half = 0.4 * abs(tip - x)
        return (x, y - half), self.tip, (x, y + half)


@dataclass(frozen=True)
class Label:
    """A line of text.

    Attributes:
        place: the middle of its letters' height, at its middle or at its start.
        text: what it says.
        size: of the font, in points.
        colour: of the letters.
        anchor: what of it is at the place.
        subscript: what stands lower behind the text; the text is a letter of a formula then.
    """

    place: Point
    text: str
    size: float
    colour: str
    anchor: Literal["middle", "start"] = "middle"
    subscript: str = ""

    def svg(self) -> str:
        """Return the element."""
        (x, y), text = self.place, html.escape(self.text, quote=False)
        place = f'x="{_of(x)}" y="{_of(y + _MIDDLE * self.size / _POINTS)}"'
        if self.subscript:
            lower = f'dy="{_LOWER * self.size:.2f}" font-size="{_SUBSCRIPT * self.size:.2f}"'
            text = f'<tspan font-style="italic">{text}</tspan><tspan {lower}>{html.escape(self.subscript)}</tspan>'
        return f'<text {place} text-anchor="{self.anchor}" font-size="{self.size}" fill="{self.colour}">{text}</text>'

    def paint(self, pen: Pen) -> None:
        """Paint it."""
        font, small = pen.font(self.size), pen.font(_SUBSCRIPT * self.size)
        length = font.getlength(self.text)
        x, y = pen.at(self.place)
        x -= (length + small.getlength(self.subscript)) / 2 if self.anchor == "middle" else 0
        y += _MIDDLE * self.size / _POINTS * pen.scale
        pen.draw.text((x, y), self.text, self.colour, font, "ls")
        lower = y + _LOWER * self.size / _POINTS * pen.scale
        pen.draw.text((x + length, lower), self.subscript, self.colour, small, "ls")


Shape = Circle | Box | Line | Label


@dataclass(frozen=True)
class Drawing:
    """Shapes on white, the later ones over the earlier.

    Attributes:
        corner: the upper left one.
        size: width and height.
        shapes: what is drawn.
    """

    corner: Point
    size: Point
    shapes: tuple[Shape, ...]

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height of its PNG."""
        return round(_PIXELS * self.size[0]), round(_PIXELS * self.size[1])

    def svg(self) -> bytes:
        """Return the content of an SVG file."""
        (left, top), (width, height) = self.corner, self.size
        view = f"{_of(left)} {_of(top)} {_of(width)} {_of(height)}"
        form = f'width="{_of(width)}pt" height="{_of(height)}pt" viewBox="{view}" font-family="sans-serif"'
        ground = f'<rect x="{_of(left)}" y="{_of(top)}" width="{_of(width)}" height="{_of(height)}" fill="white"/>'
        lines = [ground, *(shape.svg() for shape in self.shapes)]
        return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {form}>', *lines, "</svg>\n"]).encode()

    def png(self) -> bytes:
        """Return the content of a PNG file."""
        content = io.BytesIO()
        self.picture().save(content, "PNG", dpi=(_PIXELS, _PIXELS))
        return content.getvalue()

    def picture(self) -> "PillowImage":
        """Paint it."""
        from PIL import Image, ImageDraw

        width, height = self.pixels
        picture = Image.new("RGB", (_FINE * width, _FINE * height), "white")
        pen = Pen(ImageDraw.Draw(picture), self.corner)
        for shape in self.shapes:
            shape.paint(pen)
        return picture.reduce(_FINE)


def stacked(drawings: Sequence[Drawing]) -> str:
    """Return an SVG of drawings one below another."""
    width, height = max(one.size[0] for one in drawings), sum(one.size[1] for one in drawings)
    parts, top = [], 0.0
    for drawing in drawings:
        parts.append(drawing.svg().decode().replace("<svg ", f'<svg y="{_of(top)}" ', 1))
        top += drawing.size[1]
    form = f'width="{_of(width)}" height="{_of(height)}" viewBox="0 0 {_of(width)} {_of(height)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {form}>\n{"".join(parts)}</svg>\n'


def _of(inches: float) -> str:
    """Write a length in an SVG."""
    return f"{_POINTS * inches:.2f}"


def _bezier(curve: tuple[Point, Point, Point, Point], t: float) -> Point:
    weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
    x, y = (sum(w * point[axis] for w, point in zip(weights, curve, strict=True)) for axis in (0, 1))
    return x, y
