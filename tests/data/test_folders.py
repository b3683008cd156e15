import os
from pathlib import Path

import pytest
from PIL import Image

from entrannas.core.errors import InputError
from entrannas.data.folders import Classes, Folders, read_folders

from ..pictures import class_folders, picture


def _counts(classes: Classes | None) -> dict[str, int] | None:
    return None if classes is None else {name: len(images) for name, images in classes.items()}


def _told(found: Folders) -> str:
    return "; ".join(found.left_out)


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "test"), ("Train", "Test"), ("TRAINING", "Testing"), ("training_set", "test_set"), ("train", "eval")]
    + [("train", name) for name in ("val", "valid", "Validation", "dev")],
)
def test_split_folders_have_the_names_that_people_use(tmp_path: Path, train: str, test: str) -> None:
    class_folders(tmp_path / train, {"cat": 3, "dog": 2})
    class_folders(tmp_path / test, {"cat": 1, "dog": 1})
    found = read_folders(tmp_path, None)
    assert (_counts(found.train), _counts(found.test)) == ({"cat": 3, "dog": 2}, {"cat": 1, "dog": 1})
    assert found.names == (train, test) and not found.left_out


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    class_folders(tmp_path, {"bus": 2, "car": 2, "train": 2})
    found = read_folders(tmp_path, None)
    assert list(found.train) == ["bus", "car", "train"] and found.test is None and not found.left_out
    picture(tmp_path / "train" / "steam" / "a.png", 0)
    found = read_folders(tmp_path, None)
    assert _counts(found.train) == {"bus": 2, "car": 2, "train": 3}
    assert found.doubt is not None and found.doubt.startswith(
        "train taken for classes, not for splits, because of what"
    )


def test_splits_without_class_folders_are_no_classes(tmp_path: Path) -> None:
    class_folders(tmp_path, {"train": 3, "test": 2})
    with pytest.raises(InputError, match="test and train, which have the names of splits but no class folders in them"):
        read_folders(tmp_path, None)


def test_a_test_split_that_cannot_serve_gives_way(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"cat": 3, "dog": 2})
    picture(tmp_path / "test" / "1.png", 0)
    found = read_folders(tmp_path, None)
    assert found.test is None and found.names == ("train",)
    assert "test (flat: it has images but no class folders)" in _told(found)
    class_folders(tmp_path / "val", {"cat": 1, "dog": 1})
    found = read_folders(tmp_path, None)
    assert _counts(found.test) == {"cat": 1, "dog": 1} and found.names == ("train", "val")
    assert "test (flat" in _told(found)
    with pytest.raises(InputError, match=r"the split test of .* cannot serve as the test set: flat"):
        read_folders(tmp_path, "test")


def test_a_split_is_chosen_by_name_and_the_other_is_told(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"cat": 3, "dog": 2})
    class_folders(tmp_path / "test", {"cat": 1, "dog": 1})
    class_folders(tmp_path / "val", {"cat": 2, "dog": 2})
    assert read_folders(tmp_path, None).names == ("train", "test")
    assert "val (4 images)" in _told(read_folders(tmp_path, None))
    assert read_folders(tmp_path, "VAL").names == ("train", "val")
    with pytest.raises(InputError, match="no split 'holdout' to test on: beside the training images it has test, val"):
        read_folders(tmp_path, "holdout")
    class_folders(tmp_path / "testing", {"cat": 1})
    with pytest.raises(InputError, match="the splits test and testing: choose one by --test-split"):
        read_folders(tmp_path, None)
    class_folders(tmp_path / "Training", {"cat": 1})
    with pytest.raises(InputError, match="more than one training split among"):
        read_folders(tmp_path, None)


def test_what_tools_leave_is_no_data_at_any_depth(tmp_path: Path) -> None:
    class_folders(tmp_path, {"cat": 3, "dog": 2})
    for folder in (tmp_path, tmp_path / "cat"):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (folder / name).write_text("x")
    (tmp_path / "cat" / "._000.png").write_bytes(b"\0\5\26\7")
    for hidden in (tmp_path / "__MACOSX" / "cat", tmp_path / "dog" / ".ipynb_checkpoints", tmp_path / "dog" / "@eaDir"):
        picture(hidden / "000.png", 0)
    found = read_folders(tmp_path, None)
    assert _counts(found.train) == {"cat": 3, "dog": 2}
    assert _told(found) == "10 hidden or tool-made"


