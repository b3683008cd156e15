import json
import math
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

import entrannas as library

from ..by_hand import trained_accuracy
from .conftest import Entrannas

SMALL = ["--subset", 200, "--epochs", 2, "--cells", 3, "--channels", 4, "--batch-size", 32]
SIZES = {"parameters", "multiply_adds"}


@pytest.mark.slow
def test_search_train_evaluate_show(entrannas: Entrannas, tmp_path: Path) -> None:
    search = entrannas("search", *SMALL, "--out", "found", "--picture-every", 2, "--json")
    assert set(search.json) == {"run", "genotype", "seconds", "weights_accuracy", "alpha_accuracy"} | SIZES
    assert search.json["run"] == "found"
    assert "preset for digits: batch_size 32, flip no; flags change it" in search.err
    assert "search 2/2" in search.err and "left" in search.err

    run = tmp_path / "found"
    genotype = library.load_genotype("found")
    assert json.loads((run / "genotype.json").read_text()) == search.json["genotype"]
    config = json.loads((run / "config.json").read_text())
    assert (config["epochs"], config["method"], config["engines"], config["seed"]) == (2, "entrannas", [0, 1, 2], 0)
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in metrics] == [0, 1]
    assert metrics[-1]["genotype"] == genotype.to_text()
    assert metrics[-1]["weights_accuracy"] == search.json["weights_accuracy"]
    with safe_open(run / "checkpoint.safetensors", framework="pt") as checkpoint:
        assert checkpoint.metadata() == {"epoch": "2"}
    pictures = [f"{kind}.{form}" for kind in ("normal", "reduction") for form in ("svg", "png")]
    for name in [*pictures, *(f"pictures/epoch-002-{name}" for name in pictures)]:
        if name.endswith("svg"):
            ElementTree.parse(run / name)
        else:
            Image.open(run / name).verify()

    trained = entrannas("train", "found", *SMALL, "--auxiliary", 0.4, "--out", "net", "--json")
    assert set(trained.json) == {"run", "test_accuracy", "test_loss"} | SIZES
    assert trained.json["test_accuracy"] == trained_accuracy(tmp_path / "net")
    evaluated = entrannas("evaluate", "net", "--json")
    assert trained.json.items() <= evaluated.json.items()
    assert f"{100 * trained.json['test_accuracy']:.2f} %" in evaluated.out

    shown = entrannas("show", "found", "--json")
    assert shown.json == {key: search.json[key] for key in ("genotype", *SIZES)}
    assert (tmp_path / "pictures" / "found-reduction.svg").exists()
    assert entrannas("show", "net", "--json").json["parameters"] == trained.json["parameters"]


@pytest.mark.slow
def test_the_same_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {"subset": 120, "epochs": 1, "cells": 3, "channels": 4, "batch_size": 16}
    found = library.search(library.SearchConfig(**settings))
    assert found.run.parent == Path("runs") and library.load_genotype(found.run) == found.genotype
    trained = library.train(found.genotype, library.TrainConfig(**settings), out="net")
    assert vars(trained).items() <= vars(library.evaluate("net")).items()
    network = library.build_network(found.genotype, cells=3, channels=4, in_channels=1)
    assert library.cost(network, (1, 8, 8)) == library.Cost(trained.parameters, trained.multiply_adds)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["darts", "random"])
def test_other_methods(entrannas: Entrannas, method: str) -> None:
    result = entrannas("search", *SMALL, "--method", method, "--nodes", 2, "--out", "found", "--json").json
    assert [len(cell["nodes"]) for cell in result["genotype"]["cells"].values()] == [2, 2]
    assert (result["weights_accuracy"] is None) == (method == "random")


