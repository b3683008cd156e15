"""The hub's folder: it loads as the network that it was written from, its card tells of it, and it is whole."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest
import torch
import yaml
from huggingface_hub import HfApi, ModelCard, hf_hub_download
from huggingface_hub.hf_api import RepoUrl
from PIL import Image
from safetensors.torch import load_file, save_file

import entrannas.deploy.hub
import entrannas.learning.trained
from entrannas.core.errors import InputError
from entrannas.deploy.hub import push, write_hub
from entrannas.learning.trained import TrainedNetwork, load
from entrannas.report.drawing import save_pictures
from entrannas.runs.run import Run

from .conftest import CASES, MakeRun

_FILES = ["README.md", "config.json", "model.safetensors"]
_PICTURES = [f"{kind}.{form}" for kind in ("normal", "reduction") for form in ("png", "svg")]


@torch.no_grad()
def _same(one: TrainedNetwork, other: TrainedNetwork) -> bool:
    """Whether both are the same network, to the bit of what they answer."""
    images = torch.rand(4, *one.description.shape, generator=torch.Generator().manual_seed(1))
    return one.description == other.description and torch.equal(one(images), other(images))


def _written(path: Path, folder: Path) -> TrainedNetwork:
    trained = load(path, "cpu")
    write_hub(trained, folder, Run(path))
    return trained


def _front(card: Path) -> dict[str, Any]:
    head: dict[str, Any] = yaml.safe_load(card.read_text("utf-8").split("---\n")[1])
    return head


@pytest.mark.parametrize(("genotype", "data", "stem"), CASES)
def test_the_folder_is_loaded_as_the_same_network(
    genotype: str, data: str, stem: str, make_run: MakeRun, tmp_path: Path
) -> None:
    trained = _written(make_run(genotype, data, stem), tmp_path / "hub")
    assert _same(TrainedNetwork.from_pretrained(tmp_path / "hub"), trained)
    assert _same(load(tmp_path / "hub", "cpu"), trained)
    pictures = _PICTURES if trained.genotype.reduction else _PICTURES[:2]
    assert sorted(path.name for path in (tmp_path / "hub").iterdir()) == sorted(_FILES + pictures)
    assert os.listdir(tmp_path) == ["hub"]


def test_what_the_mixin_saves_is_loaded_as_the_same_network(photos_run: Path, tmp_path: Path) -> None:
    """Also of a network that was loaded from such a folder, and over an older one."""
    trained = load(photos_run, "cpu")
    trained.save_pretrained(tmp_path / "one")
    again = TrainedNetwork.from_pretrained(str(tmp_path / "one"))
    assert _same(again, trained) and not again.training
    again.save_pretrained(tmp_path / "one")
    assert _same(load(tmp_path / "one", "cpu"), trained)
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == _FILES
    head = _front(tmp_path / "one" / "README.md")
    assert head["library_name"] == "entrannas" and "license" not in head, "the user's weights are the user's"


def test_the_card_tells_of_the_network(photos_run: Path, tmp_path: Path) -> None:
    trained = _written(photos_run, tmp_path / "hub")
    card = ModelCard.load(tmp_path / "hub" / "README.md")
    assert (card.data.library_name, card.data.pipeline_tag) == ("entrannas", "image-classification")
    assert card.data.license is None and card.data.datasets is None
    result, cost = json.loads((photos_run / "result.json").read_text()), trained.description.cost()
    for told in (
        "Classes: Ente, cat, dog.",
        f"| accuracy | {result['test_accuracy']:.2%} of the test images of photos |",
        f"| parameters | {cost.parameters:,} |",
        f"| multiply-adds | {cost.multiply_adds:,} for an image |",
        "| images | 36 x 32 pixels, in colour |",
        "| epochs | 1 |",
        f"```\n{trained.genotype.to_text()}\n```",
        "![The reduction cell](reduction.png)",
    ):
        assert told in card.content
    save_pictures(trained.genotype, tmp_path, "")
    for name in _PICTURES:
        assert (tmp_path / "hub" / name).read_bytes() == (tmp_path / name).read_bytes()
    Image.open(tmp_path / "hub" / "normal.png").verify()


def test_the_example_of_the_card_runs(photos_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _written(photos_run, tmp_path / "hub")
    Image.linear_gradient("L").save(tmp_path / "picture.jpg")
    monkeypatch.chdir(tmp_path)
    code = (tmp_path / "hub" / "README.md").read_text().split("```python\n")[1].split("```")[0]
    exec(code.replace("user/name", "hub"), {})


def test_nothing_tells_where_the_images_are_on_this_machine(photos_run: Path, tmp_path: Path) -> None:
    _written(photos_run, tmp_path / "hub")
    data = Path(json.loads((photos_run / "config.json").read_text())["data"])
    assert data.is_absolute()
    for path in (tmp_path / "hub").iterdir():
        assert str(data.parent).encode() not in path.read_bytes()


def test_names_of_strangers_are_no_markup(photos_run: Path, tmp_path: Path) -> None:
    trained = load(photos_run, "cpu")
    names = "<script>alert(1)</script>", "a\n# b | c", "![x](https://example.com/x.png) `y` \u202e"
    trained.description = trained.description.model_copy(update={"classes": names})
    write_hub(trained, tmp_path / "hub", Run(photos_run))
    (line,) = (line for line in (tmp_path / "hub" / "README.md").read_text().splitlines() if "Classes" in line)
    assert line == (
        r"Classes: \<script\>alert(1)\</script\>, a�\# b \| c, \!\[x\](https\://example.com/x.png) \`y\` �."
    )
    assert load(tmp_path / "hub", "cpu").classes == names


def test_a_data_set_of_the_hub_is_named_as_one(photos_run: Path) -> None:
    from entrannas.deploy.hub import _card
    from entrannas.learning.train_config import TrainConfig

    config = (
        Run(photos_run).config(TrainConfig).model_copy(update={"data": "uoft-cs/cifar10", "from_run": "/home/me/x"})
    )
    card = _card(load(photos_run, "cpu").description, config, 0.5)
    assert yaml.safe_load(card.split("---\n")[1])["datasets"] == ["uoft-cs/cifar10"]
    assert "On uoft-cs/cifar10, beginning with the weights of another training" in card and "/home/me" not in card


def test_an_export_is_replaced_and_nothing_else_is(photos_run: Path, digits_run: Path, tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    _written(photos_run, tmp_path / "hub")
    trained = _written(digits_run, tmp_path / "hub")
    assert _same(load(tmp_path / "hub", "cpu"), trained) and os.listdir(tmp_path) == ["hub"]

    own = tmp_path / "hub" / "notes.txt"
    own.write_text("mine")
    with pytest.raises(InputError, match="holds something else than an export, or was changed since: choose another"):
        _written(photos_run, tmp_path / "hub")
    own.unlink()
    trained.save_pretrained(tmp_path / "saved")
    with pytest.raises(InputError, match="something else"):
        _written(photos_run, tmp_path / "saved")
    with pytest.raises(InputError, match="something else"):
        _written(photos_run, photos_run)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        _written(photos_run, tmp_path / "file")
    assert sorted(os.listdir(tmp_path)) == ["file", "hub", "saved"]
    _written(photos_run, tmp_path / "hub")


@pytest.mark.parametrize("name", [*_FILES, "normal.png"])
def test_an_export_that_was_changed_since_is_kept(
    name: str, photos_run: Path, digits_run: Path, tmp_path: Path
) -> None:
    """As is one in which a file is missing, or is no file."""
    folder = tmp_path / "hub"
    trained = _written(photos_run, folder)
    if name == "model.safetensors":
        save_file(load_file(folder / name), folder / name)
    else:
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match="was changed since") as told:
        _written(digits_run, folder)
    assert "\n" not in str(told.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert _same(load(folder, "cpu"), trained)
    (folder / name).unlink()
    with pytest.raises(InputError, match="was changed since"):
        _written(digits_run, folder)
    os.mkfifo(folder / name)
    with pytest.raises(InputError, match="was changed since"):
        _written(digits_run, folder)


@pytest.mark.parametrize("step", ["mkdir", "save_pictures", "to_safetensors", "rename"])
def test_a_folder_that_cannot_be_written_is_left_as_it_was(
    step: str, photos_run: Path, digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, other = _written(photos_run, tmp_path / "hub"), load(digits_run, "cpu")

    def fail(self: Any, *arguments: Any, **others: Any) -> Any:
        if step != "rename" or str(self).endswith(".part"):
            raise OSError(28, "No space left on device")
        return rename(self, *arguments)

    rename = Path.rename
    where: dict[str, Any] = {"save_pictures": entrannas.deploy.hub, "to_safetensors": TrainedNetwork}
    with monkeypatch.context() as patch:
        patch.setattr(where.get(step, Path), step, fail)
        with pytest.raises(InputError, match=r"cannot write .*hub: No space left on device; .*free some space"):
            write_hub(other, tmp_path / "hub", Run(digits_run))
    assert os.listdir(tmp_path) == ["hub"] and _same(load(tmp_path / "hub", "cpu"), trained)


def _change(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        change(config)
        (folder / "config.json").write_text(json.dumps(config))

    return apply


def _tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return apply


def _pickled(folder: Path) -> None:
    """Leave the weights as a pickle alone, which would run code."""
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Bomb()))


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (3,)


_WEIGHT = "network.classifier.weight"

DAMAGES: dict[str, Callable[[Path], Any]] = {
    "genotype": _change(lambda config: config["genotype"]["cells"]["normal"].update(output=[99])),
    "operation": _change(
        lambda config: config["genotype"]["cells"]["normal"]["nodes"][0][0].update(operation="__import__('os')")
    ),
    "a key is missing": _change(lambda config: config.pop("classes")),
    "another key": _change(lambda config: config.update(model_type="bert")),
    "cells": _change(lambda config: config.update(cells=10**9)),
    "other classes": _change(lambda config: config["classes"].append("one more")),
    "no object": lambda folder: (folder / "config.json").write_text("[1]"),
    "no JSON": lambda folder: (folder / "config.json").write_text('{"genotype"'),
    "no UTF-8": lambda folder: (folder / "config.json").write_bytes(b"\xff"),
    "no configuration": lambda folder: (folder / "config.json").unlink(),
    "shape": _tensors(lambda tensors: tensors.update({_WEIGHT: tensors[_WEIGHT][:, :-1].clone()})),
    "not finite": _tensors(lambda tensors: tensors[_WEIGHT].fill_(float("nan"))),
    "a tensor is missing": _tensors(lambda tensors: tensors.pop(_WEIGHT)),
    "another tensor": _tensors(lambda tensors: tensors.update(more=torch.ones(1))),
    "weights cut": lambda folder: os.truncate(folder / "model.safetensors", 1000),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "a pickle": _pickled,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_told_in_one_line(damage: str, digits_run: Path, tmp_path: Path) -> None:
    _written(digits_run, tmp_path / "hub")
    DAMAGES[damage](tmp_path / "hub")
    for opened in (TrainedNetwork.from_pretrained, load):
        with pytest.raises(InputError) as raised:
            opened(tmp_path / "hub")
        message = str(raised.value)
        assert "\n" not in message and str(tmp_path / "hub") in message
        assert damage != "a pickle" or "a pickle in its place is not opened" in message


@pytest.mark.parametrize("way", [load, TrainedNetwork.from_pretrained])
def test_a_network_larger_than_its_weights_is_not_built(way: Any, digits_run: Path, tmp_path: Path) -> None:
    """A small description may ask for all memory, and more."""
    _written(digits_run, tmp_path / "hub")
    _change(lambda config: config.update(cells=200, channels=1024))(tmp_path / "hub")
    with pytest.raises(InputError, match=r"model\.safetensors is of another network: it holds [\d,]+ numbers") as told:
        way(tmp_path / "hub")
    assert "\n" not in str(told.value)


def _served(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    """Put a folder in the place of a repository; what is not in it is not found, as the client has it."""
    import httpx
    from huggingface_hub.errors import RemoteEntryNotFoundError

    def download(repo_id: str, filename: str, **options: Any) -> str:
        if not (folder / filename).exists():
            response = create_autospec(httpx.Response, instance=True, headers={})
            raise RemoteEntryNotFoundError(f"404 Client Error.\n\nEntry Not Found: {filename}.", response=response)
        return str(folder / filename)

    client = create_autospec(hf_hub_download, side_effect=download)
    monkeypatch.setattr(entrannas.learning.trained, "hf_hub_download", client)
    return client


def test_a_repository_is_loaded_by_its_name(digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = _written(digits_run, tmp_path / "hub")
    client = _served(monkeypatch, tmp_path / "hub")
    assert _same(TrainedNetwork.from_pretrained("me/digits", revision="first", token="secret"), trained)
    assert [one.args for one in client.call_args_list] == [
        ("me/digits", name) for name in ("config.json", "model.safetensors")
    ]
    assert all(one.kwargs == {"revision": "first", "token": "secret"} for one in client.call_args_list)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_repository_is_told_in_one_line(
    damage: str, digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _written(digits_run, tmp_path / "hub")
    DAMAGES[damage](tmp_path / "hub")
    _served(monkeypatch, tmp_path / "hub")
    with pytest.raises(InputError) as raised:
        TrainedNetwork.from_pretrained("me/digits")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["me/digits", "no such/folder/here"])
def test_a_repository_that_the_real_client_cannot_reach_is_told_in_one_line(name: str) -> None:
    """It is offline in tests."""
    with pytest.raises(InputError, match=rf"^there is no folder {name}, and config\.json cannot be had from") as raised:
        TrainedNetwork.from_pretrained(name)
    assert "\n" not in str(raised.value)


def _hub(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a client in the place of the real one that has its signatures, and reaches nothing."""
    api = create_autospec(HfApi, instance=True)
    api.create_repo.return_value = RepoUrl("https://huggingface.co/me/photos")
    monkeypatch.setattr(entrannas.deploy.hub, "HfApi", create_autospec(HfApi, return_value=api))
    return api


