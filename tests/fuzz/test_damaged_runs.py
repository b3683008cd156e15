"""Every file of a run, damaged in every way: a command that reads it ends, and refuses in a line if at all."""

import json
import random
import shutil
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pytest

from ..forks import Fork, Outcome, quick, sketched
from ..kills.killing import armed
from ..pictures import picture
from .damage import damaged

SIZE = ["--cells", "3", "--channels", "2", "--epochs", "2", "--batch-size", "4", "--device", "cpu"]
SEARCH = ["--nodes", "1", *SIZE]
TRIALS = ["--space", "nasbench201", "--nodes", "2", "--trials", "5", "--trial-steps", "1", *SIZE]
GENOTYPE = (
    "Genotype(normal=[('skip_connect', 0), ('conv_1x1', 1)], normal_concat=[2], "
    "reduce=[('max_pool_3x3', 0), ('skip_connect', 1)], reduce_concat=[2])"
)

RESUME_SEARCH = ["search", "--out", "run", "--resume", "--json"]
RESUME_TRAINING = ["train", "genotype.txt", "--out", "run", "--resume", "--json"]
TRAIN = ["train", "run", "--out", "trained", "--json", *SIZE, "--epochs", "1"]
SHOW = ["show", "run", "--json"]
CONSISTENCY = ["consistency", "run", "--json"]
EVALUATE = ["evaluate", "run", "--json"]
PREDICT = ["predict", "run", "image.png", "--results-format", "json"]
TUNE = ["train", "genotype.txt", "--from", "run", "--config", "data.yaml", "--out", "tuned", "--json", "--epochs", "1"]

# What makes a run, at which moment it is killed, if it is, and the commands that read it.
RUNS = {
    "search": (["search", *SEARCH], None, [RESUME_SEARCH, TRAIN, SHOW, CONSISTENCY]),
    "search cut": (["search", *SEARCH], "after replace checkpoint.safetensors", [RESUME_SEARCH, TRAIN, SHOW]),
    "trials": (["search", *TRIALS], None, [RESUME_SEARCH, TRAIN, SHOW]),
    "trials cut": (["search", *TRIALS], "after replace trials.json", [RESUME_SEARCH, TRAIN, SHOW]),
    "training": (["train", "genotype.txt", *SIZE], None, [RESUME_TRAINING, EVALUATE, PREDICT, TUNE, SHOW]),
    "training cut": (
        ["train", "genotype.txt", *SIZE],
        "after replace checkpoint.safetensors",
        [RESUME_TRAINING, SHOW],
    ),
}


class Workshop:
    """Runs to be damaged, and what commands do with them where they are not."""

    def __init__(self, folder: Path, images: Path, fork: Fork) -> None:
        self.folder, self.images, self.fork = folder, images, fork

    @cache  # noqa: B019
    def run(self, name: str, seed: int) -> Path:
        """Make a run, once."""
        command, moment, _ = RUNS[name]
        folder = self.folder / f"{name}-{seed}"
        folder.mkdir()
        (folder / "genotype.txt").write_text(GENOTYPE)
        picture(folder / "image.png", 0)
        data = [self.images] if command[0] == "search" else []
        arguments = [*command, *data, "--out", "run", "--seed", seed]
        if command[0] == "train":
            (folder / "data.yaml").write_text(json.dumps({"data": str(self.images)}))
            arguments += ["--config", "data.yaml"]
        if moment is None:
            outcome = self.fork.run(*arguments, folder=folder)
            assert outcome.code == 0, outcome
        else:
            with Fork(quick, sketched, partial(armed, folder / "run", moment)) as killed:
                outcome = killed.run(*arguments, folder=folder)
            assert outcome.code == -9, outcome
        return folder


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, images: Path, fork: Fork) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("runs"), images, fork)


@pytest.mark.part(0.06)
def test_a_damaged_run_is_refused_in_a_line_or_read_as_it_is(
    workshop: Workshop, draw: random.Random, judge: Callable[..., None], tmp_path: Path
) -> None:
    """Whoever writes another number into a file has another run: nothing but nonsense is refused."""
    name = draw.choice(sorted(RUNS))
    command = draw.choice(RUNS[name][2])
    folder = tmp_path / "case"
    shutil.copytree(workshop.run(name, 0), folder)
    files = sorted(path for path in (folder / "run").iterdir() if path.is_file())
    file = draw.choice([path for path in files if path.suffix not in (".svg", ".png")])
    how = damaged(file, draw, workshop.run(name, 1) / "run" / file.name)
    before = _files(folder / "run")
    outcome = workshop.fork.run(*command, folder=folder)
    judge(
        f"{file.name} of a {name}, {how}; {' '.join(command[:2])}",
        outcome,
        _lost(before, _files(folder / "run"), outcome),
    )
    shutil.rmtree(folder)


def _files(run: Path) -> dict[str, bytes | None]:
    return {
        path.name: path.read_bytes() if path.is_file() and not path.resolve().is_relative_to("/dev") else None
        for path in run.iterdir()
    }


def _lost(before: dict[str, bytes | None], after: dict[str, bytes | None], outcome: Outcome) -> str | None:
    """Say what has been lost or overwritten by a command that refused at once."""
    if outcome.code != 2 or outcome.err.count("\n") != 1:
        return None
    changed = [name for name in before if after.get(name) != before[name]]
    return f"refused ({outcome.err.strip()[:150]}), but {', '.join(changed)} overwritten" if changed else None