@pytest.mark.slow
@pytest.mark.long
def test_topology_and_consistency(entrannas: Entrannas, refused: Callable[..., str], tmp_path: Path) -> None:
    """A searched topology goes through every command as any genotype does, and equals its super-net's live graph."""
    dst = ["--method", "entrannas-dst", "--space", "darts-extended", "--alpha-lr", 0.01, "--epochs", 3]
    found = entrannas("search", *SMALL, *dst, "--out", "found", "--json").json
    sizes = [len(node) for cell in found["genotype"]["cells"].values() for node in cell["nodes"]]
    last = json.loads((tmp_path / "found" / "metrics.jsonl").read_text().splitlines()[-1])
    assert sizes == last["connections"]["normal"] + last["connections"]["reduction"]
    assert sizes != [2] * 8
    learned = load_file(tmp_path / "found" / "checkpoint.safetensors")
    for kind in ("normal", "reduction"):
        assert last["thresholds"][kind] == pytest.approx(learned[f"beta.{kind}"].sigmoid().tolist())
        assert any(last["thresholds"][kind]) and len(set(last["thresholds"][kind])) > 1
        for entropy, connections in zip(last["entropy"][kind], last["connections"][kind], strict=True):
            assert 0 <= entropy <= math.log(connections) + 1e-5, "that of connections which all weigh the same"
    trained = entrannas("train", "found", *SMALL, "--out", "net", "--json").json
    assert trained.items() <= entrannas("evaluate", "net", "--json").json.items()
    assert entrannas("show", "found", "--json").json["genotype"] == found["genotype"]

    outcome = entrannas("consistency", "found", "--json")
    measured = outcome.json
    assert measured["gap"] == measured["supernet_accuracy"] - measured["derived_accuracy"]
    assert f"{100 * measured['supernet_accuracy']:.2f} %" in outcome.out
    assert measured["dropped_mass"] == pytest.approx(0, abs=1e-6), "nothing that has a weight is dropped"
    assert measured["changes"] == [
        json.loads(line)["changes"] for line in (tmp_path / "found" / "metrics.jsonl").read_text().splitlines()
    ]
    assert json.loads((tmp_path / "found" / "consistency.json").read_text()) == measured
    ElementTree.parse(tmp_path / "found" / "consistency.svg")
    assert entrannas("consistency", "found", "digits", "--json").json == measured

    assert "is the run of a train, not of a search" in refused("consistency", "net")
    checkpoint = tmp_path / "found" / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    assert "is damaged" in refused("consistency", "found")
    lines = (tmp_path / "found" / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "found" / "metrics.jsonl").write_text("".join(lines[:-1]))
    assert "metrics.jsonl is damaged: it is not what the run wrote" in refused("consistency", "found")


@pytest.mark.slow
@pytest.mark.long
def test_consistency_of_a_method_that_cuts(entrannas: Entrannas, refused: Callable[..., str], tmp_path: Path) -> None:
    """Of the weights of what is a connection, the strongest one of the two strongest edges of each node is kept."""
    entrannas("search", *SMALL, "--method", "darts", "--alpha-lr", 0.1, "--out", "found")
    learned, kept, total = load_file(tmp_path / "found" / "checkpoint.safetensors"), 0.0, 0.0
    for kind in ("normal", "reduction"):
        p = learned[f"alpha.{kind}"].softmax(dim=1)[:, 1:]
        total += float(p.sum())
        kept += sum(float(edges.amax(dim=1).topk(2).values.sum()) for edges in p.split([2, 3, 4, 5]))
    measured = entrannas("consistency", "found", "--json").json
    assert measured["dropped_mass"] == pytest.approx(1 - kept / total, abs=1e-6)
    assert measured["gap"] == measured["supernet_accuracy"] - measured["derived_accuracy"]
    entrannas("search", *SMALL, "--method", "random", "--out", "drawn")
    assert "has no super-net to compare with" in refused("consistency", "drawn")
    entrannas("search", *SMALL, "--method", "pc-darts", "--out", "partial")
    assert "has operations of partial channels" in refused("consistency", "partial")


@pytest.mark.slow
def test_own_images(entrannas: Entrannas, tmp_path: Path) -> None:
    """Class folders of pictures of several sizes: three commands."""
    random = np.random.default_rng(0)
    for c, name in enumerate(("bright", "dark")):
        for i in range(30):
            side = int(random.integers(18, 24))
            pixels = random.integers(0, 100, (side, side, 3)) + (0 if c else 150)
            (tmp_path / "pictures" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "pictures" / name / f"{i}.jpg")
    small = ["--cells", 3, "--channels", 4, "--batch-size", 8]
    entrannas("search", "pictures", *small, "--epochs", 3, "--out", "found")
    trained = entrannas(
        "train", "found", *small, "--epochs", 10, "--auxiliary", 0, "--drop-path", 0, "--out", "net", "--json"
    )
    assert trained.json["test_accuracy"] > 0.9
    learned = json.loads((tmp_path / "net" / "run.json").read_text())["data"]
    assert learned["classes"] == ["bright", "dark"] and learned["shape"][0] == 3
    other = entrannas("evaluate", "net", "digits", code=2)
    assert "digits has other classes than the network was trained on" in other.err


@pytest.mark.slow
@pytest.mark.long
def test_cifar10(entrannas: Entrannas, cifar10: Path, tmp_path: Path) -> None:
    small = ["--subset", 200, "--epochs", 1, "--cells", 3, "--channels", 4, "--batch-size", 32]
    entrannas("search", cifar10, *small, "--out", "found")
    trained = entrannas("train", "found", *small, "--out", "net", "--json").json
    assert trained["test_accuracy"] == trained_accuracy(tmp_path / "net")


def test_show_a_published_genotype(entrannas: Entrannas) -> None:
    shown = entrannas("show", "darts-v2", "--json")
    assert shown.json["parameters"] == 3_349_342 and shown.json["multiply_adds"] == 528_359_040
    assert "0 = sep_conv_3x3(c_{k-2}) + sep_conv_3x3(c_{k-1})" in shown.out
    assert library.Genotype.from_json(json.dumps(shown.json["genotype"])) == library.load_genotype("darts-v2")


