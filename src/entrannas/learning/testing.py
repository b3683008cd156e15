"""The test of a trained network."""

import math
from dataclasses import asdict, dataclass
from itertools import chain

import torch
from torch import Tensor
from torch.nn import functional as F

from entrannas.core.optimisation import diverged
from entrannas.core.processes import gathered
from entrannas.data.images import Images
from entrannas.data.training_data import ordered_batches
from entrannas.learning.trained import TrainedNetwork
from entrannas.runs.run import Run
from entrannas.runs.task import Result

_BATCH = 250


@dataclass(frozen=True)
class TrainResult(Result):
    """The results of a training on the test set.

    Attributes:
        run: the run directory.
        test_accuracy: the share of the whole test set that is classified rightly, from 0 to 1.
        test_loss: the mean cross entropy.
        parameters: those of the network, without the auxiliary head.
        multiply_adds: those for one image.
    """

    test_accuracy: float
    test_loss: float
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Answers:
    """The answers of a network to the images of a test, [images] each, on the CPU.

    Attributes:
        labels: the right classes.
        predicted: the classes that it holds for the most probable.
        confidence: the probabilities that it gives to these.
        loss: the cross entropy.
        among_five: whether the right class is among the five most probable.
    """

    labels: Tensor
    predicted: Tensor
    confidence: Tensor
    loss: Tensor
    among_five: Tensor

    @property
    def right(self) -> Tensor:
        """Whether the most probable class is the right one."""
        return self.predicted == self.labels

    @classmethod
    def of(cls, trained: TrainedNetwork, images: Images) -> "Answers":
        """Classify test images, a share in each process, and return the answers to all images.

        Raises:
            InputError: an answer is not finite, or memory does not suffice.
        """
        parts = []
        for batch, labels in ordered_batches(images, _BATCH, trained.description.normalisation):
            logits = trained.logits(batch)
            confidence, predicted = logits.softmax(dim=1).max(dim=1)
            among_five = (logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]).any(dim=1)
            parts.append((labels, predicted, confidence, F.cross_entropy(logits, labels, reduction="none"), among_five))
        every = chain.from_iterable(gathered([tuple(x.cpu() for x in part) for part in parts]))
        answers = cls(*(torch.cat(part) for part in zip(*every, strict=True)))
        if not math.isfinite(answers.loss.sum()):
            raise diverged("the loss is")
        return answers


def result_of(run: Run, trained: TrainedNetwork, answers: Answers) -> TrainResult:
    """Return the `TrainResult` of a network's answers."""
    accuracy, loss = answers.right.double().mean().item(), answers.loss.double().mean().item()
    return TrainResult(run.path, accuracy, loss, **asdict(trained.description.cost()))
