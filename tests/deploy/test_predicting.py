import csv
import io
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from pyarrow import parquet

from entrannas.data.folders import find_images
from entrannas.deploy.predicting import Classified, Unreadable, classify_files
from entrannas.deploy.results import ResultsFormat, open_results
from entrannas.learning.trained import load
from entrannas.runs.events import StageBegan, StageEnded, Stepped

from ..end_to_end.conftest import COMMAND, Entrannas, entrannas
from ..pictures import class_folders, picture

__all__ = ["entrannas"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "photos", {"b": 5, "a": 4})


def test_images_are_found_in_folders_and_by_patterns_in_the_order_that_they_are_named(photos: Path) -> None:
    picture(photos / "a" / "deeper" / "x.JPG", 3)
    (photos / "a" / "notes.txt").write_text("no image")
    (photos / "[odd].png").write_bytes((photos / "a" / "000.png").read_bytes())
    found, left_out = find_images([str(photos / "b"), str(photos / "a"), str(photos / "[odd].png"), "gone.png"])
    assert [path.name for path in found[:5]] == [f"00{i}.png" for i in range(5)]
    assert [path.name for path in found[9:]] == ["x.JPG", "[odd].png", "gone.png"]
    assert left_out == [f"files of other kinds (1 .txt) in {photos / 'a'}"]
    pattern, _ = find_images([str(photos / "**" / "*3.png")])
    assert [path.parent.name for path in pattern] == ["a", "b"]
    everything, _ = find_images([str(photos / "**")])
    assert len(everything) == len(set(everything)) == 12, "the notes among them, which the pattern names"


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_files_are_told_in_order_and_the_damaged_with_why(batch_size: int, photos: Path, photos_run: Path) -> None:
    trained = load(photos_run)
    (photos / "b" / "002.png").write_bytes((photos / "b" / "003.png").read_bytes()[:100])
    (photos / "a" / "001.png").unlink()
    paths = [*sorted((photos / "b").iterdir()), photos / "a" / "001.png", *sorted((photos / "a").iterdir())]
    events: list[object] = []
    found = list(classify_files(trained, paths, 2, batch_size, [events.append]))
    assert [one.path for one in found] == paths
    faults = {one.path.name: one.why for one in found if isinstance(one, Unreadable)}
    assert faults.keys() == {"002.png", "001.png"} and faults["001.png"] == "No such file or directory"
    for one in found:
        if isinstance(one, Classified):
            ((name, probability), (second, less)) = one.predictions
            ((wanted, p), (next_best, q)) = trained.predict(one.path, 2)[0]
            assert (name, second) == (wanted, next_best)
            assert (probability, less) == (pytest.approx(p, abs=1e-5), pytest.approx(q, abs=1e-5))
    told = [StageBegan("predict", range(len(paths)), 1), *[Stepped()] * len(paths), StageEnded()]
    assert events == ([] if batch_size == 64 else told), "of a single batch nothing is shown"


FOUND = [
    Classified(Path("a,b.png"), [("cat", 0.75), ('do"g', 0.25)]),
    Classified(Path(os.fsdecode(b"\xff.png")), [("cat", 0.5), ("Ünïcode", 0.5)]),
]
ODD = Classified(Path("new\nline.png"), [("\x1b[31mred", 1.0)])


@pytest.mark.parametrize("form", ["text", "csv", "json"])
def test_a_file_holds_what_stdout_shows(form: ResultsFormat, tmp_path: Path) -> None:
    shown = io.StringIO()
    for out in (None, tmp_path / "out"):
        with open_results(form, 2, out, shown) as results:
            for one in FOUND:
                results.add(one)
    text = (tmp_path / "out").read_text(encoding="utf-8")
    assert text == shown.getvalue()
    match form:
        case "csv":
            rows = list(csv.DictReader(io.StringIO(text)))
            assert [row["path"] for row in rows] == ["a,b.png", "\\xff.png"]
            assert rows[0] == {"path": "a,b.png", "class1": "cat", "probability1": "0.75"} | {
                "class2": 'do"g',
                "probability2": "0.25",
            }
        case "json":
            first, second = map(json.loads, text.splitlines())
            assert first == {
                "path": "a,b.png",
                "predictions": [{"class": "cat", "probability": 0.75}, {"class": 'do"g', "probability": 0.25}],
            }
            assert second["predictions"][1]["class"] == "Ünïcode"
        case "text":
            assert text.splitlines()[0] == 'a,b.png\tcat 75.00 %\tdo"g 25.00 %'