def test_show_a_genotype_for_imagenet(entrannas: Entrannas) -> None:
    text = library.load_genotype("darts-v2").to_text()
    shown = entrannas("show", text, "--stem", "imagenet", "--json").json
    assert shown["parameters"] == 4_718_752 and shown["multiply_adds"] == 529_911_552


def test_refusal_of_the_real_command(entrannas: Entrannas) -> None:
    outcome = entrannas("search", "no/such/path", code=2)
    assert outcome.out == "" and outcome.err.count("\n") == 1 and "no such folder" in outcome.err


@pytest.mark.slow
def test_configuration_file_gives_way_to_flags(entrannas: Entrannas, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("epochs: 1\nchannels: 6\ncells: 3\nsubset: 100\ntau: [2.0, 0.5]\n")
    entrannas("search", "--config", "my.yaml", "--channels", 4, "--out", "found")
    config = json.loads((tmp_path / "found" / "config.json").read_text())
    assert (config["epochs"], config["channels"], config["tau"]) == (1, 4, [2.0, 0.5])
    entrannas("search", "--config", "found/config.json", "--out", "again")
    assert (tmp_path / "again" / "genotype.json").read_bytes() == (tmp_path / "found" / "genotype.json").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["serach"], "No such command"),
        (["search", "--epochs", "many"], "--epochs"),
        (["search", "--device", "cuda"], "no CUDA device"),
        (["search", "no/such/path"], "no such folder: no/such/path"),
        (["search", "empty"], "no images in "),
        (["search", "single"], "one class only (cat)"),
        (["search", "corrupt"], "corrupt/dog/1.png: not an image that Pillow knows; mend or remove it"),
        (["search", "--out", "typo.yaml"], "typo.yaml is a file"),
        (["search", "--resume"], "--resume needs --out"),
        (["search", "--resume", "--out", "nowhere"], "no run in nowhere"),
        (["search", "--out", "single"], "single is not empty"),
        (["search", "--config", "nowhere.yaml"], "cannot read the configuration nowhere.yaml"),
        (["search", "--config", "list.yaml"], "list.yaml is no configuration"),
        (["search", "--config", "typo.yaml"], "epoch"),
        (["train", "nowhere"], "no genotype nowhere"),
        (["train", "no.json"], "no.json: no JSON"),
        (["train", "later.json"], "later.json: version 9"),
        (["train", "cycle.json"], "a cycle"),
        (["train", "foreign.json"], "unknown operation 'conv_9x9'"),
        (["show", "foreign.json"], "unknown operation 'conv_9x9'"),
        (["evaluate", "nowhere"], "no run in nowhere"),
        (["consistency", "nowhere"], "no run in nowhere"),
        (["bench", "nasbench201", "--table", "nowhere.csv"], "no table nowhere.csv"),
        (["bench", "nasbench201", "--table", "list.yaml", "--methods", "random,pso"], "there is no method 'pso'"),
        (["bench", "nasbench201", "--table", "list.yaml", "--resume"], "--resume needs --out"),
        (["bench", "nasbench201", "--table", "list.yaml", "--out", "single"], "single is not empty"),
        (["bench", "nasbench301", "--surrogate", "no.onnx", "--encoding", "list.yaml"], "no file no.onnx"),
        (["bench", "nasbench301", "--surrogate", "list.yaml", "--encoding", "list.yaml"], "list.yaml is no ONNX file"),
        (["bench", "rank", "nowhere", "--table", "list.yaml"], "no run in nowhere"),
        (["search", "--target-connections", "2"], "method entrannas has no thresholds to pull"),
        (["search", "--derive", "never"], "'--derive': 'never' is not one of 'step', 'epoch', 'end'"),
    ],
)
def test_bad_input(refused: Callable[..., str], tmp_path: Path, arguments: list[str], complaint: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "single" / "cat").mkdir(parents=True)
    for i in range(4):
        Image.new("RGB", (4, 4)).save(tmp_path / "single" / "cat" / f"{i}.png")
        for name in ("cat", "dog"):
            (tmp_path / "corrupt" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4)).save(tmp_path / "corrupt" / name / f"{i}.png")
    (tmp_path / "corrupt" / "dog" / "1.png").write_text("no image")
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "typo.yaml").write_text("epoch: 1\n")
    good = library.load_genotype("darts-v2").to_json()
    (tmp_path / "no.json").write_text("not at all")
    (tmp_path / "later.json").write_text(good.replace('"version": 1', '"version": 9'))
    (tmp_path / "cycle.json").write_text(good.replace('"input": 2', '"input": 5'))
    (tmp_path / "foreign.json").write_text(good.replace("dil_conv_3x3", "conv_9x9"))
    before = sorted(tmp_path.rglob("*"))
    if arguments[1:3] == ["--device", "cuda"] and torch.cuda.is_available():
        pytest.skip("CUDA is here")
    assert complaint in refused(*arguments)
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written"
