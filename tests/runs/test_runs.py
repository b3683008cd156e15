import json
import os
from pathlib import Path

import pytest
import torch

from entrannas.data.augmentation import Normalisation
from entrannas.data.training_data import DataSummary
from entrannas.errors import InputError
from entrannas.files import write_whole
from entrannas.runs.checkpoints import (
    load_module_state,
    load_optimizer_state,
    load_tensors,
    module_state,
    optimizer_state,
)
from entrannas.runs.run import CHECKPOINT, Run

CPU = torch.device("cpu")
SUMMARY = DataSummary(images=10, shape=(1, 8, 8), classes=("a", "b"), normalisation=Normalisation((0.5,), (0.1,)))


def _begin(path: Path, command: str = "search", **config: object) -> Run:
    run = Run.claim(path, command, "digits", config, resume=False)
    run.begin(command, config, CPU, SUMMARY)
    return run


def test_a_run_says_what_made_it(tmp_path: Path) -> None:
    run = _begin(tmp_path / "a" / "run", epochs=3)
    assert run.read_json("config.json") == {"epochs": 3}
    assert run.command == "search" and run.data() == SUMMARY
    assert set(run.read_json("run.json")["versions"]) == {"entrannas", "torch", "lightning-fabric", "python"}


def test_an_occupied_folder_is_refused(tmp_path: Path) -> None:
    _begin(tmp_path / "run", epochs=3)
    with pytest.raises(InputError, match="holds another run"):
        Run.claim(tmp_path / "run", "search", "digits", {}, resume=False)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        Run.claim(tmp_path, "search", "digits", {}, resume=False)


def test_resume_wants_the_same_configuration_and_data(tmp_path: Path) -> None:
    run = _begin(tmp_path / "run", epochs=3, tau=(1.0, 0.1))
    assert Run.claim(run.path, "search", "digits", {"epochs": 3, "tau": (1.0, 0.1)}, resume=True) == run
    with pytest.raises(InputError, match="started with epochs 3, not 4"):
        Run.claim(run.path, "search", "digits", {"epochs": 4, "tau": (1.0, 0.1)}, resume=True)
    with pytest.raises(InputError, match="run of a search, not of a train"):
        Run.claim(run.path, "train", "digits", {}, resume=True)
    with pytest.raises(InputError, match="no run in"):
        Run.claim(tmp_path / "other", "search", "digits", {}, resume=True)
    with pytest.raises(InputError, match=r"data have changed .*images"):
        run.begin("search", {}, CPU, SUMMARY.model_copy(update={"images": 9}))


def test_checkpoint_round_trip_forgets_later_metrics(tmp_path: Path) -> None:
    run = _begin(tmp_path / "run")
    assert run.load_checkpoint() == (0, {})
    tensors = {"a": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last), "b": torch.tensor(7)}
    for epoch in range(3):
        run.log({"epoch": epoch, "loss": 0.5})
        if epoch < 2:
            run.save_checkpoint(epoch + 1, tensors)
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "lo')  # a kill in the middle of a line
    epoch, state = run.load_checkpoint()
    assert epoch == 2
    assert [line["epoch"] for line in run.metrics()] == [0, 1]
    assert all(torch.equal(state[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_checkpoint_cut_short_is_never_taken_for_a_whole_one(tmp_path: Path, length: int) -> None:
    run = _begin(tmp_path / "run")
    run.save_checkpoint(1, {"a": torch.randn(100)})
    content = (run.path / CHECKPOINT).read_bytes()
    (run.path / CHECKPOINT).write_bytes(content[:length])
    with pytest.raises(InputError, match=r"checkpoint\.safetensors is damaged"):
        run.load_checkpoint()


def test_a_foreign_checkpoint(tmp_path: Path) -> None:
    run = _begin(tmp_path / "run")
    run.save_tensors(CHECKPOINT, {"a": torch.zeros(1)})
    with pytest.raises(InputError, match="is no checkpoint of a run"):
        run.load_checkpoint()


def test_missing_tensors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        load_tensors(tmp_path / "weights.safetensors")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    (tmp_path / ".file.part").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"cannot write .*file: No space left on device; .* free some space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_damaged_json(tmp_path: Path) -> None:
    run = _begin(tmp_path / "run")
    for content, complaint in (("{", "cannot read"), ("[]", "cannot read"), ('{"data": {}}', "run.json is damaged")):
        (run.path / "run.json").write_text(content)
        with pytest.raises(InputError, match=complaint):
            run.data()
    with pytest.raises(InputError, match="is missing"):
        run.read_json("result.json")


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_optimizer_state_round_trip(kind: str) -> None:
    def make() -> tuple[torch.nn.Parameter, torch.optim.Optimizer]:
        weight = torch.nn.Parameter(torch.ones(2, 3, 2, 2).to(memory_format=torch.channels_last))
        unused = torch.nn.Parameter(torch.ones(1))
        if kind == "sgd":
            return weight, torch.optim.SGD([unused, weight], lr=0.1, momentum=0.9)
        return weight, torch.optim.Adam([unused, weight], lr=0.1)

    def step(weight: torch.nn.Parameter, optimizer: torch.optim.Optimizer, factor: float) -> None:
        optimizer.zero_grad()
        (factor * weight.pow(2).sum()).backward()
        optimizer.step()

    weight, optimizer = make()
    step(weight, optimizer, 1.0)
    state = optimizer_state("o", optimizer)
    assert json.dumps(sorted(state)) and all(name.startswith("o.1.") for name in state)
    other_weight, other = make()
    other_weight.data.copy_(weight.data)
    load_optimizer_state("o", other, {name: tensor.clone() for name, tensor in state.items()})
    step(weight, optimizer, 3.0)
    step(other_weight, other, 3.0)
    assert torch.equal(weight, other_weight)


def test_tensors_of_another_module() -> None:
    state = module_state("network", torch.nn.Linear(2, 3))
    with pytest.raises(InputError, match=r"the tensors are not those of this network: .*size mismatch") as caught:
        load_module_state("network", torch.nn.Linear(2, 4), state)
    assert "\n" not in str(caught.value)
