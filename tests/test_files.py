import os
from pathlib import Path

import pytest

from entrannas.errors import InputError
from entrannas.files import write_whole


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
