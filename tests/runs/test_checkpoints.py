import json
from pathlib import Path

import pytest
import torch

from entrannas.errors import InputError
from entrannas.runs.checkpoints import (
    load_module_state,
    load_optimizer_state,
    load_tensors,
    module_state,
    optimizer_state,
)


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
    with pytest.raises(InputError, match=r"the tensors are not those of this network: .*size mismatch") as caught:
        load_module_state("network", torch.nn.Linear(2, 4), state)
    assert "\n" not in str(caught.value)
