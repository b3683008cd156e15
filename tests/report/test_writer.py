"""The page is written as the run goes on, holds what the run holds, and never stands in its way."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

import entrannas.report.writer
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.search_loop import search
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.train_loop import train
from entrannas.report.page import page_of
from entrannas.report.reading import Reading
from entrannas.report.writer import REPORT
from entrannas.runs.events import EpochEnded, Event, TrialEnded
from entrannas.runs.run import Run

from .conftest import SMALL, facts_in, small_search

Shown = Callable[[Path], Any]


def _lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_the_page_of_a_search_holds_its_epochs_and_asks_for_nothing(searched: Path, shown: Shown) -> None:
    facts = shown(searched)
    assert (facts["kind"], facts["state"], facts["name"]) == ("search", "ended", "found")
    assert [line["epoch"] for line in facts["metrics"]] == [0, 1, 2, 3]
    assert facts["settings"] == json.loads((searched / "config.json").read_text())
    assert facts["result"] == json.loads((searched / "result.json").read_text())
    assert ["Train what was found", f"entrannas train {searched}"] in facts["next"]
    page = (searched / REPORT).read_text()
    assert 'src="http' not in page and 'href="http' not in page and "@import" not in page
    assert "default-src 'none'" in page


def test_the_film_has_a_frame_where_the_architecture_changes(searched: Path, shown: Shown) -> None:
    facts, derived = shown(searched), [line["genotype"] for line in _lines(searched)]
    epochs = [epoch for frame in facts["film"] for epoch in range(frame["first"], frame["last"] + 1)]
    assert epochs == [0, 1, 2, 3]
    for frame in facts["film"]:
        assert {derived[epoch] for epoch in range(frame["first"], frame["last"] + 1)} == {frame["text"]}
        assert list(frame["cells"]) == ["normal", "reduction"]
        assert all(facts["pictures"][picture].startswith("<svg") for picture in frame["cells"].values())
    assert all(a["text"] != b["text"] for a, b in zip(facts["film"], facts["film"][1:], strict=False))
    assert len(set(facts["pictures"])) == len(facts["pictures"]), "a drawing that comes again is there once"


@pytest.mark.parametrize("of", ["searched", "with_thresholds"])
def test_the_heat_maps_have_a_number_for_each_operation_of_each_edge(
    of: str, shown: Shown, request: pytest.FixtureRequest
) -> None:
    run: Path = request.getfixturevalue(of)
    alphas, arrays = shown(run)["alphas"], load_file(run / "alphas.safetensors")
    derived = [Genotype.from_text(line["genotype"]) for line in _lines(run)]
    assert alphas["epochs"] == arrays["epoch"].tolist() == [0, 1, 2, 3]
    places = [(a, b, one) for a, b in alphas["edges"] for one in alphas["operations"]]
    assert alphas["edges"][0] == ["c(k-2)", "0"] and alphas["edges"][-1] == ["2", "3"]
    for kind, learned in alphas["kinds"].items():
        for name in ("alpha", "p"):
            rows = arrays[f"{name}.{kind}"].flatten(1)
            assert rows.shape == (4, len(places))
            assert [[x / 1e4 for x in row] for row in learned[name]] == [
                pytest.approx(row, abs=1e-4) for row in rows.tolist()
            ]
        for genotype, marked in zip(derived, learned["derived"], strict=True):
            cell = genotype.cells[kind]
            names = ["c(k-2)", "c(k-1)", "0", "1", "2", "3"]
            wanted = {(names[one.input], names[node], one.operation) for node, one in cell.placed()}
            assert {places[place] for place in marked} == wanted


def test_the_page_of_a_training_holds_its_test(digits_run: Path, shown: Shown) -> None:
    facts = shown(digits_run)
    evaluation = json.loads((digits_run / "evaluation.json").read_text())
    assert facts["evaluation"]["test_accuracy"] == facts["result"]["test_accuracy"]
    assert facts["evaluation"]["classes"] == evaluation["classes"]
    wrong = sum(one["images"] for one in evaluation["mixed_up"])
    assert len(facts["evaluation"]["worst"]) == min(12, wrong) > 0
    assert all(one["picture"].startswith("data:image/png;base64,") for one in facts["evaluation"]["worst"])
    assert facts["cost"] == {name: facts["result"][name] for name in ("parameters", "multiply_adds")}
    assert facts["next"][0][1] == f"entrannas predict {digits_run} IMAGES"


def test_the_page_grows_with_the_run_and_says_how_it_stands(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def look(event: Event) -> None:
        if isinstance(event, EpochEnded | TrialEnded):
            facts = facts_in((tmp_path / "run" / REPORT).read_bytes())
            seen.append((facts["state"], len(facts["metrics"])))

    search(
        SearchConfig.resolve(SMALL | {"trials": 1, "trial_steps": 2, "epochs": 2}), tmp_path / "run", listeners=[look]
    )
    assert seen == [("running", 1), ("running", 2), ("running", 2), ("running", 2)]
    facts = facts_in((tmp_path / "run" / REPORT).read_bytes())
    assert facts["state"] == "ended" and len(facts["trials"]) == 2


def test_a_run_that_is_broken_off_says_how_to_go_on_and_does(tmp_path: Path, shown: Shown) -> None:
    run = small_search(tmp_path / "run", stop_after=1)
    facts = shown(run)
    assert (facts["state"], len(facts["metrics"])) == ("stopped", 1)
    assert facts["next"][0][1] == f"entrannas search --out {run} --resume"
    small_search(run, resume=True)
    whole = small_search(tmp_path / "whole")
    kept = ("film", "pictures", "alphas")
    assert {name: shown(run)[name] for name in kept} == {name: shown(whole)[name] for name in kept}
    assert (run / "alphas.safetensors").read_bytes() == (whole / "alphas.safetensors").read_bytes()


def test_a_page_that_cannot_be_written_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise InputError("the disk is full")

    monkeypatch.setattr(entrannas.report.writer, "write_whole", full)
    run = small_search(tmp_path / "run", epochs=1)
    assert (run / "result.json").exists() and not (run / REPORT).exists()


def test_what_cannot_be_understood_is_one_line(searched: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "odd")
    shutil.copytree(searched, run.path)
    for name, content in (
        ("trials.json", b"[1]"),
        ("config.json", b"[" * 100_000 + b"]" * 100_000),
        ("config.json", b'{"epochs": NaN}'),
        ("config.json", (run.path / "config.json").read_bytes().replace(b'"cells": 3', b'"cells": 3000000')),
    ):
        before = (run.path / name).read_bytes() if (run.path / name).exists() else None
        run.write(name, content)
        with pytest.raises(InputError, match="odd cannot be shown: it holds what this version does not know"):
            Reading.of(run)
        run.write(name, before or b'{"trials": []}')
    Reading.of(run)


def test_names_from_elsewhere_are_no_markup() -> None:
    page = page_of("run", {"kind": "search", "name": "<script>alert(1)</script>\udcff", "x": "</script>"})
    assert b"<script>alert" not in page and facts_in(page)["x"] == "</script>"


@pytest.mark.long
def test_fifty_epochs_take_no_more_than_a_megabyte_and_a_half(tmp_path: Path) -> None:
    """The most that can change: another architecture in every epoch, drawn with all its connections."""
    run = small_search(tmp_path / "run", epochs=50, subset=100, method="entrannas-dst")
    assert (run / REPORT).stat().st_size < 1.5e6


def test_a_training_is_shown_with_the_images_as_they_are(tmp_path: Path, photos: Path, shown: Shown) -> None:
    config = TrainConfig.resolve({"data": str(photos), "image_size": 120, "cells": 3, "channels": 4, "epochs": 1})
    trained = train(Run.open(small_search(tmp_path / "s", epochs=1)).genotype(), config, tmp_path / "t")
    worst = shown(trained.run)["evaluation"]["worst"]
    assert worst and all(len(one["picture"]) < 50_000 for one in worst)
