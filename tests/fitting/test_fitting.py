"""Fits of few small images, with a plan that does not hang on the machine."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from entrannas.cli.settings_file import read_settings
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES
from entrannas.fitting import fitting, pace, planning
from entrannas.fitting.diary import DIARY, Diary, Kept
from entrannas.fitting.fitting import FitResult, fit
from entrannas.fitting.planning import Facts, TooLittleTime
from entrannas.latencies.layers import Stack
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.trained import load
from entrannas.runs.checkpoints import load_tensors
from entrannas.runs.events import EpochEnded, Event, Message, RunBegan, StageBegan, Stepped
from entrannas.runs.genotypes import load_genotype
from entrannas.runs.run import Run

from ..latencies.test_table import fake
from ..pictures import class_folders

FACTS = Facts(
    images=48,
    test_images=12,
    classes=2,
    shape=(3, 8, 8),
    read_seconds=0.1,
    cell_seconds=0.05,
    multiply_add_seconds=0.0,
    search_factor=2.0,
    room=None,
)
TIME = 20.0
WATCHED = pace._WATCHED
Fit = Callable[..., FitResult]


@pytest.fixture
def planned_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """Fit images to 3 epochs of search and a few of training, whatever the machine is."""
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "photos", {"cat": 30, "dog": 30}, size=(8, 8))
    monkeypatch.setattr(fitting, "look", lambda *arguments: FACTS)
    monkeypatch.setattr(pace, "_WATCHED", 1.0)
    monkeypatch.setattr(fitting, "_SLOWER", (1.0, 1.0))
    monkeypatch.setattr(planning, "EXPORT", (0.5, 0.0))
    for name in ("SEARCH_STEPS", "SEARCH_EPOCHS", "TRAIN_EPOCHS", "FEWEST_STEPS", "LEAST_STEPS"):
        monkeypatch.setattr(planning, name, 3)
    monkeypatch.setattr(planning, "TRAINED_LONG", (6, 6))
    monkeypatch.setattr(planning, "SEARCHED_LONG", (3, 3))
    lowest = planning.ladder(FACTS.shape)[:1]
    monkeypatch.setattr(planning, "ladder", lambda shape: lowest)

    def export(run: Path, form: str, out: Path, listeners: Sequence[object]) -> Any:
        out.write_bytes(b"network")
        return type("Exported", (), {"path": out})

    monkeypatch.setattr(fitting, "export", export)

    def run(data: str | None = "photos", seconds: float | None = TIME, **arguments: Any) -> FitResult:
        return fit(data, seconds, **{"out": "fit", "device": "cpu", **arguments})

    return run


class Cut:
    """Ends a fit as a signal would, in a step of an epoch of a stage."""

    def __init__(self, stage: str, epoch: int) -> None:
        self.wanted, self.stage, self.epoch = (stage, epoch), "", 0

    def __call__(self, event: Event) -> None:
        match event:
            case StageBegan(name=name, parts=parts):
                self.stage, self.epoch = name, parts.start
            case EpochEnded():
                self.epoch += 1
            case Stepped() if (self.stage, self.epoch) == self.wanted:
                raise KeyboardInterrupt


def _told(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Message)]


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_tensors(folder / "train" / "weights.safetensors")[1]


def test_a_fit_leaves_its_plan_two_runs_and_a_network(planned_fit: Fit, tmp_path: Path) -> None:
    heard: list[Event] = []
    result = planned_fit(listeners=[heard.append])
    assert result.plan.search is not None and (result.plan.search.epochs, result.plan.training.epochs) == (3, 6)
    told = _told(heard)
    assert told[:3] == [
        "fit in fit",
        *told[1:2],
        "plan for 20 s: 48 images of 2 classes, 8 x 8, colour, and 12 to test on",
    ]
    assert told[3].startswith(
        "search: 5 cells of 8 channels, images as they are; 3 epochs, batch 32, 50 % of the images"
    )
    assert told[4].startswith("training: 5 cells of 8 channels, images as they are; 6 epochs, batch 32; about ")
    searched, trained = Run.open(tmp_path / "fit" / "search", "search"), Run.open(tmp_path / "fit" / "train", "train")
    for name, run, kind in (("search", searched, SearchConfig), ("train", trained, TrainConfig)):
        written, _ = read_settings(tmp_path / "fit" / f"{name}.yaml")
        given = {key: value for key, value in written.items() if value is not None}
        assert kind.resolve(given) == run.config(kind), "the same again by --config"
    assert trained.genotype() == searched.genotype() and (tmp_path / "fit" / "train" / "report.html").exists()
    assert (result.search, result.training, result.network) == tuple(
        Path("fit", name) for name in ("search", "train", "network.onnx")
    )
    assert json.loads((tmp_path / "fit" / "train" / "result.json").read_text())["test_accuracy"] == result.test_accuracy
    assert result.seconds > 0 and result.within == TIME
    assert json.loads(json.dumps(result.json()))["plan"]["training"]["epochs"] == 6
    assert load("fit/train", "cpu").classes == ("cat", "dog")


@pytest.mark.parametrize(("stage", "epoch"), [("search", 0), ("search", 1), ("train", 0), ("train", 3)])
def test_a_fit_that_is_cut_and_resumed_ends_as_one_that_is_not(
    stage: str, epoch: int, planned_fit: Fit, tmp_path: Path
) -> None:
    whole = planned_fit(out="whole")
    with pytest.raises(KeyboardInterrupt):
        planned_fit(listeners=[Cut(stage, epoch)])
    kept = json.loads((tmp_path / "fit" / DIARY).read_text())
    assert 0 < kept["used"] < TIME
    if (stage, epoch) == ("train", 3):
        heard: list[Event] = []
        network = load("fit/train", "cpu", [heard.append])
        assert _told(heard) == ["fit/train has not ended: these are the weights after 3 of 6 epochs"]
        assert network.predict(next((tmp_path / "photos" / "cat").iterdir()))[0][0][0] in network.classes
    resumed = planned_fit(data=None, seconds=None, resume=True)
    assert resumed.plan.search == whole.plan.search and resumed.seconds > kept["used"]
    assert (resumed.test_accuracy, resumed.plan.training.epochs) == (whole.test_accuracy, 6)
    ours, theirs = _weights(tmp_path / "fit"), _weights(tmp_path / "whole")
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    again = planned_fit(data=None, seconds=None, resume=True)
    assert again.test_accuracy == whole.test_accuracy, "one that has ended tests again"


def test_where_there_is_no_time_for_a_search_a_published_cell_is_trained(
    planned_fit: Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(planning, "SEARCH_STEPS", 10_000)
    heard: list[Event] = []
    result = planned_fit(listeners=[heard.append])
    assert result.search is None and result.plan.search is None and not (tmp_path / "fit" / "search").exists()
    assert Run.open(tmp_path / "fit" / "train").genotype() == load_genotype("darts-v2")
    assert _told(heard)[3] == (
        "no search: it would have too few steps to find what is better than darts-v2, which is trained"
    )
    assert "entrannas train darts-v2 --config fit/train.yaml" in (tmp_path / "fit" / "train.yaml").read_text()


def test_a_fit_with_limits_searches_and_trains_within_them_and_keeps_them(planned_fit: Fit, tmp_path: Path) -> None:
    heard: list[Event] = []
    limits = {"max_parameters": 18_000, "max_latency_ms": 1000.0}
    with pytest.raises(KeyboardInterrupt):
        planned_fit(listeners=[heard.append, Cut("search", 1)], **limits)
    assert "limits: the network has at most 18,000 parameters and 1000 ms" in _told(heard)
    with pytest.raises(InputError, match="keeps its limits and its table of latencies: resume it without any"):
        planned_fit(data=None, seconds=None, resume=True, max_parameters=18_001)
    result = planned_fit(data=None, seconds=None, resume=True)
    searched = Run.open(tmp_path / "fit" / "search", "search").config(SearchConfig)
    assert (searched.max_parameters, searched.target_channels) == (18_000, 4)
    assert result.parameters <= 18_000 and result.latency_ms is not None and 0 < result.latency_ms < 1000
    with pytest.raises(InputError, match="within the limits: 3 cells of 4 channels have"):
        planned_fit(out="other", max_parameters=10)
    assert not (tmp_path / "other").exists()


def test_a_fit_by_a_table_trains_what_the_table_knows_and_keeps_a_copy(planned_fit: Fit, tmp_path: Path) -> None:
    cell, table = load_genotype("darts-v2"), tmp_path / "table.json"
    known = [fake(Stack.over(SPACES["darts"], Size(5, channels, 2), (8, 8))) for channels in (4, 8)]
    both = dataclasses.replace(known[0], timings={**known[0].timings, **known[1].timings})
    both.save(table)
    limit = sum(both.by_part(cell, Stack.of(cell, Size(5, 4, 2), (8, 8))).values()) / 1e6
    with pytest.raises(KeyboardInterrupt):
        planned_fit(listeners=[Cut("search", 1)], max_latency_ms=limit, latency_table=table)
    table.unlink()
    with pytest.raises(InputError, match="keeps its limits and its table of latencies"):
        planned_fit(data=None, seconds=None, resume=True, latency_table=table)
    result = planned_fit(data=None, seconds=None, resume=True)
    assert (result.plan.training.cells, result.plan.training.channels) in {(5, 4), (5, 8)}
    assert result.latency_ms is not None and result.latency_ms <= limit
    with pytest.raises(InputError, match="no table of latencies"):
        planned_fit(out="other", max_latency_ms=limit, latency_table=table)
    with pytest.raises(InputError, match="--latency-table is for --max-latency-ms"):
        planned_fit(out="other", latency_table=table)


def test_limits_that_are_none_and_a_diary_with_odd_ones_are_a_line(planned_fit: Fit, tmp_path: Path) -> None:
    for odd in (float("nan"), float("inf"), -1.0):
        with pytest.raises(InputError, match=r"a limit of .* is none: give a number above 0"):
            planned_fit(out="other", max_latency_ms=odd)
    (tmp_path / "fit").mkdir()
    (tmp_path / "fit" / DIARY).write_text('{"seconds": 20.0, "used": 0.0, "settings": {}, "limits": {"__class__": 5}}')
    with pytest.raises(InputError, match=r"fit\.json"):
        planned_fit(data=None, seconds=None, resume=True)


def test_where_nothing_that_was_found_is_within_a_published_cell_is_trained(
    planned_fit: Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cell = load_genotype("darts-v2")

    def rungs(facts: Facts, genotype: Genotype, *_: object) -> list[planning.Rung]:
        if genotype != cell:
            raise InputError("no network of this genotype is within the limits")
        return planning.ladder(facts.shape)

    monkeypatch.setattr(fitting, "rungs_within", rungs)
    heard: list[Event] = []
    result = planned_fit(listeners=[heard.append], max_parameters=10**9)
    assert "no network of this genotype is within the limits; darts-v2 is trained in its place" in _told(heard)
    assert result.search is None and Run.open(tmp_path / "fit" / "train").genotype() == cell
    assert (tmp_path / "fit" / "search").exists()


def test_epochs_go_by_what_its_own_take(planned_fit: Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The clock stands still but for a minute an epoch, which is more than was planned, later for less."""
    monkeypatch.setattr(pace, "_WATCHED", WATCHED)
    monkeypatch.setattr(planning, "SEARCH_STEPS", 10_000)
    monkeypatch.setattr(planning, "TRAINED_LONG", (40, 40))
    monkeypatch.setattr(pace, "TRAINED_LONG", (40, 40))
    now, each, heard = [1000.0], [60.0], list[Event]()
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def tick(event: Event) -> None:
        heard.append(event)
        if isinstance(event, EpochEnded):
            now[0] += each[0]
            each[0] = 60.0 if event.metrics["epoch"] < 5 else 30.0

    result = planned_fit(seconds=1000.0, listeners=[tick])
    begun = [event for event in heard if isinstance(event, RunBegan)]
    assert [event.first_epoch for event in begun][:2] == [0, 2]
    assert 0.85 <= result.seconds / 1000 <= 1.01
    trained = Run.open(tmp_path / "fit" / "train")
    epochs = trained.config(TrainConfig).epochs
    assert result.plan.training.epochs == epochs == len((tmp_path / "fit/train/metrics.jsonl").read_text().splitlines())
    changes = trained.about().changes
    assert changes[0].setting == "epochs" and changes[0].epoch == 2 and changes[-1].after == epochs
    written, _ = read_settings(tmp_path / "fit" / "train.yaml")
    assert written["epochs"] == str(epochs)


