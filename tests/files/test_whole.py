import os
from pathlib import Path

import pytest

from entrannas.core.errors import InputError
from entrannas.files.whole import read_whole, write_whole


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    (tmp_path / ".file.part").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"cannot write .*file: No space left on device; .* free some space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_only_regular_files_of_a_size_that_is_meant_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1234")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("file")
    assert read_whole(tmp_path / "file", 4) == read_whole(tmp_path / "link", 4) == b"1234"
    for path, complaint in (
        (tmp_path / "fifo", "it is no regular file"),
        (tmp_path, "it is no regular file"),
        (Path("/dev/zero"), "it is no regular file"),
        (tmp_path / "file" / "below", "Not a directory"),
    ):
        with pytest.raises(InputError, match=f"cannot read {path}: {complaint}"):
            read_whole(path, 4)
    with pytest.raises(InputError, match="it is larger than "):
        read_whole(tmp_path / "file", 3)
    with pytest.raises(FileNotFoundError):
        read_whole(tmp_path / "nothing", 4)
