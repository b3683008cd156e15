"""A page as one file, which asks for nothing from elsewhere: style, scripts, and what it shows as JSON.

The charts are drawn in the browser by Observable Plot on D3 (both ISC licence), which stand in the page as they were
published: 490 KB. Of what else draws lines, dots and heat maps, Vega-Lite and plotly would take 0.8 and 1 MB and more;
uPlot has no heat maps and draws on a canvas, which neither a screen reader nor a style sheet reaches. Plot makes SVG
that takes the page's colours, light or dark.
"""

import base64
import functools
import gzip
import html
import json
from importlib.resources import files
from typing import Any, Literal

View = Literal["run", "bench", "list", "compare"]
"""What a page shows; each has a script of that name."""

_LIBRARIES = "d3.min.js", "plot.umd.min.js"
_TITLES = {"list": "Runs", "compare": "Runs compared"}


def page_of(view: View, facts: dict[str, Any]) -> bytes:
    """Return the content of an HTML file.

    Args:
        view: what is shown.
        facts: what the script of that view is to know; in the page it is packed, since drawings repeat themselves.
    """
    packed = gzip.compress(json.dumps(facts, separators=(",", ":")).encode(), 3, mtime=0)
    title = _TITLES.get(view) or f"{facts['name']}: {facts['kind']}"
    head, tail = _around(view)
    name = html.escape(title.encode(errors="replace").decode()).encode()
    return head.replace(b"<!-- title -->", name, 1) + base64.b64encode(packed) + tail


@functools.cache
def _around(view: View) -> tuple[bytes, bytes]:
    """Return what stands before and behind the facts of a page."""
    folder = files("entrannas.report") / "page"

    def read(*names: str) -> str:
        return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)

    page = read("page.html")
    page = page.replace("/* style */", read("page.css"))
    page = page.replace("/* libraries */", read(*_LIBRARIES))
    page = page.replace("/* script */", read("common.js", f"{view}.js"))
    head, _, tail = page.partition("<!-- facts -->")
    return head.encode(), tail.encode()
