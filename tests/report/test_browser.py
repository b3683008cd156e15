"""The pages, in a browser: drawn without a complaint, moved by hand, and kept up while a search goes on."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from entrannas.report.writer import REPORT

from ..browser import Visit, browser
from ..end_to_end.conftest import COMMAND
from .conftest import SMALL, facts_in, small_search

__all__ = ["browser"]

pytestmark = pytest.mark.long

WAYS = [(1200, "light"), (1200, "dark"), (390, "light"), (390, "dark")]


@contextmanager
def served(runs: Path) -> Iterator[str]:
    """Show runs by the real command."""
    command = [*COMMAND, "watch", str(runs), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split(" at ")[1].split()[0]
        finally:
            process.terminate()


@pytest.mark.parametrize(("width", "scheme"), WAYS)
@pytest.mark.parametrize("of", ["searched", "with_thresholds", "digits_run"])
def test_the_page_is_drawn_from_a_file_without_a_complaint(
    of: str, width: int, scheme: str, browser: Any, request: pytest.FixtureRequest
) -> None:
    run: Path = request.getfixturevalue(of)
    visit = Visit(browser, (run / REPORT).as_uri(), width, scheme)
    visit.page.locator("figure .picture svg").first.wait_for()
    visit.page.wait_for_timeout(300)
    assert visit.complaints == [] and visit.asked == [(run / REPORT).as_uri()] and visit.fits()
    for figure in visit.page.locator("figure").all():
        assert figure.get_attribute("aria-label") and figure.locator("svg").count()
    for summary in visit.page.locator("figure summary").all():
        summary.click()
    visit.page.wait_for_timeout(300)  # a box tells that it is open a moment later
    assert visit.page.locator("figure table").count() == visit.page.locator("figure summary").count() > 3
    visit.page.close()


def test_the_slider_moves_the_film_by_hand_and_by_keys_and_it_plays(searched: Path, browser: Any) -> None:
    facts = facts_in((searched / REPORT).read_bytes())
    film = facts["film"]
    assert len(film) > 1, "else there is nothing to be moved"
    page = Visit(browser, (searched / REPORT).as_uri(), 1200, "light").page
    slider, drawn = page.locator("#slider"), page.locator(".cell").first
    slider.wait_for()

    def shown() -> tuple[str, str]:
        return slider.input_value(), drawn.get_attribute("aria-label")

    last = str(len(film) - 1)
    assert shown()[0] == last and film[-1]["text"] in shown()[1]
    slider.focus()
    page.keyboard.press("Home")
    assert shown()[0] == "0" and film[0]["text"] in shown()[1] and "epoch" in page.locator("#frame").inner_text()
    page.locator("#on").click()
    assert shown()[0] == "1" and film[1]["text"] in shown()[1]
    frame = page.locator("#frame").inner_text()
    assert all(name in frame for names in film[1]["came"].values() for name in names)
    page.locator("#play").click()
    page.locator("#play[aria-pressed=false]").wait_for()
    assert shown()[0] == last
    page.close()


@pytest.mark.parametrize("of", ["searched", "with_thresholds"])
def test_the_heat_map_has_a_cell_for_each_edge_operation_and_epoch(
    of: str, browser: Any, request: pytest.FixtureRequest
) -> None:
    run: Path = request.getfixturevalue(of)
    alphas = facts_in((run / REPORT).read_bytes())["alphas"]
    page = Visit(browser, (run / REPORT).as_uri(), 1200, "light").page
    page.locator(".grid.edges figure .picture svg").last.wait_for()
    page.wait_for_timeout(300)
    for kind in ("normal", "reduction"):
        page.locator("#kind").select_option(kind)
        for what in ("p", "alpha"):
            page.locator("#what").select_option(what)
            page.wait_for_timeout(300)
            edges = page.locator(".grid.edges figure")
            assert edges.count() == len(alphas["edges"])
            for edge in edges.all():
                assert edge.locator(".heat rect").count() == len(alphas["operations"]) * len(alphas["epochs"])
            dots = page.locator(".grid.edges figure g[aria-label=dot] circle").count()
            assert dots == sum(len(places) for places in alphas["kinds"][kind]["derived"])
    page.close()


def test_the_page_of_a_search_that_goes_on_grows_and_then_rests(browser: Any, tmp_path: Path) -> None:
    small_search(tmp_path / "run", stop_after=1, epochs=8)  # so that there is something to be opened
    settings = SMALL | {"epochs": 8}
    going_on = threading.Thread(target=small_search, args=(tmp_path / "run",), kwargs={"resume": True, **settings})
    visit = Visit(browser, (tmp_path / "run" / REPORT).as_uri(), 1200, "light")
    page = visit.page
    page.locator("#told").wait_for()
    assert "epoch 1 of 8" in page.locator("#told").inner_text() and page.locator(".stopped").count() == 1
    going_on.start()
    page.wait_for_timeout(1500)
    page.reload()
    seen = set()
    while page.locator(".state.ended").count() == 0:
        page.wait_for_timeout(300)
        try:
            seen.add(page.locator("#told").inner_text(timeout=2000).split(" · ")[0])
        except Exception as error:  # the page looks at itself anew at this moment
            assert "Timeout" in str(error) or "navigation" in str(error) or "context" in str(error), error
    going_on.join()
    assert "epoch 8 of 8" in seen and len(seen) >= 3, seen
    assert visit.complaints == []
    page.close()


@pytest.mark.parametrize(("width", "scheme"), WAYS)
def test_runs_are_listed_chosen_and_compared(
    width: int, scheme: str, browser: Any, searched: Path, with_thresholds: Path, digits_run: Path, tmp_path: Path
) -> None:
    for name, run in (("one", searched), ("two", with_thresholds), ("trained", digits_run), ("broken", searched)):
        shutil.copytree(run, tmp_path / name)
    with (tmp_path / "broken" / "metrics.jsonl").open("a") as file:
        file.write("x")
    with served(tmp_path) as address:
        visit = Visit(browser, address, width, scheme)
        page = visit.page
        page.locator("table svg").first.wait_for()
        assert page.locator("tbody tr").count() == 4 and "metrics.jsonl is damaged" in page.locator("main").inner_text()
        assert page.locator("#compare").is_disabled() and visit.fits()
        for name in ("one", "two", "trained"):
            page.locator(f"[aria-label='compare {name}']").check()
        page.wait_for_timeout(2500)  # it has looked again, and what was chosen still is
        assert page.locator("input:checked").count() == 3
        page.locator("#compare").click()
        page.locator(".pairs .cell svg").first.wait_for()
        assert page.locator(".pairs figure").count() == 6 and visit.fits()
        assert {"method", "seed"} <= {cell.inner_text() for cell in page.locator("tbody td:first-child").all()}
        page.locator("a", has_text="two").first.click()
        page.locator("#slider").wait_for()
        assert "Search: two" in page.locator("h1").inner_text() and visit.fits()
        assert visit.complaints == [] and all(one.startswith(address) for one in visit.asked)
        page.close()


def test_a_served_page_follows_its_run(browser: Any, tmp_path: Path) -> None:
    run = small_search(tmp_path / "runs" / "run", stop_after=1, epochs=3)
    with served(tmp_path / "runs") as address:
        page = Visit(browser, f"{address}/run?run=run", 1200, "light").page
        page.locator("#told").wait_for()
        assert page.locator(".state.stopped").count() == 1
        small_search(run, resume=True, epochs=3)
        page.locator(".state.ended").wait_for(timeout=30_000)
        assert "epoch 3 of 3" in page.locator("#told").inner_text()
        page.close()
