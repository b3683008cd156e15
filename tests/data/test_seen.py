from pathlib import Path

import pytest
import torch

from entrannas.core.errors import InputError
from entrannas.data.seen import Seen, keep_apart
from entrannas.data.settings import DataSettings
from entrannas.data.sources import digest, open_source
from entrannas.data.training_data import load_training_data

from ..pictures import class_folders, picture

CPU = torch.device("cpu")


def _names(split: object) -> set[str]:
    return {Path(split.reader.name(index)).name for index in split.indices.tolist()}  # type: ignore[attr-defined]


def _seen(root: Path) -> tuple[Seen, set[str]]:
    """Load a folder as a run does, and return what it keeps and the names of the images that it holds out."""
    data = load_training_data(DataSettings(str(root)), CPU)
    return data.seen(), _names(open_source(str(root)).test)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = class_folders(tmp_path / "photos", {"cat": 20, "dog": 10})
    for path in (root / "dog").iterdir():
        path.rename(path.with_name(f"d{path.name}"))
    return root


def test_the_same_images_are_held_out_again(photos: Path) -> None:
    seen, held_out = _seen(photos)
    source, note = keep_apart(open_source(str(photos)), seen)
    assert note is None and _names(source.test) == held_out and len(held_out) == 6


def test_added_and_removed_files_do_not_move_images_into_the_test(photos: Path) -> None:
    seen, held_out = _seen(photos)
    for i in range(40):
        picture(photos / "cat" / f"a-new-{i}.png", 1000 + i)
    gone = sorted(held_out)[0]
    (photos / "cat" / gone).unlink()
    trained = sorted(_names(open_source(str(photos)).train) - held_out)[-1]
    plain = _names(open_source(str(photos)).test)
    assert plain != held_out - {gone}, "a fresh draw holds others out"
    source, note = keep_apart(open_source(str(photos)), seen)
    assert _names(source.test) == held_out - {gone}
    assert trained in _names(source.train) and "a-new-3.png" in _names(source.train)
    assert note is not None and "1 of the 6 that were held out are gone, 40 are new" in note and "on the 5 that" in note


def test_renamed_files_are_known_again(photos: Path) -> None:
    seen, held_out = _seen(photos)
    for path in [*photos.rglob("*.png")]:
        path.rename(path.with_name(f"renamed-{path.name}"))
    source, _ = keep_apart(open_source(str(photos)), seen)
    assert _names(source.test) == {f"renamed-{name}" for name in held_out}


def test_no_held_out_image_left(photos: Path) -> None:
    seen, held_out = _seen(photos)
    for path in [*photos.rglob("*.png")]:
        if path.name in held_out:
            path.unlink()
    with pytest.raises(InputError, match="none of the images that the run held out is left"):
        keep_apart(open_source(str(photos)), seen)


def test_other_images_are_split_as_ever(photos: Path, tmp_path: Path) -> None:
    seen, _ = _seen(photos)
    other = open_source(str(class_folders(tmp_path / "other", {"cow": 20, "hen": 10})))
    assert keep_apart(other, seen) == (other, None)


def test_a_training_image_that_was_moved_or_copied_to_the_test_folder_is_left_out(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"cat": 6, "dog": 6})
    class_folders(tmp_path / "test", {"dog": 2})
    (tmp_path / "test" / "dog" / "twin.png").write_bytes((tmp_path / "train" / "cat" / "000.png").read_bytes())
    data = load_training_data(DataSettings(str(tmp_path)), CPU)
    seen = data.seen()
    source, note = keep_apart(open_source(str(tmp_path)), seen)
    assert note is None and len(source.test) == 3, "what was there at the training is tested on as it was then"
    (tmp_path / "train" / "dog" / "003.png").rename(tmp_path / "test" / "dog" / "moved.png")
    picture(tmp_path / "test" / "cat" / "new.png", 77)
    source, note = keep_apart(open_source(str(tmp_path)), seen)
    assert "moved.png" not in _names(source.test) and "new.png" in _names(source.test) and len(source.test) == 4
    assert note == "1 test image left out, since the run has learned from the same"


def test_a_class_that_is_new_has_images_held_out(photos: Path) -> None:
    seen, held_out = _seen(photos)
    for i in range(10):
        picture(photos / "cow" / f"cow-{i}.png", 500 + i)
    source, note = keep_apart(open_source(str(photos)), seen)
    names = _names(source.test)
    assert held_out < names and len(names - held_out) == 2 and all(name.startswith("cow") for name in names - held_out)
    assert note is not None
    assert note.endswith("on the 6 that are left, and on 2 of classes of which hardly any was held out")
    assert "8 of them held out for the test" in source.notes()[0]


def test_copies_of_a_held_out_image_do_not_bring_what_was_learned_from_into_the_test(photos: Path) -> None:
    for path in [*photos.rglob("*.png")]:
        path.with_name(f"copy-{path.name}").write_bytes(path.read_bytes())
    data = load_training_data(DataSettings(str(photos)), CPU)
    copied = int(torch.isin(data.test.digests, data.images.digests).sum())
    assert copied and any(f"warning: {copied} test images of 12 are training images too" in note for note in data.notes)
    seen = data.seen()
    picture(photos / "cat" / "new.png", 5)
    source, _ = keep_apart(open_source(str(photos)), seen)
    kept = {digest(source.test.reader.read(index)) for index in source.test.indices.tolist()}
    assert kept and kept.isdisjoint(data.images.digests.tolist())


def test_changes_are_counted() -> None:
    def seen(trained: list[int], held_out: list[int]) -> Seen:
        return Seen(torch.tensor(trained), torch.tensor(held_out))

    before = seen([1, 2, 3], [4, 5])
    assert before.change_to(seen([1, 2, 3], [4, 5])) is None
    assert before.change_to(seen([1, 3], [4, 5, 6, 7])) == "1 image gone, 2 new"
    assert before.change_to(seen([1, 2, 4], [3, 5])) == "some images have changed places between training and test"
    assert Seen.from_tensors(before.tensors()).change_to(before) is None
    with pytest.raises(InputError, match="damaged"):
        Seen.from_tensors({"trained": torch.zeros(3)})


def test_a_digest_is_of_64_bits_with_a_sign() -> None:
    digests = {digest(bytes([n])) for n in range(200)}
    assert len(digests) == 200 and min(digests) < 0 < max(digests) and max(map(abs, digests)) < 2**63
