"""The training of a derived network: its loop, and the run directory."""

import time
from collections.abc import Callable, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import torch

from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.operations import normalise_across
from entrannas.core.processes import here, wait_for_all
from entrannas.core.schedules import cosine
from entrannas.core.seeds import generator, seed_of
from entrannas.core.state import module_state
from entrannas.core.trainer import Trainer
from entrannas.data.augmentation import Augmentation
from entrannas.data.training_data import TrainingData, training_batches
from entrannas.learning.evaluation import evaluation_of, leave
from entrannas.learning.testing import Answers, TrainResult, result_of
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.trained import WEIGHTS, load
from entrannas.learning.tuning import take_over
from entrannas.report.writer import Page
from entrannas.runs.events import Listener
from entrannas.runs.memory import peak_memory
from entrannas.runs.run import CHECKPOINT, GENOTYPE, Run
from entrannas.runs.task import Task


def train(
    genotype: Genotype,
    config: TrainConfig,
    out: str | Path | None = None,
    resume: bool = False,
    listeners: Sequence[Listener] = (),
    behind: str | Path | None = None,
) -> TrainResult:
    """Train the network of a genotype, test the network once at the end, and leave a run directory.

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
        size = config.size(len(data.classes), data.images.shape[0])
        trainer = Trainer.build(task.compute, genotype, size, config.recipe(), replay)
        if task.across:
            normalise_across(trainer.network)
        taken_over = None
        if config.from_run is not None and not (resume and task.run.file(CHECKPOINT)):
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
    batches = training_batches(
        data.images,
        torch.arange(len(data.images)),
        config.batch_size,
        Augmentation.of(config),
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
        "peak_memory_bytes": peak_memory(trainer.compute.device),
        "seconds": time.monotonic() - began,
    }


def learning_rate(config: TrainConfig, epoch: int) -> float:
    """Return the rate of an epoch: a linear rise over the warm-up, then a cosine to 0 over the rest."""
    if epoch < config.warmup_epochs:
        return config.lr * (epoch + 1) / config.warmup_epochs
    return cosine(config.lr, 0.0, (epoch - config.warmup_epochs) / (config.epochs - config.warmup_epochs))
