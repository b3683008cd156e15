"""Every file of a run, damaged in every way: a command that reads it refuses, or does what it would have done."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from ..essence import essence, steady
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


@dataclass(frozen=True)
class Did:
    """What a command printed, and what it left."""

    code: int | None
    printed: Any
    left: dict[str, Any]


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

    @cache  # noqa: B019
    def undamaged(self, name: str, command: int) -> Did:
        """Do what a command does with a run that is not damaged, once."""
        folder = self.folder / f"{name} {command}"
        shutil.copytree(self.run(name, 0), folder)
        outcome, did = self.do(name, command, folder)
        assert outcome.code == 0, outcome
        return did

    def do(self, name: str, command: int, folder: Path) -> tuple[Outcome, Did]:
        """Run a command in a folder."""
        arguments = RUNS[name][2][command]
        outcome = self.fork.run(*arguments, folder=folder)
        if outcome.code != 0:
            return outcome, Did(outcome.code, None, {})
        *lines, last = outcome.out.splitlines()
        outs = [arguments[place + 1] for place, one in enumerate(arguments) if one == "--out"]
        left = {out: essence(folder / out) for out in outs}
        return outcome, Did(0, (lines, steady(json.loads(last))), left)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, images: Path, fork: Fork) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("runs"), images, fork)


@pytest.mark.part(0.45)
def test_a_damaged_run_is_refused_or_does_what_it_would_have_done(
    workshop: Workshop, draw: random.Random, judge: Callable[..., None], tmp_path: Path
) -> None:
    name = draw.choice(sorted(RUNS))
    command = draw.randrange(len(RUNS[name][2]))
    wanted, others = workshop.undamaged(name, command), workshop.run(name, 1)
    folder = tmp_path / "case"
    shutil.copytree(workshop.run(name, 0), folder)
    files = sorted(path for path in (folder / "run").iterdir() if path.is_file())
    file = draw.choice(
        [path for path in files if path.suffix not in (".svg", ".png")] if draw.random() < 0.95 else files
    )
    how = damaged(file, draw, others / "run" / file.name)
    before = _files(folder / "run")

    outcome, did = workshop.do(name, command, folder)
    told = f"{file.name} of a {name}, {how}; {' '.join(RUNS[name][2][command][:2])}"
    judge(told, outcome, _differs(did, wanted) or _lost(before, _files(folder / "run"), outcome))
    if did.code == 2 and draw.random() < 0.2:
        _put_back(file, workshop.run(name, 0) / "run" / file.name)
        outcome, did = workshop.do(name, command, folder)
        wrong = f"refused: {outcome.err}" if did.code == 2 else _differs(did, wanted)
        judge(f"{told}, and a copy put back", outcome, wrong)
    shutil.rmtree(folder)


def _differs(did: Did, wanted: Did) -> str | None:
    """Say in what a command with exit code 0 did something else than what was wanted."""
    if did.code != 0 or did == wanted:
        return None
    for run, files in wanted.left.items():
        for name in files | did.left[run]:
            if files.get(name) != did.left[run].get(name):
                return f"exit code 0 and another {name} in {run}"
    return "exit code 0 and something else printed"


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


def _put_back(file: Path, copy: Path) -> None:
    if file.is_dir() and not file.is_symlink():
        file.rmdir()
    else:
        file.unlink(missing_ok=True)
    shutil.copyfile(copy, file)
