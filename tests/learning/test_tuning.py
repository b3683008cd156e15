import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ConfigDict
from safetensors.torch import load_file

from entrannas.core.errors import InputError
from entrannas.core.network import Network
from entrannas.data.seen import Seen
from entrannas.data.sources import digest
from entrannas.learning.description import Description
from entrannas.learning.evaluation import evaluate
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.train_loop import train
from entrannas.learning.tuning import take_over
from entrannas.runs.records import Record
from entrannas.runs.run import Run

from ..deploy.conftest import GENOTYPES, MakeRun
from ..end_to_end.conftest import Entrannas, entrannas, refused
from ..pictures import class_folders, picture

__all__ = ["entrannas", "refused"]


def _network(run: Path, **changes: Any) -> Network:
    """Build a network like that of a run, but for some changes of its size."""
    description, auxiliary = Description.of(Run.open(run)), Run.open(run).config(TrainConfig).auxiliary > 0
    torch.manual_seed(7)
    return Network(description.genotype, replace(description.size, **changes), auxiliary, drop_path=0.0)


def test_all_is_taken_over_where_the_classes_are_the_same(photos_run: Path) -> None:
    network = _network(photos_run)
    told = take_over(network, ("Ente", "cat", "dog"), Run.open(photos_run))
    weights = load_file(photos_run / "weights.safetensors")
    assert all(torch.equal(tensor, weights[f"network.{name}"]) for name, tensor in network.state_dict().items())
    assert "new" not in told and f"{len(weights)} of {len(weights)} tensors" in told


@pytest.mark.parametrize("classes", [("Ente", "dog", "cat"), ("Ente", "cat")])
def test_the_classifier_is_new_where_the_classes_differ(classes: tuple[str, ...], photos_run: Path) -> None:
    network = _network(photos_run, num_classes=len(classes))
    fresh = _network(photos_run, num_classes=len(classes)).state_dict()
    told = take_over(network, classes, Run.open(photos_run))
    assert told.endswith("new: auxiliary_head.classifier, classifier")
    weights = load_file(photos_run / "weights.safetensors")
    for name, tensor in network.state_dict().items():
        wanted = fresh[name] if "classifier" in name else weights[f"network.{name}"]
        assert torch.equal(tensor, wanted), name


def test_grey_for_colour_needs_another_stem_only(photos_run: Path) -> None:
    network = _network(photos_run, in_channels=1)
    assert take_over(network, ("Ente", "cat", "dog"), Run.open(photos_run)).endswith("new: stem")


@pytest.mark.parametrize(("name", "value", "there"), [("cells", 4, 3), ("channels", 6, 4)])
def test_another_size_is_refused(name: str, value: int, there: int, photos_run: Path) -> None:
    with pytest.raises(InputError, match=f"{name} {there}, not {value}"):
        take_over(_network(photos_run, **{name: value}), ("a", "b", "c"), Run.open(photos_run))


def test_other_cells_are_refused(photos_run: Path, make_run: MakeRun) -> None:
    with pytest.raises(InputError, match="has other cells"):
        take_over(_network(make_run("dst-one")), ("a", "b"), Run.open(photos_run))


def test_defaults_are_a_tenth(photos_run: Path) -> None:
    scratch = TrainConfig.resolve({"data": "x", "stem": "imagenet"})
    tuned = TrainConfig.resolve({"data": "x", "stem": "imagenet", "from_run": str(photos_run)})
    assert (tuned.epochs, tuned.lr) == (scratch.epochs / 10, scratch.lr / 10)
    assert TrainConfig.resolve({"epochs": 5, "lr": 1, "from_run": "x"}).lr == 1
    assert TrainConfig.resolve({"data": "digits", "from_run": "x"}).epochs == 3


def test_what_both_runs_have_learned_from_is_held_out_by_none() -> None:
    def seen(trained: list[int], held_out: list[int]) -> Seen:
        return Seen(torch.tensor(trained), torch.tensor(held_out))

    both = seen([1, 2], [3, 4]).join(seen([3, 5], [2, 6, 4]))
    assert both.trained.tolist() == [1, 2, 3, 5] and both.held_out.tolist() == [4, 6]


def test_fine_tuning_is_better_at_once_and_tests_on_what_was_held_out(tmp_path: Path) -> None:
    small = {"data": "digits", "subset": 600, "cells": 3, "channels": 8, "batch_size": 32}
    first = train(GENOTYPES["darts"], TrainConfig.resolve(small | {"epochs": 4}), tmp_path / "first")
    once = small | {"epochs": 1, "lr": 0.002}
    scratch = train(GENOTYPES["darts"], TrainConfig.resolve(once), tmp_path / "scratch")
    settings = TrainConfig.resolve(once | {"from_run": str(first.run)})
    tuned = train(GENOTYPES["darts"], settings, tmp_path / "tuned")
    assert tuned.test_accuracy > first.test_accuracy - 0.05 > scratch.test_accuracy + 0.2
    assert torch.equal(Run.open(tuned.run).seen().held_out, Run.open(first.run).seen().held_out)


