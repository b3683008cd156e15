import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import entrannas.learning.trained
from entrannas.core.errors import InputError
from entrannas.core.network import build_network
from entrannas.data.pixels import to_pixels
from entrannas.data.sources import open_source
from entrannas.data.training_data import load_test_images
from entrannas.learning.description import Description
from entrannas.learning.testing import Answers
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.trained import TrainedNetwork, load
from entrannas.runs.run import Run

from ..deploy.conftest import CASES, GENOTYPES, MakeRun


def _test_images(run: Path) -> Any:
    opened = Run.open(run)
    settings = opened.config(TrainConfig).data_settings()
    return load_test_images(settings, opened.data(), opened.seen(), torch.device("cpu"), lambda text: None)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("which", ["digits", "photos"])
def test_predictions_of_the_files_of_test_images_are_those_of_the_test(
    which: str, batch_size: int, make_run: MakeRun
) -> None:
    run = make_run(data=which)
    trained, images = load(run), _test_images(run)
    answers = Answers.of(trained, images)
    source = open_source(Run.open(run).config(TrainConfig).data)
    files = [source.test.reader.read(index) for index in source.test.indices.tolist()]
    predictions = trained.predict(files, topk=3, batch_size=batch_size)
    assert [ranked[0][0] for ranked in predictions] == [trained.classes[k] for k in answers.predicted.tolist()]
    assert [ranked[0][1] for ranked in predictions] == pytest.approx(answers.confidence.tolist(), abs=1e-5)
    assert all(len(ranked) == 3 and ranked == sorted(ranked, key=lambda pair: -pair[1]) for ranked in predictions)


def test_an_image_may_come_in_any_form(photos_run: Path, tmp_path: Path) -> None:
    trained = load(photos_run)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    forms: list[Any] = [path, str(path), path.read_bytes(), Image.open(path), Image.fromarray(pixels), pixels]
    first, *others = [trained.pixels(form) for form in forms]
    assert first.shape == (32, 36, 3) and first.dtype == np.uint8
    assert all(np.array_equal(first, other) for other in others)
    assert len({str(trained.predict(form, 1)) for form in forms}) == 1
    grey = trained.pixels(pixels[:, :, :1])
    assert np.array_equal(grey[:, :, 0], grey[:, :, 2])
    assert trained.predict([]) == []


