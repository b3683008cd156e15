import pytest

from entrannas.core.errors import InputError
from entrannas.learning.train_config import TrainConfig


def test_train_defaults_are_the_protocol() -> None:
    cifar, imagenet = TrainConfig(data="a"), TrainConfig(data="a", stem="imagenet")
    assert (cifar.cells, cifar.channels, cifar.epochs, cifar.batch_size, cifar.lr) == (20, 36, 600, 96, 0.025)
    assert (cifar.cutout, cifar.drop_path, cifar.auxiliary, cifar.label_smoothing) == (0.5, 0.2, 0.4, 0.0)
    assert (imagenet.cells, imagenet.channels, imagenet.epochs, imagenet.batch_size) == (14, 48, 250, 1024)
    assert (imagenet.lr, imagenet.warmup_epochs, imagenet.weight_decay) == (0.5, 5, 3e-5)
    assert (imagenet.label_smoothing, imagenet.auxiliary) == (0.1, 0.4)


def test_a_short_training_has_a_short_warm_up() -> None:
    for epochs, warmup in ((250, 5), (6, 5), (5, 4), (2, 1), (1, 0)):
        assert TrainConfig.resolve({"data": "a", "stem": "imagenet", "epochs": epochs}).warmup_epochs == warmup
    assert TrainConfig.resolve({"epochs": 1}).warmup_epochs == 0


def test_a_warm_up_that_takes_all_epochs_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^warmup_epochs: 5 of warm-up leave none of 5 epochs for the rate to fall in$"
    ):
        TrainConfig.resolve({"epochs": 5, "warmup_epochs": 5})
