"""`entrannas latency`, as a user runs it."""

import json
from pathlib import Path

import pytest

from entrannas.latencies.table import LatencyTable

from .conftest import Entrannas

TEXT = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"
TINY = "--cells", 3, "--channels", 4, "--image-size", 8, "--classes", 2


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_a_sum_beside_what_is_measured(runtime: str, entrannas: Entrannas, tmp_path: Path) -> None:
    done = entrannas("latency", TEXT, *TINY, "--runtime", runtime, "--table", "table.json", "--json")
    found = done.json
    assert found["sum"] == sum(found["parts"].values()) > 0 and found["measured"] > 0
    assert found["error"] == pytest.approx(100 * (found["sum"] / found["measured"] - 1))
    assert found["conditions"]["runtime"] == runtime and found["table"] == "table.json"
    table = LatencyTable.load(tmp_path / "table.json")
    assert {"nor_conv_1x1", "nor_conv_3x3", "skip_connect", "avg_pool_3x3"} < {one.operation for one in table.timings}
    before = (tmp_path / "table.json").read_bytes()
    again = entrannas("latency", TEXT, *TINY, "--table", "table.json", "--json")
    assert again.json == found and (tmp_path / "table.json").read_bytes() == before, "nothing is measured anew"
    for name in ("stem", "entrances", "connections", "combination", "classifier", "sum", "measured", "error"):
        assert any(line.startswith(f"{name:<16}") for line in done.out.splitlines())
    assert "latencies" in done.err and json.loads(before)["version"] == 1