def test_a_folder_is_pushed_to_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = _hub(monkeypatch)
    assert push(tmp_path, "photos") == "https://huggingface.co/me/photos"
    api.create_repo.assert_called_once_with("photos", exist_ok=True)
    ((_, given),) = api.upload_folder.call_args_list
    assert (given["repo_id"], given["folder_path"]) == ("me/photos", tmp_path), "under the user's whole name"


def test_what_the_hub_refuses_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    response = create_autospec(httpx.Response, instance=True, headers={})
    errors: list[Exception] = [
        HfHubHTTPError("401 Client Error: Unauthorized\n\nInvalid username or password.", response=response),
        LocalTokenNotFoundError("Token is required, but no token found."),
        httpx.ConnectError("[Errno -2] Name or service not known"),
        TimeoutError(),
    ]
    api = _hub(monkeypatch)
    for method in (api.upload_folder, api.create_repo):
        for method.side_effect in errors:
            with pytest.raises(InputError, match=r"^cannot push to me/photos: .+; log in by hf auth login") as raised:
                push(tmp_path, "me/photos")
            assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["me/photos", "no good name!"])
def test_the_real_client_is_told_in_one_line_too(name: str, tmp_path: Path) -> None:
    """It is offline in tests, and looks at the name before."""
    with pytest.raises(InputError, match=r"^cannot push to .+; log in by hf auth login, or set HF_TOKEN$") as raised:
        push(tmp_path, name)
    assert "\n" not in str(raised.value)
