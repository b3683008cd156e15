import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from entrannas.core.errors import InputError
from entrannas.learning.evaluation import calibration_error, confusion_of, draw_confusion, evaluate
from entrannas.learning.testing import Answers
from entrannas.learning.trained import load
from entrannas.runs.events import Message

from ..end_to_end.conftest import Entrannas, entrannas
from ..pictures import class_folders

__all__ = ["entrannas"]


def _answers(labels: Tensor, predicted: Tensor, confidence: Tensor) -> Answers:
    return Answers(labels, predicted, confidence, torch.zeros(len(labels)), labels == predicted)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.floats(0, 1, width=32)), min_size=1, max_size=60))
def test_confusion_and_calibration_are_what_counting_by_hand_gives(rows: list[tuple[int, int, float]]) -> None:
    labels, predicted, confidence = (torch.tensor(column) for column in zip(*rows, strict=True))
    answers = _answers(labels, predicted, confidence)
    confusion = confusion_of(answers, 4)
    for label in range(4):
        for other in range(4):
            assert confusion[label, other] == sum((a, b) == (label, other) for a, b, _ in rows)
    total = 0.0
    for number in range(15):
        low, high = np.float32(number / 15), np.float32((number + 1) / 15)
        inside = [(a == b, c) for a, b, c in rows if (low < np.float32(c) <= high) or (number == 0 and c == 0)]
        if inside:
            right, sure = (sum(float(value) for value in column) / len(inside) for column in zip(*inside, strict=True))
            total += len(inside) / len(rows) * abs(right - sure)
    assert calibration_error(answers) == pytest.approx(total, abs=0.07 if _on_an_edge(rows) else 1e-6)


def _on_an_edge(rows: list[tuple[int, int, float]]) -> bool:
    """Tell whether rounding may put a confidence into the neighbouring bin."""
    return any(abs(c * 15 - round(c * 15)) < 1e-4 for _, _, c in rows)


def test_known_calibration_errors() -> None:
    labels = torch.zeros(10, dtype=torch.int64)
    half = torch.tensor([0, 1] * 5)
    assert calibration_error(_answers(labels, labels, torch.ones(10))) == 0
    assert calibration_error(_answers(labels, half, torch.ones(10))) == pytest.approx(0.5)
    assert calibration_error(_answers(labels, half, torch.full((10,), 0.5))) == pytest.approx(0)


def test_an_evaluation_agrees_with_itself_and_leaves_its_files(photos_run: Path) -> None:
    evaluation = evaluate(photos_run, worst=4)
    images = sum(one.images for one in evaluation.classes)
    right = sum(one.images * (one.accuracy or 0) for one in evaluation.classes)
    assert right / images == pytest.approx(evaluation.test_accuracy) and images == 18
    assert sum(pair.images for pair in evaluation.mixed_up) == images - round(right)
    counts = [pair.images for pair in evaluation.mixed_up]
    assert counts == sorted(counts, reverse=True)
    assert evaluation.top5_accuracy == 1 and 0 <= evaluation.calibration_error <= 1, "of three classes"
    trained = load(photos_run)
    assert len(evaluation.worst) == min(4, images - round(right)) > 0
    for wrong in evaluation.worst:
        ((predicted, probability),) = trained.predict(wrong.image, topk=1)[0]
        assert predicted == wrong.taken_for != wrong.name == Path(wrong.image).parent.name
        assert probability == pytest.approx(wrong.probability, abs=1e-5)
    assert json.loads((photos_run / "evaluation.json").read_text()) == evaluation.json()
    for name in ("confusion.png", "worst.png"):
        with Image.open(photos_run / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 5
    assert evaluate(photos_run) == evaluate(photos_run)


def test_a_run_that_cannot_be_written_is_measured_all_the_same(
    digits_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise InputError(f"cannot write {path}")

    monkeypatch.setattr("entrannas.learning.evaluation.write_whole", refuse)
    told = []
    assert evaluate(digits_run, listeners=[told.append]).test_accuracy > 0
    assert any(isinstance(one, Message) and "warning: cannot write" in one.text for one in told)


def test_a_test_on_no_image_is_refused(photos_run: Path, tmp_path: Path) -> None:
    root = class_folders(tmp_path / "other", {"Ente": 4, "cat": 4, "dog": 4})
    for path in root.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match=r"none of .* can be read"):
        evaluate(photos_run, str(root), skip_damaged=True)


def test_what_an_earlier_evaluation_left_does_not_stay(photos_run: Path) -> None:
    evaluate(photos_run, worst=2)
    assert (photos_run / "worst.png").exists()
    again = evaluate(photos_run)
    assert not (photos_run / "worst.png").exists() and again.data.endswith("photos")


def test_a_matrix_of_many_classes_is_drawn_too() -> None:
    figure = draw_confusion(torch.eye(300, dtype=torch.int64), [f"${k}" for k in range(300)])
    figure.canvas.draw()
    assert not figure.axes[0].texts
    few = draw_confusion(torch.ones(3, 3, dtype=torch.int64), ["$a$", "b" * 100, "c\n\x00"])
    few.canvas.draw()
    assert len(few.axes[0].texts) == 9


def test_evaluate_tells_what_is_mixed_up(entrannas: Entrannas, tmp_path: Path) -> None:
    class_folders(tmp_path / "images", {"cat": 12, "dog": 12})
    size = ["--epochs", 1, "--cells", 2, "--channels", 2, "--batch-size", 8]
    entrannas("train", "darts-v2", "images", "--out", "net", *size)
    outcome = entrannas("evaluate", "net", "--worst", 3, "--json")
    assert {"top5_accuracy", "calibration_error", "classes", "mixed_up", "worst"} <= outcome.json.keys()
    for word in ("test accuracy", "top-5 accuracy", "calibration", "class           cat", "mixed up", "most wrong"):
        assert word in outcome.out
    assert (tmp_path / "net" / "worst.png").exists()
    assert "is not from 0 to 200" in entrannas("evaluate", "net", "--worst", 999, code=2).err
