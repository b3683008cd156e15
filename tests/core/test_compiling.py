import pytest
import torch
from torch._inductor.exc import TritonMissing

from entrannas.core.compiling import able_to_compile
from entrannas.core.errors import InputError


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (RuntimeError("no compiler\nof C++"), r"no compiler of C\+\+"),
        (TritonMissing(None), "Cannot find a working triton installation. .*"),
    ],
    ids=["compiler", "triton"],
)
def test_what_cannot_be_compiled_is_one_line(error: Exception, why: str) -> None:
    def fail(graph: object, inputs: object) -> None:
        raise error

    torch.compiler.reset()
    told = rf"^the network cannot be compiled \({why}\): train it in a new run without --compile$"
    with pytest.raises(InputError, match=told), able_to_compile():
        torch.compile(torch.relu, backend=fail)(torch.ones(2))


def test_memory_that_the_compiler_lacks_is_no_fault_of_the_network() -> None:
    lack = torch.OutOfMemoryError("CUDA out of memory")

    def fail(graph: object, inputs: object) -> None:
        raise lack

    torch.compiler.reset()
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"), able_to_compile():
        torch.compile(torch.relu, backend=fail)(torch.ones(2))
