import io
from collections.abc import Mapping
from typing import Any

from PIL import Image

from entrannas.report.loggers.follower import Follower, Point
from entrannas.runs.events import EpochEnded, Message, RunBegan, RunEnded, StageBegan, StageEnded, Stepped
from entrannas.runs.run import Run

from .telling import FIRST, RESULT, SECOND, Told, trial


class Notes:
    """A logger that keeps what it is told."""

    address = "here"

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.ended: list[bool] = []

    def begin(self, run: Run, name: str, config: Mapping[str, Any]) -> None:
        self.name, self.config = name, config

    def log(self, point: Point) -> None:
        self.points.append(point)

    def end(self, whole: bool) -> None:
        self.ended.append(whole)


def _steps(notes: Notes) -> list[int]:
    return [point.step for point in notes.points]


def test_epochs_come_first_then_trials_then_the_result(told: Told) -> None:
    notes = Notes()
    listener = Follower(notes)
    told.begin(listener)
    for event in (Message("a line"), StageBegan("search", range(3), 1), Stepped(), StageEnded()):
        listener(event)
    told.epochs(range(3), listener)
    told.trials(range(2), listener)
    told.end(listener)
    assert _steps(notes) == [0, 1, 2, 3, 4, 5] and notes.ended == [True]
    assert notes.config["command"] == "search" and notes.config["run"] == str(told.run.path)
    assert notes.config["lr"] == 0.1 and notes.config["data"] == told.config.data


def test_numbers_within_others_have_a_path_and_what_is_none_is_left_out(told: Told) -> None:
    notes = Notes()
    listener = Follower(notes)
    told.begin(listener)
    told.epochs(range(1), listener)
    told.trials(range(1), listener)
    told.end(listener)
    epoch, of_trial, result = notes.points
    assert epoch.scalars == {
        "weights_loss": 0.0,
        "changes": 3.0,
        "entropy/normal/0": 0.25,
        "entropy/normal/1": 0.5,
        "entropy/reduction/0": 0.75,
        "passes/launched": 10.0,
    }
    assert of_trial.scalars == {"trial/steps": 8.0, "trial/accuracy": 0.5, "trial/seconds": 0.5}
    assert of_trial.texts == {"trial/genotype": trial(0)["genotype"]} and of_trial.pictures == {}
    assert result.scalars == {"result/seconds": 1.5, "result/parameters": 7.0} and result.texts == {}


def test_the_genotype_is_shown_where_it_has_changed(told: Told) -> None:
    notes = Notes()
    listener = Follower(notes)
    told.begin(listener)
    told.epochs(range(3), listener)
    listener(RunEnded({**RESULT, "genotype": {"version": 1, **_json(FIRST)}}))
    texts = [point.texts.get("genotype") for point in notes.points]
    assert texts == [FIRST.to_text(), None, SECOND.to_text(), FIRST.to_text()]
    for point in notes.points:
        assert set(point.pictures) == ({"cells/normal", "cells/reduction"} if "genotype" in point.texts else set())
        for picture in point.pictures.values():
            assert Image.open(io.BytesIO(picture)).format == "PNG"


def _json(genotype: Any) -> dict[str, Any]:
    import json

    found: dict[str, Any] = json.loads(genotype.to_json())
    return found


def test_a_training_shows_the_genotype_that_it_trains_once(told: Told) -> None:
    notes = Notes()
    listener = Follower(notes)
    told.begin(listener)
    for epoch in range(2):
        listener(EpochEnded({"epoch": epoch, "train_loss": 0.5}))
    assert [point.texts.get("genotype") for point in notes.points] == [FIRST.to_text(), None]


def test_a_resumed_run_is_told_as_a_whole_under_a_name_that_says_so(told: Told) -> None:
    told.begin()
    told.epochs(range(3))
    told.trials(range(1))
    notes = Notes()
    listener = Follower(notes)
    told.begin(listener, first_epoch=3)
    told.trials(range(1, 2), listener)
    told.end(listener)
    assert notes.name == "found, resumed at epoch 4" and _steps(notes) == [0, 1, 2, 3, 4, 5]
    assert [point.scalars.get("trial/accuracy") for point in notes.points[3:5]] == [0.5, 0.625]


def test_a_run_that_is_broken_off_has_no_result(told: Told) -> None:
    notes = Notes()
    listener = Follower(notes)
    told.begin(listener)
    told.end(listener, whole=False)
    assert notes.points == [] and notes.ended == [False]


def test_another_run_begins_anew(told: Told) -> None:
    notes = Notes()
    listener = Follower(notes)
    told.begin()
    for _ in range(2):
        listener(RunBegan(told.run, told.config, 0))
        listener(EpochEnded({"epoch": 0, "loss": 0.5}))
    assert _steps(notes) == [0, 0] and all(point.pictures for point in notes.points)
