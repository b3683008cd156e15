"""Operations fitted to networks, on devices that are made up: some leave out what is dead, others do not."""

import csv
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrannas.bench.hw_nas_bench import Hardware, all_live, fitted
from entrannas.bench.nasbench201 import NASBench201, Table
from entrannas.bench.table201 import SPACE, architectures
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.spaces import SPACES
from entrannas.latencies.edge_table import EdgeLatencies
from entrannas.runs.genotypes import load_genotype

OPERATIONS = SPACES[SPACE].operations
EDGES = SPACES[SPACE].edges
ALL = list(architectures())
drawn_architectures = st.sampled_from(ALL)


def made_up(seed: int) -> EdgeLatencies:
    drawn = random.Random(seed)
    edges = {
        edge: {name: 1000 * drawn.randint(0, 900) if name != "none" else 0 for name in OPERATIONS} for edge in EDGES
    }
    return EdgeLatencies(SPACE, "a board", 1_000_000, edges)


def of_all(device: EdgeLatencies, seed: int, count: int) -> dict[str, float]:
    drawn = random.Random(seed).sample(ALL, count)
    return {text: device.total(load_genotype(text)) / 1e6 for text in drawn}


@pytest.mark.parametrize("seed", range(5))
def test_what_is_a_sum_is_found(seed: int) -> None:
    device = made_up(seed)
    fit, margin = fitted("a board", of_all(device, seed, 2500))
    assert margin == pytest.approx(1, abs=1e-6)
    others = [load_genotype(text) for text in random.Random(seed + 1).sample(ALL, 100)]
    live = [one for one in others if all_live(one) and any(edge.input == 2 for edge in one.normal.nodes[2])]
    assert live  # few of those fitted lack that edge
    for one in live:
        assert fit.total(one) == pytest.approx(device.total(one), rel=1e-4)


def test_what_a_device_leaves_out_does_not_spoil_the_fit_and_the_margin_is_of_one_in_twenty() -> None:
    device, drawn = made_up(0), random.Random(1)
    took = {}
    for text, milliseconds in of_all(device, 0, 800).items():
        noise = drawn.uniform(0.9, 1.1)
        took[text] = milliseconds * noise if all_live(load_genotype(text)) else 0.1
    fit, margin = fitted("a board", took)
    assert 1.05 < margin < 1.12
    live = [text for text in ALL[::7] if all_live(load_genotype(text))]
    for text in live:
        ratio = fit.total(load_genotype(text)) / device.total(load_genotype(text))
        assert 1.0 < ratio < 1.2, "each near its own, and above it by the margin"


@given(drawn_architectures)
def test_live_is_what_every_edge_is_that_a_path_takes(text: str) -> None:
    genotype = load_genotype(text)
    (cell,) = genotype.cells.values()
    edges = {(one.input, node) for node, of in cell.by_node() for one in of}
    paths = [((0, 3),), ((0, 1), (1, 3)), ((0, 2), (2, 3)), ((0, 1), (1, 2), (2, 3))]
    on_paths = {edge for path in paths if set(path) <= edges for edge in path}
    assert all_live(genotype) == (on_paths == edges)


def test_a_table_of_edges_goes_through_json_and_its_damage_is_one_line() -> None:
    device = made_up(3)
    assert EdgeLatencies.from_json(device.to_json()) == device
    for damage, complaint in {
        device.to_json().replace("nasbench201", "darts"): "'darts' is no space of one kind of cell",
        device.to_json().replace("nor_conv_1x1", "conv"): "it is not of all operations on all edges of nasbench201",
        device.to_json().replace('"rest": 1', '"rest": -1'): "rest",
        "{": "no table of latencies",
    }.items():
        with pytest.raises(InputError, match=complaint):
            EdgeLatencies.from_json(damage)


def written(path: Path, device: EdgeLatencies, **others: str) -> Path:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["arch", "board_latency", "board_energy"])
        rows.writerows([text, others.get(text, device.total(load_genotype(text)) / 1e6), 1] for text in ALL)
    return path


def test_a_device_of_a_file_with_a_limit_is_told_of_what_was_found(tmp_path: Path) -> None:
    device = made_up(4)
    path = written(tmp_path / "hardware.csv", device, **{ALL[7]: "-1"})
    hardware = Hardware.load(path, "board", 2.5)
    assert len(hardware.milliseconds) == len(ALL) - 1 and len(hardware.drawn) == 1000
    assert hardware == Hardware.load(path, "board", 2.5), "drawn by a seed"
    fast = min(hardware.milliseconds, key=lambda text: hardware.milliseconds[text])
    slow = max(hardware.milliseconds, key=lambda text: hardware.milliseconds[text])
    told = hardware.summary({"0": fast, "1": slow, "2": ALL[7]})
    assert told["within"] == 1
    assert told["milliseconds"] == {"0": hardware.milliseconds[fast], "1": hardware.milliseconds[slow], "2": None}
    assert told["drawn"] == [seed for seed, text in {"0": fast, "1": slow}.items() if text in hardware.drawn]

    accuracies = {
        text: dict.fromkeys(("cifar10", "cifar100", "imagenet16"), float(at % 97)) for at, text in enumerate(ALL)
    }
    table = Table(accuracies, hardware)
    held = [text for text, took in hardware.milliseconds.items() if took <= 2.5]
    assert table.best()["cifar10"] == max(accuracies[text]["cifar10"] for text in held)
    assert table.scale()["hardware"]["within"] == len(held)
    assert "hardware" in table.summary({0: Genotype.from_text(fast)})


@pytest.mark.parametrize(
    ("device", "text", "complaint"),
    [
        ("gpu", "1", "hardware.csv: it lacks the column gpu_latency"),
        ("board", "fast", "row 9, board_latency: 'fast' is no time in milliseconds"),
        ("board", "-2", "row 9, board_latency: '-2' is no time"),
        ("board", "nan", "row 9, board_latency: 'nan' is no time"),
        ("board", "1e-300", "row 9, board_latency: '1e-300' is no time"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, device: str, text: str, complaint: str) -> None:
    path = written(tmp_path / "hardware.csv", made_up(5), **{ALL[7]: text})
    with pytest.raises(InputError, match=complaint):
        Hardware.load(path, device, 4.0)
    with pytest.raises(InputError, match="no table"):
        Hardware.load(tmp_path / "nowhere.csv", device, 4.0)
    with pytest.raises(InputError, match=r"no network takes at most 0\.1 ms on board: the least is 1"):
        Hardware.load(written(path, made_up(5)), "board", 0.1)
    assert NASBench201(path).hardware is None
