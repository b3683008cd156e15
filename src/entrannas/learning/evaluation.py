"""The evaluation of a trained network: accuracy and confusion by class, and calibration."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from entrannas.core.errors import InputError
from entrannas.core.launchers import launched
from entrannas.core.processes import each_in_turn, here
from entrannas.data.images import Images
from entrannas.data.settings import DataSettings
from entrannas.data.training_data import load_test_images
from entrannas.files.whole import to_json, write_whole
from entrannas.learning.testing import Answers, TrainResult, result_of
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.trained import TrainedNetwork, load
from entrannas.report.beside import EVALUATION, WORST
from entrannas.report.drawing import save_plot
from entrannas.report.writer import write_report
from entrannas.runs.device import Device, start
from entrannas.runs.events import Events, Listener
from entrannas.runs.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 15
_DRAWN = 1000  # classes, more than which no picture shows
_NAMED = 40  # classes, more than which are not named on the axes
_NUMBERED = 15  # classes, more than which have no numbers in their cells
_SHEET = 5  # images in a row of the sheet
_SMALL = 12  # images that are kept small
_SIDE = 96  # pixels of theirs


@dataclass(frozen=True)
class OfClass:
    """The accuracy of a network on the images of a class; None for a class without images."""

    name: str
    images: int
    accuracy: float | None


@dataclass(frozen=True)
class MixedUp:
    """How many images of a class a network takes for another."""

    name: str
    taken_for: str
    images: int


@dataclass(frozen=True)
class Wrong:
    """A misclassified image, and the probability that the network gives to the wrong class."""

    image: str
    name: str
    taken_for: str
    probability: float


@dataclass(frozen=True)
class Evaluation(TrainResult):
    """The results of a trained network on test images, by class and by confidence.

    Attributes:
        data: where the images are from.
        test_split: the split that was chosen, if one was.
        top5_accuracy: the share of images whose class is among the five most probable, from 0 to 1.
        calibration_error: by how much confidence and accuracy differ, weighted over 15 bins of confidence of equal
            width (the expected calibration error of Guo et al., ICML 2017), from 0 to 1.
        classes: how it does on each class.
        mixed_up: all pairs of classes that it mixes up, the most frequent first: the confusion matrix, but for its
            diagonal, which `classes` tell.
        worst: the images that it is most wrong about, by their loss, as many as are wanted.
    """

    data: str
    test_split: str | None
    top5_accuracy: float
    calibration_error: float
    classes: tuple[OfClass, ...]
    mixed_up: tuple[MixedUp, ...]
    worst: tuple[Wrong, ...]


def evaluate(
    run: str | Path,
    data: str | None = None,
    device: Device = "auto",
    test_split: str | None = None,
    label_column: str | None = None,
    skip_damaged: bool = False,
    worst: int = 0,
    listeners: Sequence[Listener] = (),
) -> Evaluation:
    """Test a trained run again, on no image that the run has learned from.

    Leaves `evaluation.json`, `confusion.svg` and `.png` (of up to 1,000 classes) in its directory, and `worst.svg` and
    `.png` if these are wanted; where that cannot be written, a message says so.

    Args:
        run: the directory that `train` left.
        data: a source with the same classes; by default the one that the run was trained on.
        device: where to compute.
        test_split: the split to test on, see `TrainConfig`; by default the run's for its own data.
        label_column: the column of labels, likewise.
        skip_damaged: leave images out that cannot be read.
        worst: how many of the images that it is most wrong about come onto a sheet.
        listeners: are told of what happens, see `runs.events`.

    Raises:
        InputError: no training there of which an epoch has ended, data of other classes, or damaged images.
    """
    heard = listeners if launched()[0] == 0 else ()
    opened, trained = Run.open(Path(run), "train"), load(run, device, heard)
    start(device, "32-true")
    say = Events(heard).tell
    wanted = opened.config(TrainConfig).data_settings().elsewhere(data, test_split, label_column, skip_damaged)
    arguments = wanted, opened.data(), opened.seen(), trained.device, say
    images = each_in_turn(lambda: load_test_images(*arguments))
    answers = Answers.of(trained, images)
    evaluation = evaluation_of(opened, trained, answers, images, wanted, worst)
    if not here().leads:
        return evaluation
    try:
        leave(opened.path, evaluation, answers, images)
        _draw(opened.path, evaluation, answers, images)
    except InputError as error:
        say(f"warning: {error}")
    write_report(opened)
    return evaluation


def evaluation_of(
    run: Run, trained: TrainedNetwork, answers: Answers, images: Images, wanted: DataSettings, worst: int = 0
) -> Evaluation:
    """Return the `Evaluation` of a network's answers to images."""
    return Evaluation(
        **vars(result_of(run, trained, answers)),
        data=wanted.data,
        test_split=wanted.test_split,
        top5_accuracy=answers.among_five.double().mean().item(),
        calibration_error=calibration_error(answers),
        classes=_of_classes(answers, trained.classes),
        mixed_up=_mixed_up(answers, trained.classes),
        worst=_worst(answers, images, trained.classes, _most_wrong(answers)[:worst]),
    )


def leave(path: Path, evaluation: Evaluation, answers: Answers, images: Images) -> None:
    """Write `evaluation.json` into a run, and small copies of the worst misclassified images into `worst/`.

    Raises:
        InputError: they cannot be written.
    """
    write_whole(path / EVALUATION, to_json(evaluation.json()))
    positions = _most_wrong(answers)[:_SMALL]
    worst = _worst(answers, images, [one.name for one in evaluation.classes], positions)
    write_whole(path / WORST / "worst.json", to_json({"worst": [vars(one) for one in worst]}))
    for number, picture in enumerate(_small(images, positions), 1):
        write_whole(path / WORST / f"{number}.png", picture)