def test_the_pace_of_steps_is_looked_at_once(planned_fit: Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = Kept(seconds=1000.0, used=0.0, settings={}, revision=1)
    diary = Diary(tmp_path / DIARY, kept, began := 1000.0)
    now = [began]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    stage = planning.TrainStage(None, "cifar", 5, 8, 24, 10, 100.0, 1.0)
    watch, paces = pace.Pace(diary, FACTS, stage), list[float]()
    watch.done = 0
    few, one = watch._others(240.0), watch._others(2000.0)
    assert few is not None and one is not None and (few.stage.epochs, one.stage.epochs) == (4, 1)
    assert watch._others(99.0) is None, "ten of them end at 99 % of the time"
    monkeypatch.setattr(watch, "_others", lambda each, begun: paces.append(each))
    monkeypatch.setattr(pace, "_WATCHED", 0.03)
    for _ in range(12):
        now[0] += 10.0
        watch(Stepped())
    assert paces == [pytest.approx(2 * 10.0 + planning.BETWEEN)], "of two steps an epoch, after thirty seconds"


def test_what_cannot_be_exported_is_told_and_the_fit_goes_on(planned_fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **others: object) -> None:
        raise InputError("this needs onnx: pip install onnx onnxscript onnxruntime")

    monkeypatch.setattr(fitting, "export", refuse)
    heard: list[Event] = []
    assert planned_fit(listeners=[heard.append]).network is None
    assert _told(heard)[-1] == "no ONNX file is written: this needs onnx: pip install onnx onnxscript onnxruntime"


def test_too_little_time_is_a_line_and_nothing_is_left(planned_fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(
        TooLittleTime, match=r"^1 s are too little time: the images and this machine need \d+ s at least$"
    ):
        planned_fit(seconds=1.0)
    assert not (tmp_path / "fit").exists()


def test_a_directory_that_is_not_free_is_refused(planned_fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        planned_fit(listeners=[Cut("search", 0)])
    before = (tmp_path / "fit" / DIARY).read_bytes()
    with pytest.raises(
        InputError, match="fit is not empty: choose another --out, or go on with what it holds by --resume"
    ):
        planned_fit()
    with pytest.raises(InputError, match="was started with a time of 20 s: resume it without --time"):
        planned_fit(seconds=30.0, resume=True)
    assert (tmp_path / "fit" / DIARY).read_bytes() == before
    with pytest.raises(InputError, match="photos is not empty"):
        planned_fit(out="photos")
    with pytest.raises(InputError, match="no fit in photos: start one without --resume"):
        planned_fit(out="photos", resume=True)
    with pytest.raises(InputError, match="no fit in nowhere: start one without --resume"):
        planned_fit(out="nowhere", resume=True)
    with pytest.raises(InputError, match="nothing to resume: give the directory as --out"):
        planned_fit(out=None, resume=True)
    with pytest.raises(InputError, match="give the time that there is"):
        planned_fit(seconds=None, out="other")
    (tmp_path / "fit" / DIARY).write_text("{}")
    with pytest.raises(InputError, match=r"fit.json is damaged: seconds: it is missing"):
        planned_fit(data=None, seconds=None, resume=True)
    assert not (tmp_path / "nowhere").exists() and not (tmp_path / "other").exists()


def test_a_diary_counts_the_time_before_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [5.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    diary = Diary(tmp_path / DIARY, fitting.Kept(seconds=100.0, used=30.0, settings={}), 5.0)
    now[0] = 15.0
    assert (diary.used, diary.left) == (40.0, 60.0)
    diary(Stepped())
    assert Diary.read(tmp_path, now[0]).used == 40.0
    now[0] = 16.0
    diary(Stepped())
    assert json.loads((tmp_path / DIARY).read_text())["used"] == 40.0, "not at every step"
