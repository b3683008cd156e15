import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from entrannas.data.class_names import class_names
from entrannas.data.paths import Paths
from entrannas.data.settings import DataSettings
from entrannas.data.sources import Source, open_source
from entrannas.data.training_data import load_training_data

from ..pictures import class_folders, picture


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give split folders that are taken for large ones, with folders in folders, and a link."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("entrannas.data.listing._LARGE", 10)
    root = tmp_path / "data"
    class_folders(root / "train", {"cat": 9, "dog": 8})
    class_folders(root / "val", {"cat": 3, "dog": 3})
    picture(root / "train" / "dog" / "deep" / "er" / "a.png", 7)
    (root / "train" / "cat" / "linked").symlink_to(root / "val" / "cat")
    (root / "notes.txt").write_text("")
    monkeypatch.setattr("entrannas.data.listing._SETTLED", -(10**12))  # what has changed by now is kept as it is
    return root


def _names(source: Source) -> list[str]:
    return [split.reader.name(int(index)) for split in (source.train, source.test) for index in split.indices]


def test_a_large_folder_is_listed_once(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_source(str(large))
    with monkeypatch.context() as context:
        context.setattr("entrannas.data.listing.read_folders", None)
        context.setattr("entrannas.data.sources.parquet_files", None)
        again = open_source(str(large))
    assert _names(again) == _names(first) and len(first.train) == 21 and len(first.test) == 6
    assert torch.equal(again.train.labels, first.train.labels) and again.notes() == first.notes()
    assert again.train.reader.identity() == first.train.reader.identity() != again.test.reader.identity()


@pytest.mark.parametrize("where", ["train/cat", "train/dog/deep/er", "val/cat"])
@pytest.mark.parametrize("gone", [True, False])
def test_it_is_listed_again_where_a_folder_has_changed(large: Path, where: str, gone: bool) -> None:
    names = _names(open_source(str(large)))
    if gone:
        min((large / where).glob("*.png")).unlink()
    else:
        picture(large / where / "new.png", 8)
    assert len(_names(open_source(str(large)))) == len(names) + (-1 if gone else 1) * (1 + (where == "val/cat"))


def test_it_is_listed_again_where_a_folder_has_been_given_its_old_time(large: Path) -> None:
    names, folder = _names(open_source(str(large))), large / "train" / "cat"
    before = os.stat(folder).st_mtime_ns
    min(folder.glob("*.png")).unlink()
    os.utime(folder, ns=(before, before))  # as tar and rsync do
    assert len(_names(open_source(str(large)))) == len(names) - 1


def test_it_is_listed_again_where_what_is_left_out_has_changed(large: Path) -> None:
    before = open_source(str(large)).notes()
    (large / "notes.txt").unlink()
    assert open_source(str(large)).notes() != before


def test_other_files_have_another_identity(large: Path) -> None:
    first = open_source(str(large)).train.reader.identity()
    picture(large / "train" / "cat" / "000.png", 99, size=(30, 30))
    assert open_source(str(large)).train.reader.identity() == first, "written in its place, which is not seen"
    picture(large / "train" / "cat" / "new.png", 99)
    assert open_source(str(large)).train.reader.identity() != first


def test_what_has_just_changed_is_not_kept(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entrannas.data.listing._SETTLED", 2 * 10**9)
    open_source(str(large))
    with monkeypatch.context() as context, pytest.raises(TypeError):
        context.setattr("entrannas.data.listing.read_folders", None)
        open_source(str(large))


def test_small_folders_are_listed_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = class_folders(tmp_path / "data", {"cat": 9, "dog": 8})
    open_source(str(root))
    assert not (tmp_path / "cache").exists()


def test_nothing_is_decoded_or_asked_for_the_second_time(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a data set that is streamed: neither its images nor its files, but for the heads of some."""
    monkeypatch.setattr("entrannas.data.kept._WORTH_KEEPING", 1)
    settings = DataSettings(str(large), crops="resized")
    first = load_training_data(settings, torch.device("cpu"))
    with monkeypatch.context() as context:
        for name in ("decode", "_try"):
            context.setattr(f"entrannas.data.images.{name}", None)
        context.setattr("entrannas.data.listing._identity", None)
        context.setattr("entrannas.data.seen.digest", None)
        again = load_training_data(settings, torch.device("cpu"), first.seen())
    assert torch.equal(again.images.digests, first.images.digests) and again.normalisation == first.normalisation


def test_a_million_paths_take_little(tmp_path: Path) -> None:
    names = [tmp_path / f"class{number % 7}" / "below" / f"{number}.jpg" for number in range(1000)]
    names.append(Path(os.fsdecode(bytes(tmp_path) + b"/a\xff/\xe9.png")))
    paths = Paths.of(names)
    assert list(paths) == names and len(paths) == 1001 and paths[1000] == names[1000]
    halves = paths.part(0, 300), paths.part(300, 1001)
    assert list(halves[1]) == names[300:]
    joined = Paths.join(halves)
    apart = Paths.join([Paths.of(names[:300]), Paths.of(names[300:])])
    assert list(apart) == names
    assert list(joined) == names and list(Paths.from_arrays(joined.arrays())) == names
    assert sum(array.nbytes for array in paths.arrays().values()) < (len(str(names[0])) + 15) * len(names)
    assert len(Paths.join([])) == 0


MAPPING = """n01440764 tench, Tinca tinca
n02012849 crane
n03126707 crane
n03710721 maillot, tank suit
n03710637 maillot
n09999999
"""


def test_imagenet_s_classes_have_their_names(tmp_path: Path) -> None:
    folders = ["n01440764", "n02012849", "n03126707", "n03710637", "n03710721", "n09999999", "other"]
    root = class_folders(tmp_path / "data" / "train", dict.fromkeys(folders, 2)).parent
    class_folders(root / "val", dict.fromkeys(folders, 1))
    assert open_source(str(root)).classes == tuple(folders)
    (root / "LOC_synset_mapping.txt").write_text(MAPPING)
    source = open_source(str(root))
    named = "tench", "n02012849 crane", "n03126707 crane", "n03710637 maillot", "n03710721 maillot"
    assert source.classes == (*named, "n09999999", "other") and not source.left_out
    (root / "LOC_synset_mapping.txt").rename(tmp_path / "LOC_synset_mapping.txt")
    assert open_source(str(root)).classes == source.classes, "beside the data"
    assert class_names(tmp_path / "nowhere", ("a", "b")) == ("a", "b")


def test_the_hub_s_imagenet_is_read(tmp_path: Path) -> None:
    """With its names of files and classes, and a test split without labels."""
    import io

    import datasets

    def cell(seed: int) -> dict[str, object]:
        buffer = io.BytesIO()
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)).save(buffer, "JPEG")
        return {"bytes": buffer.getvalue(), "path": f"n01440764_{seed}.JPEG"}

    label = datasets.ClassLabel(names=["tench, Tinca tinca", "goldfish, Carassius auratus"])
    (tmp_path / "data").mkdir()
    for split, labels in (("train", [0, 1] * 3), ("validation", [0, 1]), ("test", [-1, -1])):
        table = datasets.Dataset.from_dict({"image": [cell(i) for i in range(len(labels))], "label": labels})
        table = table.cast_column("image", datasets.Image()).cast_column("label", label)
        table.to_parquet(tmp_path / "data" / f"{split}-00000-of-00001-a1b2c3.parquet")
    source = open_source(str(tmp_path))
    assert (len(source.train), len(source.test)) == (6, 2) and source.classes[0] == "tench, Tinca tinca"
    assert source.left_out == ("test (2 of its 2 labels are missing)",)
