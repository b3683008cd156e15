import json
from pathlib import Path

import pytest
import torch

from entrannas.core.errors import InputError
from entrannas.core.state import Weights, load_module_state, load_optimizer_state, module_state, optimizer_state
from entrannas.runs.checkpoints import load_tensors, take_up


def test_missing_tensors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        load_tensors(tmp_path / "weights.safetensors")


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
    for other, complaint in (
        (torch.nn.Linear(2, 4), r"weight is float32 \[3, 2\], not float32 \[4, 2\]"),
        (torch.nn.Linear(2, 3).double(), r"weight is float32 \[3, 2\], not float64 \[3, 2\]"),
        (torch.nn.Linear(2, 3, bias=False), "bias is none of them"),
        (torch.nn.BatchNorm1d(3), "num_batches_tracked is missing"),
    ):
        with pytest.raises(InputError, match=f"the tensors are not those of this network: {complaint}"):
            load_module_state("network", other, state)


def _stepped() -> tuple[torch.optim.Optimizer, dict[str, torch.Tensor]]:
    used, unused = (torch.nn.Parameter(torch.ones(2, 3)) for _ in range(2))
    optimizer = torch.optim.Adam([used, unused])
    used.sum().backward()
    optimizer.step()
    return optimizer, optimizer_state("o", optimizer)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"o.0.exp_avg": None}, "exp_avg is missing"),
        ({"o.0.other": torch.zeros(2, 3)}, "other is none of them"),
        ({"o.0.exp_avg": torch.zeros(3, 2)}, r"exp_avg is float32 \[3, 2\], not float32 \[2, 3\]"),
        ({"o.0.exp_avg": torch.zeros(2, 3).double()}, "exp_avg is float64"),
        ({"o.0.step": torch.zeros(2)}, r"step is float32 \[2\], not float32 \[\]"),
        ({"o.2.step": torch.zeros(())}, "there is no parameter 2"),
        ({"o.first.step": torch.zeros(())}, "there is no parameter first"),
    ],
)
def test_tensors_of_another_optimizer(changes: dict[str, torch.Tensor | None], complaint: str) -> None:
    optimizer, state = _stepped()
    assert set(state) == {"o.0.step", "o.0.exp_avg", "o.0.exp_avg_sq"}, "what has taken no step has no state"
    load_optimizer_state("o", optimizer, state)
    other = {name: tensor for name, tensor in (state | changes).items() if tensor is not None}
    with pytest.raises(InputError, match=f"the tensors are not those of this o.*: {complaint}"):
        load_optimizer_state("o", optimizer, other)


def test_a_state_is_whole_finite_and_nothing_else(tmp_path: Path) -> None:
    weights, path = Weights("network", torch.nn.Linear(2, 3)), tmp_path / "file"
    take_up(weights, weights.state(), path)
    for changes, complaint in (
        ({"network.bias": torch.full((3,), torch.nan)}, "network.bias is not finite"),
        ({"network.bias": torch.zeros(4)}, "bias is float32"),
        ({"other": torch.zeros(4)}, "other is in one of them only, the file and what learns"),
    ):
        with pytest.raises(InputError, match=f"file is damaged: .*{complaint}.*; put a copy back"):
            take_up(weights, weights.state() | changes, path)
