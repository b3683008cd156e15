"""Networks that tell images apart, as those of an epoch do not, and the images on which they are compared."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from entrannas.data.images import Images
from entrannas.data.training_data import load_learned_images, load_test_images
from entrannas.deploy.checking import TOLERANCE, Computed
from entrannas.learning.testing import Answers
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.trained import TrainedNetwork, load
from entrannas.runs.run import Run


@dataclass
class Lively:
    """A network, its test images, uint8, and what `evaluate` has of them: the predictions, and the logits."""

    trained: TrainedNetwork
    test: Images
    pixels: Tensor
    predicted: Tensor
    logits: Tensor

    @classmethod
    def of(cls, path: Path) -> "Lively":
        """Take the network of a run, and settle its norms and its logits on training images, as more epochs would."""
        run, trained = Run(path), load(path, "cpu")
        source = run.config(TrainConfig).data_settings(), run.data(), run.seen(), trained.device, print
        normalisation = trained.description.normalisation
        norms = [module for module in trained.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = None
            norm.reset_running_stats()
        with torch.no_grad():
            learned = normalisation(_pixels(load_learned_images(*source, 200)))
            trained.train()
            trained.network(learned)
            trained.eval()
            deviation, mean = torch.std_mean(trained.network(learned), dim=0)
            classifier = trained.network.classifier
            classifier.weight /= deviation[:, None]
            classifier.bias.sub_(mean).div_(deviation)
        test = load_test_images(*source)
        pixels = _pixels(test)
        answers = Answers.of(trained, test)
        assert len(answers.predicted.unique()) > 1, "it tells images apart"
        return cls(trained, test, pixels, answers.predicted, trained.logits(normalisation(pixels)))

    def compare(self, exported: Computed) -> None:
        """Hold what was exported to the network, image by image, in batches of any size."""
        for size in (1, 7, 64):
            logits = torch.cat([exported(batch) for batch in self.pixels.split(size)])
            assert torch.equal(logits.argmax(dim=1), self.predicted)
            assert (logits - self.logits).abs().max() <= TOLERANCE
            assert self.logits.std(dim=0).min() > 1000 * TOLERANCE, "what is equal must not be all alike"


def _pixels(images: Images) -> Tensor:
    ((pixels, _),) = images.batches([torch.arange(len(images))])
    return pixels
