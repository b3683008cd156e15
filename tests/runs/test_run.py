from pathlib import Path

import pytest
import torch

from entrannas.data.augmentation import Normalisation
from entrannas.data.training_data import DataSummary
from entrannas.errors import InputError
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


def test_damaged_json(tmp_path: Path) -> None:
    run = _begin(tmp_path / "run")
    for content, complaint in (("{", "cannot read"), ("[]", "cannot read"), ('{"data": {}}', "run.json is damaged")):
        (run.path / "run.json").write_text(content)
        with pytest.raises(InputError, match=complaint):
            run.data()
    with pytest.raises(InputError, match="is missing"):
        run.read_json("result.json")