def _small(images: Images, positions: Tensor) -> Iterator[bytes]:
    """Yield images as the network sees them, reduced where they are large, as PNG."""
    from PIL import Image

    for pixels, _ in images.batches([positions]) if len(positions) else ():
        for image in pixels.cpu():
            picture = Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy())
            picture.thumbnail((_SIDE, _SIDE))
            content = io.BytesIO()
            picture.save(content, "PNG")
            yield content.getvalue()


def _draw(path: Path, evaluation: Evaluation, answers: Answers, images: Images) -> None:
    """Draw the pictures of an evaluation, in the place of those of an earlier one."""
    names, wrong = [one.name for one in evaluation.classes], _most_wrong(answers)[: len(evaluation.worst)]
    pictures = {"confusion": draw_confusion(confusion_of(answers, len(names)), names)} if len(names) <= _DRAWN else {}
    pictures |= {"worst": draw_worst(evaluation.worst, images, wrong)} if len(wrong) else {}
    for name in ("confusion", "worst"):
        if name in pictures:
            save_plot(pictures[name], path, name)
        else:
            for form in ("svg", "png"):
                (path / f"{name}.{form}").unlink(missing_ok=True)


def confusion_of(answers: Answers, classes: int) -> Tensor:
    """Count the images of each class, by row, that are taken for each class, by column: int64 [classes, classes]."""
    pairs = answers.labels * classes + answers.predicted
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def calibration_error(answers: Answers) -> float:
    """Return the expected calibration error, see `Evaluation`."""
    bins = (answers.confidence * _BINS).ceil().long().sub(1).clamp(0, _BINS - 1)
    excess = torch.zeros(_BINS, dtype=torch.float64)
    excess.index_add_(0, bins, answers.confidence.double() - answers.right.double())
    return float(excess.abs().sum() / len(bins))


def _of_classes(answers: Answers, classes: Sequence[str]) -> tuple[OfClass, ...]:
    of_class, right = (
        torch.bincount(labels, minlength=len(classes)).tolist()
        for labels in (answers.labels, answers.labels[answers.right])
    )
    rows = zip(classes, of_class, right, strict=True)
    return tuple(OfClass(name, images, right / images if images else None) for name, images, right in rows)


def _mixed_up(answers: Answers, classes: Sequence[str]) -> tuple[MixedUp, ...]:
    wrong = torch.stack([answers.labels, answers.predicted], dim=1)[~answers.right]
    pairs, counts = wrong.unique(dim=0, return_counts=True)
    order = counts.argsort(descending=True, stable=True)
    rows = zip(pairs[order].tolist(), counts[order].tolist(), strict=True)
    return tuple(MixedUp(classes[label], classes[predicted], images) for (label, predicted), images in rows)


def _most_wrong(answers: Answers) -> Tensor:
    """Return the positions of the images that are classified wrongly, the highest loss first."""
    wrong = (~answers.right).nonzero().squeeze(1)
    return wrong[answers.loss[wrong].argsort(descending=True, stable=True)]


def _worst(answers: Answers, images: Images, classes: Sequence[str], positions: Tensor) -> tuple[Wrong, ...]:
    def worst(position: int) -> Wrong:
        label, predicted = int(answers.labels[position]), int(answers.predicted[position])
        return Wrong(images.name(position), classes[label], classes[predicted], answers.confidence[position].item())

    return tuple(worst(position) for position in positions.tolist())


def draw_confusion(confusion: Tensor, classes: Sequence[str]) -> "Figure":
    """Draw a confusion matrix: what share of a class, by row, is taken for which, by column."""
    from matplotlib.figure import Figure

    count = len(classes)
    share = confusion / confusion.sum(dim=1, keepdim=True).clamp_min(1)
    side = min(12.0, 3 + 0.4 * min(count, _NAMED))
    figure = Figure(figsize=(side + 1, side), dpi=150, layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(share.numpy(), cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="taken for", ylabel="class")
    if count <= _NAMED:
        short = [name if len(name) <= 24 else f"{name[:23]}…" for name in classes]
        axes.set_xticks(range(count), short, rotation=60, ha="right", rotation_mode="anchor", parse_math=False)
        axes.set_yticks(range(count), short, parse_math=False)
    if count <= _NUMBERED:
        for row, column in confusion.nonzero().tolist():
            colour = "white" if share[row, column] > 0.5 else "black"
            text = str(int(confusion[row, column]))
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(picture, ax=axes, label="share of the class", shrink=0.8)
    return figure


def draw_worst(worst: Sequence[Wrong], images: Images, positions: Tensor) -> "Figure":
    """Draw images as the network sees them, each with its class and what it is taken for, how surely."""
    from matplotlib.figure import Figure

    rows = -(-len(worst) // _SHEET)
    figure = Figure(figsize=(2 * _SHEET, 2.5 * rows), dpi=150, layout="constrained")
    all_axes = figure.subplots(rows, _SHEET, squeeze=False).flatten()
    ((pixels, _),) = images.batches([positions])
    for axes in all_axes:
        axes.set_axis_off()
    for axes, image, wrong in zip(all_axes, pixels.cpu(), worst, strict=False):
        axes.imshow(image.permute(1, 2, 0).squeeze(2).numpy(), cmap="gray", vmin=0, vmax=255)
        told = f"{wrong.name}\n→ {wrong.taken_for} {100 * wrong.probability:.0f} %"
        axes.set_title(told, fontsize=8, parse_math=False)
    return figure