def test_what_pillow_can_open_is_an_image_whatever_its_ending(tmp_path: Path) -> None:
    class_folders(tmp_path, {"cat": 3, "dog": 2})
    (tmp_path / "cat" / "000.png").rename(tmp_path / "cat" / "without-ending")
    (tmp_path / "cat" / "001.png").rename(tmp_path / "cat" / "photo.download")
    picture(tmp_path / "dog" / "more" / "deep.PNG", 0)
    for name in ("notes.txt", "more.txt", "list.csv", "film.mpg", "drawing.eps"):
        (tmp_path / "cat" / name).write_text("%!PS-Adobe")
    picture(tmp_path / "loose.png", 0)
    (tmp_path / "README.md").write_text("")
    found = read_folders(tmp_path, None)
    assert _counts(found.train) == {"cat": 3, "dog": 3}
    assert "files of other kinds (2 .txt, 1 .md, " in _told(found)
    assert "1 beside the class folders (loose.png)" in _told(found)


def test_images_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    class_folders(tmp_path, {"cat": 3, "dog": 2})
    picture(tmp_path / "cat" / "000a" / "deep.png", 0)
    images = read_folders(tmp_path, None).train["cat"]
    assert list(images) == sorted((tmp_path / "cat").rglob("*.png"))


def test_links_are_followed_and_circles_noticed(tmp_path: Path) -> None:
    class_folders(tmp_path / "elsewhere", {"wolf": 4})
    root = class_folders(tmp_path / "data", {"cat": 3, "dog": 2})
    (root / "wolf").symlink_to(tmp_path / "elsewhere" / "wolf")
    (root / "cat" / "again").symlink_to(root / "cat")
    (root / "dog" / "up").symlink_to(tmp_path)
    found = read_folders(root, None)
    assert _counts(found.train) == {"cat": 3, "dog": 2, "wolf": 4}
    assert "2 that lead back in a circle (again, up)" in _told(found)


def test_pipes_are_not_opened_and_links_to_nowhere_not_lost(tmp_path: Path) -> None:
    class_folders(tmp_path, {"cat": 3, "dog": 2})
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "dog" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "dog" / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "dog" / "self.png").symlink_to(tmp_path / "dog" / "self.png")
    found = read_folders(tmp_path, None)
    assert _counts(found.train) == {"cat": 3, "dog": 4}, "reading will name those that lead nowhere"
    assert "2 that are no regular files (pipe.png, zero.png)" in _told(found)


def test_a_class_without_an_image_and_a_closed_folder_are_errors(tmp_path: Path) -> None:
    class_folders(tmp_path, {"cat": 3, "dog": 2})
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"the class empty has no image: fill or remove .*empty"):
        read_folders(tmp_path, None)
    (tmp_path / "empty").chmod(0)
    if not os.access(tmp_path / "empty", os.R_OK):  # as root everything may be read
        with pytest.raises(InputError, match=r"cannot read the folder .*empty: Permission denied"):
            read_folders(tmp_path, None)
    (tmp_path / "empty").chmod(0o700)


def test_a_folder_in_a_folder_is_pointed_at(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", {"cat": 3, "dog": 2})
    with pytest.raises(
        InputError, match=r"one folder, in which are others: if the classes are those in .*photos, give that"
    ):
        read_folders(tmp_path, None)


def test_a_test_class_that_training_lacks(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"cat": 2, "dog": 2})
    class_folders(tmp_path / "test", {"cow": 2})
    with pytest.raises(InputError, match=r"cow is a class that .*train lacks"):
        read_folders(tmp_path, None)
    (tmp_path / "test" / "cow" / "000.png").unlink()
    (tmp_path / "test" / "cow" / "001.png").unlink()
    class_folders(tmp_path / "test", {"cat": 2})
    assert _counts(read_folders(tmp_path, None).test) == {"cat": 2}, "an empty folder of the test split is no class"


def test_an_image_is_told_by_its_content_alone_where_pillow_would_run_a_program(tmp_path: Path) -> None:
    class_folders(tmp_path, {"cat": 3, "dog": 2})
    Image.new("RGB", (4, 4)).save(tmp_path / "cat" / "vector.eps")
    assert _counts(read_folders(tmp_path, None).train) == {"cat": 3, "dog": 2}


def test_what_is_there_in_the_place_of_images_is_told(tmp_path: Path) -> None:
    class_folders(tmp_path / "a", {"cat": 3, "dog": 2})
    (tmp_path / "a" / "phone").mkdir()
    (tmp_path / "a" / "phone" / "1.heic").write_bytes(b"heic")
    with pytest.raises(
        InputError, match=r"class phone has no image: fill .*; it holds files of other kinds \(1 .heic\)"
    ):
        read_folders(tmp_path / "a", None)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "photos.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"no images in .*; it holds files of other kinds \(1 .zip\)"):
        read_folders(tmp_path / "b", None)
    picture(tmp_path / "c" / "1.png", 0)
    with pytest.raises(InputError, match="holds 1 image but no class folders"):
        read_folders(tmp_path / "c", None)
    class_folders(tmp_path / "d" / "more" / "photos", {"cat": 3, "dog": 2})
    with pytest.raises(InputError, match=r"if the classes are those in .*more/photos, give that"):
        read_folders(tmp_path / "d", None)
