"""The page, in a browser: pictures come to it as people bring them, and it asks no one but its server."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entrannas.learning.trained import load

from ..browser import Visit, browser
from .conftest import MakeRun
from .test_server import PICTURES, serving

__all__ = ["browser"]

pytestmark = pytest.mark.long

_BRING = """([name, content, kind]) => {
  const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0)), transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name));
  if (kind == "paste")
    document.dispatchEvent(new ClipboardEvent(kind, {clipboardData: transfer}));
  else for (const step of ["dragenter", "dragover", "drop"])
    document.getElementById("drop").dispatchEvent(new DragEvent(step, {dataTransfer: transfer, bubbles: true}));
}"""


@pytest.fixture(scope="module")
def address(make_run: MakeRun) -> Iterator[str]:
    with serving(make_run(data="photos")) as (address, _):
        yield address


class _Visit(Visit):
    """The page, to which pictures are brought."""

    def bring(self, kind: str, name: str, content: bytes) -> None:
        """Drop or paste a file."""
        self.page.evaluate(_BRING, [name, base64.b64encode(content).decode(), kind])

    def choose(self, *files: tuple[str, bytes]) -> None:
        self.page.set_input_files("#choose", [{"name": n, "mimeType": "", "buffer": content} for n, content in files])

    def cards(self, count: int) -> list[Any]:
        """Return the cards, once so many have their answers; the newest first."""
        self.page.locator(".card :is(ol, .wrong)").nth(count - 1).wait_for()
        cards: list[Any] = self.page.query_selector_all(".card")
        return cards


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 390, 320])
def test_pictures_are_classified_and_all_fits(
    width: int, scheme: str, browser: Any, address: str, photos_run: Path, tmp_path: Path
) -> None:
    visit, trained = _Visit(browser, address, width, scheme), load(photos_run, "cpu")
    visit.bring("drop", "dropped.png", PICTURES[0])
    visit.cards(1)
    visit.choose(("a long name of a picture " * 9 + ".jpg", PICTURES[3]), ("<b>second</b>.gif", PICTURES[4]))
    cards = visit.cards(3)
    assert [card.query_selector("h3").inner_text()[:9] for card in cards] == ["a long na", "<b>second", "dropped.p"]
    for card, picture in zip(cards, (PICTURES[3], PICTURES[4], PICTURES[0]), strict=True):
        (expected,) = trained.predict(picture)
        rows = card.query_selector_all("li")
        told = [(row.query_selector("span").inner_text(), row.query_selector(".share").inner_text()) for row in rows]
        assert told == [(name, f"{100 * share:.1f} %") for name, share in expected]
        whole, part = (row.query_selector(name).bounding_box()["width"] for row in rows[:1] for name in (".bar", "i"))
        assert part / whole == pytest.approx(expected[0][1], abs=0.01)
        assert card.query_selector("img").evaluate("image => image.complete && image.naturalWidth > 0")
        assert " ms" in card.query_selector(".soft").inner_text()
    assert visit.page.text_content("#status").endswith(" %"), "the last is told to who does not see it"
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is beside the screen"
    assert len(visit.page.query_selector_all("figure svg")) == 2
    assert visit.page.is_visible("#take") == (width < 500), "a camera is offered to who holds one"
    visit.page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)
    assert visit.complaints == [] and {url.partition("?")[0] for url in visit.asked if not url.startswith("blob:")} == {
        f"{address}/",
        f"{address}/predict",
    }


def test_what_is_wrong_is_shown(browser: Any, address: str, tmp_path: Path) -> None:
    visit = _Visit(browser, address, 1000, "light")
    visit.bring("drop", "notes.txt", b"no picture")
    (card,) = visit.cards(1)
    alert = card.query_selector("[role=alert]")
    assert alert.inner_text() == "'notes.txt' is no image of a format that is known here"
    visit.choose(("large.png", bytes(33 << 20)))
    visit.choose(("cut.png", PICTURES[0][:2000]))
    texts = [card.query_selector("[role=alert]").inner_text() for card in visit.cards(3)]
    assert texts[1] == "It is too large: 32 MiB at most."
    assert texts[0].startswith("'cut.png': cannot read the image: ")
    visit.page.context.set_offline(True)
    visit.choose(("late.png", PICTURES[0]))
    assert visit.cards(4)[0].query_selector("[role=alert]").inner_text().startswith("It could not be sent")
    visit.page.screenshot(path=tmp_path / "wrong.png", full_page=True)
    assert all("Failed to load resource" in one for one in visit.complaints), "what Chromium says of such answers"


def test_a_picture_is_pasted_and_all_is_reached_by_keys(browser: Any, address: str) -> None:
    visit = _Visit(browser, address, 1000, "light")
    visit.bring("paste", "pasted.png", PICTURES[0])
    assert visit.cards(1)[0].query_selector("h3").inner_text() == "pasted.png"
    reached = []
    for _ in range(8):
        visit.page.keyboard.press("Tab")
        reached.append(visit.page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert reached[:4] == ["choose", "FIGURE", "FIGURE", "SUMMARY"]
    names = visit.page.evaluate("[...document.querySelectorAll('input')].map(one => one.labels[0].innerText.trim())")
    assert names == ["Choose pictures", "Take a picture"]
