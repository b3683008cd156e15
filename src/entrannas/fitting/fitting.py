"""From images to a network in use, within a time: a search, a training, a test, and a file for ONNX Runtime."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.launchers import launched
from entrannas.deploy.exporting import export
from entrannas.files.whole import names_in, read_whole, write_whole
from entrannas.fitting.diary import DIARY, Diary, Kept
from entrannas.fitting.limits import limits_of_search, rungs_within
from entrannas.fitting.looking import look
from entrannas.fitting.pace import Otherwise, Pace
from entrannas.fitting.planning import (
    BETWEEN,
    PUBLISHED,
    Facts,
    Plan,
    Rung,
    SearchStage,
    TooLittleTime,
    TrainStage,
    planned,
)
from entrannas.fitting.telling import told_limits, told_plan, told_training
from entrannas.fitting.times import checked, told
from entrannas.latencies.estimator import Clock, clock
from entrannas.learning.description import Description
from entrannas.learning.limits import LATENCY, check_table, limits_of
from entrannas.learning.records import SearchEpoch
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.search_loop import search
from entrannas.learning.testing import TrainResult
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.train_loop import train
from entrannas.runs.claim import claimed
from entrannas.runs.configuration import Configuration
from entrannas.runs.device import Device, Precision, start
from entrannas.runs.events import Events, Listener
from entrannas.runs.genotypes import load_genotype
from entrannas.runs.run import LATENCIES, RESULT, Run
from entrannas.runs.task import Result
from entrannas.runs.written import in_a_comment, settings_file

_DATA: str = Configuration.model_fields["data"].default
_MOST = 2**24  # bytes of a table
_LOOK = 0.005  # of the time, for which each of three networks is measured,
_LOOKS = 0.2, 3.0  # but at least and at most so many seconds
_SLOWER = 0.3, 5.0  # within which the search tells how slow the machine is
_DEEP = 14  # cells of a network which is regularised as the protocol has it


@dataclass(frozen=True)
class FitResult(Result):
    """What came of a fit.

    Attributes:
        run: its directory.
        plan: what was done, as it was planned last.
        search: the run of the search; None where a published cell was trained.
        training: the run of the training, which `entrannas.load` takes.
        test_accuracy: the share of the whole test set that is classified rightly, from 0 to 1.
        parameters: those of the network.
        multiply_adds: those of the network, for one image.
        seconds: how long it took, with the time before an interruption.
        within: the time that there was for it.
        network: the ONNX file; None where it could not be written.
        latency_ms: what the network takes for an image, as far as that was limited.
    """

    plan: Plan
    search: Path | None
    training: Path
    test_accuracy: float
    parameters: int
    multiply_adds: int
    seconds: float
    within: float
    network: Path | None
    latency_ms: float | None

    def json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return super().json() | {"plan": asdict(self.plan)}


def fit(
    data: str | None = None,
    seconds: float | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    listeners: Sequence[Listener] = (),
    test_split: str | None = None,
    label_column: str | None = None,
    skip_damaged: bool = False,
    background: str = "white",
    seed: int = 0,
    device: Device = "auto",
    precision: Precision = "32-true",
    max_parameters: int | None = None,
    max_multiply_adds: int | None = None,
    max_latency_ms: float | None = None,
    latency_table: str | Path | None = None,
) -> FitResult:
    """Find, train, test and export a network for images, within a time.

    What is done in it is planned by a look at the images and the machine, see `fitting.planning`. The directory has the
    plan as settings files, search.yaml and train.yaml, the runs in search and train, network.onnx, and fit.json, by
    which it is resumed.

    Args:
        data: which images, see `Configuration`.
        seconds: the time.
        out: the directory; by default a new one in `runs/`.
        resume: go on with the fit in `out`, in what is left of its time; it knows its settings.
        listeners: are told of what happens, see `runs.events`.
        test_split: see `Configuration`, as of what follows.
        label_column: the column of labels.
        skip_damaged: leave images out that cannot be read.
        background: what transparent images are laid on.
        seed: of everything that is drawn.
        device: where to compute.
        precision: 32-bit floats, or bf16-mixed.
        max_parameters: the most that the network may have.
        max_multiply_adds: likewise, for one image.
        max_latency_ms: likewise, milliseconds for an image at inference, with one thread, in PyTorch.
        latency_table: a table by which these go, in the place of this machine.

    Raises:
        InputError: the time is too little, no network is within the limits, or the data, the table, the device or the
            directory cannot be used.
    """
    began = time.monotonic()
    if launched()[1] > 1:
        raise InputError("a fit is of one process: start it without a launcher")
    limits = limits_of(max_parameters, max_multiply_adds, max_latency_ms)
    wanted = {name: limit for name, limit in limits.items() if limit is not None}
    with claimed(out, f"fit-{Path(data or _DATA).name}", resume, _check_begun) as claim:
        if resume:
            diary = Diary.read(claim.path, began)
            _check_same(diary.kept, seconds, wanted, latency_table)
            kept_table = claim.path / LATENCIES
            latency_table = kept_table if kept_table.exists() else None
            if data is not None:  # the same images, elsewhere
                diary.kept = diary.kept.model_copy(update={"settings": diary.kept.settings | {"data": data}})
        else:
            if seconds is None:
                raise InputError("give the time that there is, such as --time 2h")
            check_table(max_latency_ms, latency_table)
            settings: dict[str, Any] = {
                "data": _DATA if data is None else data,
                "test_split": test_split,
                "label_column": label_column,
                "skip_damaged": skip_damaged,
                "background": background,
                "seed": seed,
                "device": device,
                "precision": precision,
            }
            resolved = Configuration.resolve(settings).model_dump(mode="json")
            kept = Kept(
                seconds=checked(seconds),
                used=0.0,
                settings={name: resolved[name] for name in settings},
                limits=wanted,
            )
            diary = Diary(claim.path / DIARY, kept, began)
        table = None if latency_table is None else Path(latency_table).expanduser()
        return _Fit(claim.path, diary, tuple(listeners), table).done()


def _check_begun(path: Path) -> None:
    if DIARY not in names_in(path):
        raise InputError(f"no fit in {path}: start one without --resume")


def _check_same(kept: Kept, seconds: float | None, limits: Mapping[str, int], table: str | Path | None) -> None:
    if seconds not in (None, kept.seconds):
        raise InputError(f"the fit was started with a time of {told(kept.seconds)}: resume it without --time")
    if limits not in ({}, kept.limits) or table is not None:
        raise InputError("a fit keeps its limits and its table of latencies: resume it without any")


@dataclass(frozen=True)
class _Fit:
    """A fit under way.

    Attributes:
        path: its directory.
        diary: what it keeps of itself.
        listeners: who is told of what happens.
        table: what latencies go by; None where they are measured here.
    """

    path: Path
    diary: Diary
    listeners: tuple[Listener, ...]
    table: Path | None

    @cached_property
    def _clock(self) -> Clock | None:
        return clock(self.table) if LATENCY in self.diary.kept.limits else None

    def done(self) -> FitResult:
        """Do all that is not done yet."""
        events, published = Events(self.listeners), load_genotype(PUBLISHED)
        events.tell(f"fit in {self.path}")
        try:
            if self.diary.kept.plan is None:
                self._plan(published, events)
            else:
                events.tell(f"{told(max(0.0, self.diary.left))} of {told(self.diary.kept.seconds)} are left")
            searched = self._searched(events)
            trained = self._trained(searched.genotype() if searched else published, searched, events)
            network = self._exported(trained, events)
            taken = self._latency(trained)
        finally:
            if self.diary.kept.plan is not None:
                self.diary.note()
        return FitResult(
            run=self.path,
            plan=self._known()[1],
            search=searched.path if searched else None,
            training=trained.run,
            test_accuracy=trained.test_accuracy,
            parameters=trained.parameters,
            multiply_adds=trained.multiply_adds,
            seconds=self.diary.used,
            within=self.diary.kept.seconds,
            network=network,
            latency_ms=taken,
        )

    def _known(self) -> tuple[Facts, Plan]:
        facts, plan = self.diary.kept.facts, self.diary.kept.plan
        assert facts is not None and plan is not None
        return facts, plan

    def _plan(self, published: Genotype, events: Events) -> None:
        """Look, plan, say it, and write it."""
        events.tell("looking at the images, and measuring some steps of small networks")
        least, most = _LOOKS
        seconds = self.diary.kept.seconds
        facts = look(Configuration.resolve(self.diary.kept.settings), published, min(most, max(least, _LOOK * seconds)))
        try:
            plan = planned(facts, self.diary.left, published, rungs=self._rungs(facts, published))
        except TooLittleTime as error:
            raise TooLittleTime(seconds, error.least + self.diary.used) from None
        self._take(facts, plan, 0)
        for line in (*told_plan(seconds, facts, plan), *told_limits(self.diary.kept.limits)):
            events.tell(line)

    def _rungs(self, facts: Facts, cell: Genotype) -> list[Rung] | None:
        limits, settings = self.diary.kept.limits, self.diary.kept.settings
        if not limits:
            return None
        step = 8 if start(settings["device"], settings["precision"]).device.type == "cuda" else 4
        return rungs_within(facts, cell, limits, step, self._clock)

    def _take(self, facts: Facts, plan: Plan, revision: int) -> None:
        """Make a plan the one that is gone by: as settings files first, then in the diary."""
        if self.table not in (None, self.path / LATENCIES):
            write_whole(self.path / LATENCIES, read_whole(self.table, _MOST))
        if plan.search is not None:
            config = self._search_config(facts, plan, plan.search)
            self._write("search.yaml", f"entrannas search --config {self.path}/search.yaml", config)
        cells = PUBLISHED if plan.search is None else f"{self.path}/search"
        training = self._train_config(plan.training)
        self._write("train.yaml", f"entrannas train {cells} --config {self.path}/train.yaml", training)
        self.diary.note(facts=facts, plan=plan, revision=revision)

    def _write(self, name: str, command: str, config: Configuration) -> None:
        text = f"# As planned by entrannas fit; the same again: {in_a_comment(command)}\n{settings_file(config)}"
        write_whole(self.path / name, text.encode())

    def _search_config(self, facts: Facts, plan: Plan, stage: SearchStage) -> SearchConfig:
        shares = {"weights_share": stage.share, "alpha_share": stage.share}
        limits, target = self.diary.kept.limits, plan.training
        if limits:
            shares |= limits_of_search(facts, stage, target, load_genotype(PUBLISHED), limits)
            shares |= {"target_cells": target.cells, "target_channels": target.channels}
        return SearchConfig.resolve(self._settings(stage) | shares)

    def _train_config(self, stage: TrainStage) -> TrainConfig:
        """Return the settings of the training: what regularises the deep networks of the protocol, is for these."""
        light = {} if stage.cells >= _DEEP else {"auxiliary": 0.0, "drop_path": 0.0, "cutout": 0.0}
        share = {} if stage.share is None else {"subset": round(stage.share, 4)}
        return TrainConfig.resolve(self._settings(stage) | light | share)

    def _settings(self, stage: SearchStage | TrainStage) -> dict[str, Any]:
        names = "image_size", "stem", "cells", "channels", "batch_size", "epochs"
        return self.diary.kept.settings | {name: getattr(stage, name) for name in names} | {"crops": "padded"}

    def _searched(self, events: Events) -> Run | None:
        """Search, unless that is done or not planned, and plan the training anew by what it has taken."""
        facts, plan = self._known()
        if plan.search is None:
            return None
        path = self.path / "search"
        run = Run.find(path)
        if run is None or not run.file(RESULT):
            search(self._search_config(facts, plan, plan.search), path, run is not None, [*self.listeners, self.diary])
            run = Run.open(path, "search")
        if self.diary.kept.revision == 0:
            took = fmean(line.seconds for line in run.metrics(SearchEpoch))
            low, high = _SLOWER
            factor = took / (plan.search.seconds / plan.search.epochs - BETWEEN)
            facts = facts.slower(min(high, max(low, factor)))
            try:
                plan = self._plan_training(facts, plan, run.genotype())
            except InputError as error:  # its network is slower than one of as many multiply-adds
                events.tell(f"{error}; {PUBLISHED} is trained in its place")
                plan = replace(self._plan_training(facts, plan, load_genotype(PUBLISHED)), search=None)
            self._take(facts, plan, 1)
            events.tell(f"{told(max(0.0, self.diary.left))} are left; {told_training(facts, plan.training)}")
        return None if plan.search is None else run

    def _plan_training(self, facts: Facts, plan: Plan, genotype: Genotype) -> Plan:
        """Plan the training in the time that is left; where that is too little, its first epoch is all."""
        rungs = self._rungs(facts, genotype)
        try:
            return replace(plan, training=planned(facts, self.diary.left, genotype, False, rungs).training)
        except TooLittleTime as error:
            training = planned(facts, error.least, genotype, False, rungs).training
            return replace(plan, training=training)

    def _trained(self, genotype: Genotype, searched: Run | None, events: Events) -> TrainResult:
        """Train, with as many epochs as its own tell that there is time for."""
        path = self.path / "train"
        while True:
            facts, plan = self._known()
            watch = Pace(self.diary, facts, plan.training)
            config = self._train_config(plan.training)
            heard: tuple[Listener, ...] = (*self.listeners, self.diary, watch)
            behind = searched.path if searched else None
            try:
                return train(genotype, config, path, Run.find(path) is not None, heard, behind)
            except Otherwise as otherwise:
                self._take(facts, replace(plan, training=otherwise.stage), otherwise.revision)

    def _exported(self, trained: TrainResult, events: Events) -> Path | None:
        try:
            return export(trained.run, "onnx", self.path / "network.onnx", listeners=self.listeners).path
        except InputError as error:
            events.tell(f"no ONNX file is written: {error}")
            return None

    def _latency(self, trained: TrainResult) -> float | None:
        """Return the milliseconds of the network, if they are limited."""
        if self._clock is None:
            return None
        described = Description.of(Run.open(trained.run, "train"))
        return self._clock.nanoseconds(described.genotype, described.size, described.shape[1:]) / 1e6
