import pytest
import torch

from entrannas.errors import InputError
from entrannas.training.compiling import able_to_compile


def test_what_cannot_be_compiled_is_one_line() -> None:
    def fail(graph: object, inputs: object) -> None:
        raise RuntimeError("no compiler\nof C++")

    with pytest.raises(InputError) as refused, able_to_compile():
        torch.compile(torch.relu, backend=fail)(torch.ones(2))
    advice = "train it in a new run without --compile"
    assert str(refused.value) == f"the network cannot be compiled (no compiler of C++): {advice}"