@pytest.fixture
def chain(tmp_path: Path) -> list[Path]:
    """Train on one set, and fine-tune on another, of whose test images half were learned from in the first."""
    first = class_folders(tmp_path / "first", {"cat": 20, "dog": 20})
    second = class_folders(tmp_path / "second" / "train", {"cat": 10, "dog": 10, "owl": 10}).parent
    for number in range(5):
        picture(second / "test" / "owl" / f"{number}.png", 900 + number)
    small = {"epochs": 2, "cells": 3, "channels": 4, "batch_size": 8, "auxiliary": 0.0}
    base = train(GENOTYPES["darts"], TrainConfig.resolve(small | {"data": str(first)}), tmp_path / "base")
    for name in ("cat", "dog"):
        for path in sorted((first / name).iterdir()):
            (second / "test" / name).mkdir(exist_ok=True)
            (second / "test" / name / f"copy-{path.name}").write_bytes(path.read_bytes())
    for path in (second / "train").rglob("*.png"):  # of the same drawing as those of the first: make them others
        path.write_bytes(path.read_bytes() + b"0")
    runs = [base.run]
    for name in ("tuned", "again"):
        settings = small | {"data": str(second), "from_run": str(runs[-1])}
        runs.append(train(GENOTYPES["darts"], TrainConfig.resolve(settings), tmp_path / name).run)
    return runs


def test_what_was_learned_from_before_is_never_tested_on(chain: list[Path]) -> None:
    """Neither by the training, nor when it is tested again, nor by one that is tuned from that."""
    base, *tuned = chain
    learned, held_out = Run.open(base).seen().trained, Run.open(base).seen().held_out
    for run in tuned:
        seen = Run.open(run).seen()
        assert not torch.isin(seen.held_out, learned).any() and torch.isin(held_out, seen.held_out).all()
        evaluation = evaluate(run)
        assert sum(one.images for one in evaluation.classes) == len(seen.held_out) == 5 + len(held_out)
        assert evaluation.test_accuracy == Run.open(run).read("result.json", _Result).test_accuracy


def test_a_fine_tuning_is_resumed_though_its_base_is_gone(chain: list[Path]) -> None:
    base, tuned, _ = chain
    config = Run.open(tuned).config(TrainConfig)
    wanted = load_file(tuned / "weights.safetensors")
    shutil.rmtree(base)
    train(GENOTYPES["darts"], config, tuned, resume=True)
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in load_file(tuned / "weights.safetensors").items())


def test_new_images_of_a_class_are_held_out_where_hardly_any_is(tmp_path: Path) -> None:
    """One of them was held out by the training before: the test is not on that alone."""
    first = class_folders(tmp_path / "first", {"cat": 10, "dog": 10})
    small = {"epochs": 1, "cells": 3, "channels": 4, "batch_size": 8}
    base = train(GENOTYPES["darts"], TrainConfig.resolve(small | {"data": str(first)}), tmp_path / "base")
    second = class_folders(tmp_path / "second", {"cat": 40, "dog": 40})
    for path in second.rglob("*.png"):
        path.write_bytes(path.read_bytes() + b"0")
    held_out = set(Run.open(base.run).seen().held_out.tolist())
    one = next(path for path in sorted((first / "cat").iterdir()) if digest(path.read_bytes()) in held_out)
    (second / "cat" / "known.png").write_bytes(one.read_bytes())
    settings = TrainConfig.resolve(small | {"data": str(second), "from_run": str(base.run)})
    tuned = train(GENOTYPES["darts"], settings, tmp_path / "tuned")
    assert [one.images for one in evaluate(tuned.run).classes] == [8, 8]


class _Result(Record):
    model_config = ConfigDict(extra="ignore")

    test_accuracy: float


def test_the_command_takes_size_and_shape_over(entrannas: Entrannas, tmp_path: Path, digits_run: Path) -> None:
    class_folders(tmp_path / "images", {"cat": 12, "dog": 12}, mode="L", size=(20, 20))
    quick = ["--batch-size", 8, "--epochs", 1]
    tuned = entrannas("train", digits_run, "images", "--from", digits_run, "--out", "net", *quick)
    assert "new: auxiliary_head, auxiliary_head.classifier, classifier\n" in tuned.err and "taken over" in tuned.err
    run = Run.open(tmp_path / "net")
    config = run.config(TrainConfig)
    assert (config.cells, config.channels, config.epochs, run.data().shape) == (3, 4, 1, (1, 8, 8))


def test_what_cannot_be_fine_tuned_is_said_in_a_line(refused: Callable[..., str], digits_run: Path) -> None:
    class_folders(Path("images"), {"cat": 12, "dog": 12}, mode="L", size=(20, 20))
    assert "has other cells" in refused("train", "darts-v1", "images", "--from", digits_run)
    fault = refused("train", digits_run, "images", "--from", digits_run, "--cells", 9)
    assert "cells 3, not 9; choose the same" in fault
    assert "no run in nowhere" in refused("train", digits_run, "images", "--from", "nowhere")
