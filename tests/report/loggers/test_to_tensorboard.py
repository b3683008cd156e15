from pathlib import Path
from typing import Any

from entrannas.report.loggers.listening import log_to

from .conftest import Twice
from .telling import FIRST, SECOND, Told


def _files(told: Told) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(told.run.path / "tensorboard"), {"scalars": 0, "tensors": 0, "images": 0}).Reload()


def _steps(files: Any, name: str) -> list[int]:
    return [scalar.step for scalar in files.Scalars(name)]


def _texts(files: Any, name: str) -> list[tuple[int, str]]:
    tensors = files.Tensors(f"{name}/text_summary")
    return [(tensor.step, tensor.tensor_proto.string_val[0].decode()) for tensor in tensors]


def test_a_run_is_read_back(told: Told) -> None:
    lines: list[str] = []
    listener = log_to("tensorboard", tell=lines.append)
    told.begin(listener)
    told.epochs(range(3), listener)
    files = _files(told)  # what is told is on the disk
    assert [(one.step, one.value) for one in files.Scalars("weights_loss")] == [(0, 0.0), (1, 0.5), (2, 1.0)]
    assert _steps(files, "entropy/normal/1") == [0, 1, 2]
    assert [(step, FIRST.to_text() in text, SECOND.to_text() in text) for step, text in _texts(files, "genotype")] == [
        (0, True, False),
        (2, False, True),
    ]
    assert [image.step for image in files.Images("cells/reduction")] == [0, 2]
    ((_, config),) = _texts(files, "config")
    assert '"lr": 0.1' in config and f'"run": "{told.run.path}"' in config
    told.end(listener)
    assert _steps(_files(told), "result/seconds") == [3]
    assert lines == [f"logged by tensorboard: tensorboard --logdir {told.run.path / 'tensorboard'}"]


def test_a_resumed_run_has_each_point_once(told: Told, killed_and_resumed: Twice) -> None:
    assert len(killed_and_resumed("tensorboard")) == 2
    files = _files(told)
    assert _steps(files, "weights_loss") == [0, 1, 2]
    assert _steps(files, "trial/accuracy") == [3, 4]
    assert _steps(files, "result/seconds") == [5]


def test_a_folder_that_cannot_be_written_ends_nothing(told: Told) -> None:
    told.begin()
    Path(told.run.path / "tensorboard").write_text("a file")
    lines: list[str] = []
    listener = log_to("tensorboard", tell=lines.append)
    told.begin(listener)
    told.epochs(range(1), listener)
    assert len(lines) == 1 and lines[0].startswith("tensorboard logs nothing from here on: ")