def test_text_stays_on_its_line_and_does_not_speak_to_the_terminal() -> None:
    shown = io.StringIO()
    with open_results("text", 1, None, shown) as results:
        results.add(ODD)
    assert shown.getvalue() == "new\\nline.png\t\\x1b[31mred 100.00 %\n"


def test_parquet_holds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entrannas.deploy.results._AT_ONCE", 3)
    with open_results("parquet", 2, tmp_path / "out.parquet", io.StringIO()) as results:
        for one in FOUND * 4:
            results.add(one)
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.num_rows == 8
    assert table.to_pylist()[4] == {
        "path": "a,b.png",
        "predictions": [{"class": "cat", "probability": 0.75}, {"class": 'do"g', "probability": 0.25}],
    }


@pytest.mark.parametrize("form", ["text", "csv", "json", "parquet"])
def test_a_file_that_is_not_finished_is_not_there(form: ResultsFormat, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("before")
    with pytest.raises(KeyboardInterrupt), open_results(form, 2, tmp_path / "out", io.StringIO()) as results:
        results.add(FOUND[0])
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and (tmp_path / "out").read_text() == "before"


def test_predict_goes_on_past_damaged_files_and_says_so(
    entrannas: Entrannas, tmp_path: Path, photos: Path, photos_run: Path
) -> None:
    (photos / "b" / "bad.png").write_bytes(b"no image")
    outcome = entrannas("predict", photos_run, photos, "photos/a/*1.png", "--results-format", "json", code=1)
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert len(lines) == 10 and all(len(line["predictions"]) == 3 for line in lines)
    assert lines[-1]["path"] == "photos/a/001.png"
    assert f"cannot read {photos}/b/bad.png: not an image that Pillow knows\n" in outcome.err
    assert outcome.err.endswith("1 of 11 files could not be read\n")


def test_a_pipe_is_not_waited_for(entrannas: Entrannas, tmp_path: Path, photos: Path, photos_run: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    outcome = entrannas("predict", photos_run, "pipe.png", photos / "a" / "000.png", code=1)
    assert "cannot read pipe.png: it is no regular file" in outcome.err and outcome.out.count("\n") == 1


def test_predict_takes_paths_on_stdin_whatever_their_bytes(photos: Path, photos_run: Path, tmp_path: Path) -> None:
    odd = os.fsencode(photos) + b"/\xff.png"
    shutil.copy(photos / "a" / "000.png", odd)
    names = b"\n".join([odd, os.fsencode(photos / "b" / "001.png"), b""])
    command = [*COMMAND, "predict", str(photos_run), "-", "--topk", "1", "--out", str(tmp_path / "out.txt")]
    done = subprocess.run(command, input=names, capture_output=True, timeout=120)
    assert done.returncode == 0 and done.stdout == b"", done.stderr
    first, second = (tmp_path / "out.txt").read_text(encoding="utf-8").splitlines()
    assert first.startswith(f"{photos}/\\xff.png\t") and second.count("\t") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["empty"], "there is no image to classify"),
        (["photos", "--results-format", "parquet"], "give --out FILE"),
        (["photos", "--topk", "0"], "is not from 1 to 100000"),
        (["photos", "--results-format", "xml"], "'xml' is not one of"),
        (["photos", "--out", "nowhere.txt/out.txt"], "cannot write"),
        (["photos", "--out", "empty"], "empty is a folder"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    arguments: list[str], told: str, entrannas: Entrannas, photos: Path, photos_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "nowhere.txt").touch()
    err = entrannas("predict", photos_run, *arguments, code=2).err
    assert told in err and err.count("entrannas: ") == 1
