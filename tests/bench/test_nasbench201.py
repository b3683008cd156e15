import csv
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from entrannas.bench.nasbench201 import DATASETS, load_table
from entrannas.bench.table201 import PACKAGED, architectures
from entrannas.core.errors import InputError
from entrannas.runs.genotypes import load_genotype

from ..conftest import Rows, write_table

Damage = Callable[[Rows], object]


def test_all_architectures_go_through_a_genotype_and_back() -> None:
    found = list(architectures())
    assert len(set(found)) == len(found) == 5**6
    assert all(load_genotype(text).to_text() == text for text in found)


def test_the_real_table(nasbench201: Path) -> None:
    table = load_table(nasbench201)
    best = {name: round(value, 2) for name, value in table.best().items()}
    assert best == {"cifar10": 94.37, "cifar100": 73.51, "imagenet16": 47.31}
    conv, skip = "nor_conv_3x3", "skip_connect"
    known = load_genotype(f"|{conv}~0|+|{conv}~0|{conv}~1|+|{skip}~0|{conv}~1|{conv}~2|")
    assert table.look_up(known) == {"cifar10": 94.3633, "cifar100": 73.5133, "imagenet16": 46.3444}


def test_look_up_best_and_mean(table_rows: Rows, tmp_path: Path) -> None:
    table = load_table(write_table(tmp_path / "table.csv", table_rows))
    row = random.Random(0).choice(table_rows[1:])
    assert table.look_up(load_genotype(row[0])) == dict(zip(DATASETS, map(float, row[1:]), strict=True))
    column = [float(row[1]) for row in table_rows[1:]]
    assert table.best()["cifar10"] == max(column)
    assert table.mean()["cifar10"] == pytest.approx(sum(column) / len(column))


def test_other_columns_and_a_byte_order_mark_are_ignored(table_rows: Rows, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(["?", *row] for row in table_rows)
    assert len(load_table(path).accuracies) == 15_625


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda rows: rows[0].__setitem__(2, "cifar100"), "it lacks the column cifar100_test_200ep: its first row is"),
        (lambda rows: rows.clear(), "it lacks the column arch: its first row is 'nothing'"),
        (lambda rows: rows.pop(7), r"it lacks 1 of the 15,625 architectures, \|.* among them"),
        (lambda rows: rows.append(list(rows[3])), r"row 15627 repeats the architecture \|none"),
        (lambda rows: rows[9].__setitem__(0, "|conv\n9x9~0|"), "row 11, arch: .* is no architecture of NAS-Bench-201"),
        (
            lambda rows: rows[9].__setitem__(3, "good"),
            "row 10, imagenet16_test_200ep: 'good' is no accuracy in percent",
        ),
        (lambda rows: rows[9].__setitem__(1, "nan"), "row 10, cifar10_test_200ep: 'nan' is no accuracy"),
        (lambda rows: rows[9].__setitem__(1, "101"), "row 10, cifar10_test_200ep: '101' is no accuracy"),
        (lambda rows: rows[9].pop(), "row 10, imagenet16_test_200ep: '' is no accuracy"),
    ],
)
def test_damage_is_one_clear_line(table_rows: Rows, tmp_path: Path, damage: Damage, complaint: str) -> None:
    rows = [list(row) for row in table_rows]
    damage(rows)
    with pytest.raises(InputError, match=f"table.csv: {complaint}") as caught:
        load_table(write_table(tmp_path / "table.csv", rows))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("content", [b"\x80\x04\x95pickle", os.urandom(5000) + b"\xff", b"PK\x03\x04\x00\n" * 100, b""])
def test_what_is_no_csv_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"table.pth( is no CSV table|: it lacks the column arch)") as caught:
        load_table(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.csv", tmp_path):
        with pytest.raises(InputError, match=r"no table .*: give the CSV"):
            load_table(path)


def test_the_packaged_table_has_the_published_best() -> None:
    table = load_table(PACKAGED)
    assert len(table.accuracies) == 15_625
    best = {name: max(row[name] for row in table.accuracies.values()) for name in DATASETS}
    assert {name: round(value, 2) for name, value in best.items()} == {
        "cifar10": 94.37,
        "cifar100": 73.51,
        "imagenet16": 47.31,
    }
