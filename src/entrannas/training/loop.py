"""The training of a derived network by the DARTS family's protocol: its loop, and the run that it leaves."""

import time
from collections.abc import Callable, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import torch

from entrannas.architecture import Genotype
from entrannas.data import Augmentation, TrainingData, training_batches
from entrannas.errors import InputError
from entrannas.networks import normalise_across
from entrannas.report import Page
from entrannas.runs import CHECKPOINT, GENOTYPE, Listener, Run, Task, module_state
from entrannas.runtime import cosine, generator, here, peak_memory, seed_of, wait_for_all
from entrannas.training.configuration import TrainConfig
from entrannas.training.evaluation import evaluation_of, leave
from entrannas.training.testing import Answers, TrainResult, result_of
from entrannas.training.trained import WEIGHTS, load
from entrannas.training.trainer import Trainer
from entrannas.training.tuning import take_over


def train(
    genotype: Genotype,
    config: TrainConfig,
    out: str | Path | None = None,
    resume: bool = False,
    listeners: Sequence[Listener] = (),
    behind: str | Path | None = None,
) -> TrainResult:
    """Train the network of a genotype, test it once at the end, and leave a run directory.

    Args:
        genotype: the architecture.
        config: the settings.
        out: the run directory; by default a new one in `runs/`.
        resume: go on with the run in `out` after its last whole epoch, to the same bytes as if it had never stopped.
        listeners: are told of what happens, see `runs.events`.
        behind: the run that the genotype comes from: what it held out is held out again, and what it learned from is
            not tested on.

    Raises:
        InputError: the genotype, the data, the device or the run directory cannot be used, or memory does not suffice;
            nothing is overwritten.
    """
    known = [one for one in (behind, config.from_run) if one is not None]
    with Task("training", "train", config, out, resume, [Page(), *listeners], known) as task:
        if resume and task.run.genotype() != genotype:
            raise InputError(f"{task.run.path} was started with another genotype: start anew with another --out")
        data = task.data
        torch.manual_seed(seed_of("weights", config.seed))
        replay = task.replay(task.across)
        trainer = Trainer.build(task.fabric, genotype, config, len(data.classes), data.images.shape, replay)
        if task.across:
            normalise_across(trainer.network)
        taken_over = None
        if config.from_run is not None and not (resume and task.run.sound(CHECKPOINT)):
            taken_over = take_over(trainer.network, data.classes, Run.open(Path(config.from_run), "train"))
        task.check_same(genotype)
        task.begin(trainer, {GENOTYPE: genotype.to_json().encode()})
        if taken_over:
            task.events.tell(taken_over)
        for epoch in task.epochs(config.epochs, len(data.images) // config.batch_size):
            task.end_epoch(epoch, train_epoch(trainer, data, config, epoch, task.stepped))
        task.run.save_tensors(WEIGHTS, module_state("network", trainer.network))
        wait_for_all()  # the weights are there
        trained = load(task.run.path, config.device)
        answers = Answers.of(trained, data.test)
        result = task.finish(lambda: result_of(task.run, trained, answers))
        if task.run.writes:
            evaluation = evaluation_of(task.run, trained, answers, data.test, config.data_settings())
            try:
                leave(task.run.path, evaluation, answers, data.test)
            except InputError as error:
                task.events.tell(f"warning: {error}")
        return result


def train_epoch(
    trainer: Trainer, data: TrainingData, config: TrainConfig, epoch: int, stepped: Callable[[], None]
) -> dict[str, Any]:
    """Take the steps of an epoch, counted from 0, and return its metrics; `stepped` is called after each step."""
    began = time.monotonic()
    others = (here().index,) if here().index else ()  # each drops connections of its own images
    torch.manual_seed(seed_of("epoch", config.seed, epoch, *others))
    trainer.network.drop_path = config.drop_path * epoch / config.epochs
    rate = learning_rate(config, epoch)
    crops = config.crops, config.jitter, config.lighting
    batches = training_batches(
        data.images,
        torch.arange(len(data.images)),
        config.batch_size,
        Augmentation(config.crop_padding, config.flip, config.cutout, *crops),
        data.normalisation,
        generator("batches", config.seed, epoch),
    )
    loss, accuracy = trainer.learn(batches, repeat(rate), stepped).result()
    return {
        "epoch": epoch,
        "train_loss": loss,
        "train_accuracy": accuracy,
        "lr": rate,
        "passes": trainer.replay.passes(),
        "peak_memory_bytes": peak_memory(trainer.fabric.device),
        "seconds": time.monotonic() - began,
    }


def learning_rate(config: TrainConfig, epoch: int) -> float:
    """Return the rate of an epoch: a linear rise over the warm-up, then a cosine to 0 over the rest."""
    if epoch < config.warmup_epochs:
        return config.lr * (epoch + 1) / config.warmup_epochs
    return cosine(config.lr, 0.0, (epoch - config.warmup_epochs) / (config.epochs - config.warmup_epochs))