def test_pixels_are_upright_and_leave_what_they_are_made_of_alone(photos_run: Path) -> None:
    trained = load(photos_run)
    image = Image.fromarray(np.arange(32 * 36 * 3, dtype=np.uint8).reshape(36, 32, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    opened = Image.open(buffer)
    shown = np.rot90(np.asarray(image), -1)
    assert np.array_equal(trained.pixels(opened), shown) and opened.size == (32, 36)
    assert np.array_equal(trained.pixels(buffer.getvalue()), shown)


def test_preprocess_is_what_the_network_takes(photos_run: Path) -> None:
    trained = load(photos_run)
    image = np.random.default_rng(1).integers(0, 256, (32, 36, 3), np.uint8)
    batch = trained.preprocess(image)[None]
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in vars(trained.description.normalisation).values())
    plain = torch.from_numpy(image).permute(2, 0, 1) / 255
    assert torch.equal(batch[0], (plain - mean) / std)
    with torch.no_grad():
        assert torch.allclose(trained(plain[None]), trained.network(batch), atol=1e-6)


@pytest.mark.parametrize(("genotype", "data", "stem"), CASES)
def test_features_are_the_maps_of_the_last_cell_of_each_width(
    genotype: str, data: str, stem: str, make_run: MakeRun
) -> None:
    trained = load(make_run(genotype, data, stem))
    channels, height, width = trained.description.shape
    images = [np.zeros((height, width, channels), np.uint8)] * 2
    features = trained.features(images)
    assert [one.shape[1] for one in features.maps] == list(trained.channels)
    assert trained.channels[0] * 4 == trained.channels[1] * 2 == trained.channels[2]
    assert trained.strides == ((8, 16, 32) if stem == "imagenet" else (1, 2, 4))
    for one, stride in zip(features.maps, trained.strides, strict=True):
        assert one.shape[2:] == (-(-height // stride), -(-width // stride))
    logits = trained.network.classifier(features.pooled)
    assert logits.softmax(dim=1)[0].max().item() == pytest.approx(trained.predict(images[0], 1)[0][0][1], abs=1e-6)


def test_what_is_loaded_is_a_plain_module_in_evaluation_mode(photos_run: Path) -> None:
    trained = load(photos_run)
    assert not any(module.training for module in trained.modules())
    assert trained.classes == ("Ente", "cat", "dog") and trained.genotype == GENOTYPES["darts"]
    plain = build_network(GENOTYPES["darts"], num_classes=3, cells=3, channels=4)
    assert trained.network.state_dict().keys() == plain.state_dict().keys(), "without the auxiliary head"


@pytest.mark.parametrize(
    "bad",
    ["nowhere.jpg", b"", b"no image", Image.new("F", (4, 4)), np.zeros((4, 4, 7), np.uint8)],
    ids=["no file", "empty", "no image", "wide", "seven channels"],
)
def test_what_is_no_image_for_it_is_refused_in_a_line(bad: Any, photos_run: Path) -> None:
    with pytest.raises(InputError, match="cannot read ") as refusal:
        load(photos_run).predict(bad)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_what_is_no_regular_file_is_not_read(kind: str, photos_run: Path, tmp_path: Path) -> None:
    """A FIFO would be waited for without end, and a device has no end."""
    path = Path("/dev/zero") if kind == "device" else tmp_path / "a.png"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(InputError) as refusal:
        load(photos_run).pixels(path)
    assert str(refusal.value) == f"cannot read {path}: it is no regular file"


def test_where_memory_does_not_suffice_the_image_is_not_blamed(
    photos_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = load(photos_run)
    monkeypatch.setattr(entrannas.learning.trained, "to_pixels", create_autospec(to_pixels, side_effect=MemoryError))
    with pytest.raises(MemoryError):
        trained.pixels(np.zeros((4, 4), np.uint8))


def test_logits_of_pixels_are_those_of_the_module(photos_run: Path) -> None:
    trained = load(photos_run)
    images = [trained.pixels(np.full((32, 36, 3), value, np.uint8)) for value in (0, 100, 255)]
    with torch.no_grad():
        wanted = trained(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255)
    torch.testing.assert_close(trained.logits_of(images), wanted, atol=1e-5, rtol=0)


def test_a_run_is_not_written_over(digits_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(digits_run, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="holds a run, whose files would be lost: choose another folder") as refusal:
        load(run).save_pretrained(run)
    assert "\n" not in str(refusal.value)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_what_is_no_finished_training_is_refused(tmp_path: Path, digits_run: Path) -> None:
    with pytest.raises(InputError, match="no run in"):
        load(tmp_path)
    (tmp_path / "run.json").write_bytes((digits_run / "run.json").read_bytes())
    with pytest.raises(InputError, match=r"which lacks config\.json"):
        load(tmp_path)


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda config: config.pop("classes"), "classes: it is missing"),
        (lambda config: config.update(extra=1), "extra: no such name is known"),
        (lambda config: config.update(cells=0), "cells: 0 is not from 1 to 200"),
        (lambda config: config.update(shape=[2, 8, 8]), "not 2"),
        (lambda config: config.update(classes=["a"]), "1 classes are not from 2"),
        (lambda config: config["normalisation"].update(std=[0.0]), "positive deviation"),
        (lambda config: config["normalisation"].update(mean=[0.5, 0.5]), "for each channel"),
        (lambda config: config["genotype"].update(version=2), "version 2 of the genotype format"),
        (
            lambda config: config["genotype"]["cells"]["normal"]["nodes"][0][0].update(operation="x"),
            "unknown operation",
        ),
    ],
)
def test_a_description_from_a_stranger_is_checked(change: Change, told: str, digits_run: Path, tmp_path: Path) -> None:
    config = json.loads(json.dumps(Description.of(Run.open(digits_run)).model_dump(mode="json")))
    change(config)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(InputError, match=told) as refusal:
        load(tmp_path)
    assert "\n" not in str(refusal.value) and "config.json" in str(refusal.value)
    with pytest.raises(InputError, match=told):
        TrainedNetwork.from_pretrained(str(tmp_path))


def test_a_folder_of_the_hub_is_loaded_whole_or_not_at_all(digits_run: Path, tmp_path: Path) -> None:
    trained = load(digits_run)
    config = trained.description.model_dump(mode="json")
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = {f"network.{name}": tensor for name, tensor in trained.network.state_dict().items()}
    save_file(weights, tmp_path / "model.safetensors")
    again = load(tmp_path)
    assert again.description == trained.description
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), weights.values(), strict=True))
    for name, tensor in (("network.classifier.bias", None), ("network.classifier.bias", torch.zeros(11))):
        others = {key: value for key, value in load_file(tmp_path / "model.safetensors").items() if key != name}
        save_file(others | ({} if tensor is None else {name: tensor}), tmp_path / "model.safetensors")
        for way in (load, lambda path: TrainedNetwork.from_pretrained(str(path))):
            with pytest.raises(InputError, match=r"classifier\.bias"):
                way(tmp_path)
