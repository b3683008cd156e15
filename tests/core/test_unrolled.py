import torch
from torch import Tensor, nn
from torch.nn import functional as F

from entrannas.core.unrolled import unrolled_gradients


def test_gradient_on_a_quadratic_is_exact() -> None:
    """`L_train = |w - B a|^2 / 2`, `L_val = |w - c|^2 / 2`: the step of w has the derivative `xi B` by a."""
    torch.manual_seed(0)
    b, c = torch.randn(3, 2, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    a = torch.randn(2, dtype=torch.float64, requires_grad=True)
    w = nn.Parameter(torch.randn(3, dtype=torch.float64))
    idle = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([w, idle], lr=0.3, momentum=0.9, weight_decay=0.1)

    def train() -> Tensor:
        return (w - b @ a).square().sum() / 2

    train().backward()
    optimizer.step()
    before, gradient = w.detach().clone(), w.grad
    state = {name: value.clone() for name, value in optimizer.state[w].items()}

    def validation() -> Tensor:
        return (w - c).square().sum() / 2

    (found,) = unrolled_gradients([a], optimizer, train, validation)
    ahead = before - 0.3 * (0.9 * state["momentum_buffer"] + (before - b @ a) + 0.1 * before)
    torch.testing.assert_close(found, 0.3 * b.T @ (ahead - c), check_stride=False)

    assert torch.equal(w, before) and w.grad is gradient and idle == 1
    assert idle not in optimizer.state and optimizer.state[w].keys() == state.keys()
    assert all(torch.equal(optimizer.state[w][name], value) for name, value in state.items())


def test_published_difference_is_close_on_a_smooth_network() -> None:
    """Against autograd through w', with momentum and weight decay."""
    torch.manual_seed(0)
    images, labels = torch.randn(2, 16, 5, dtype=torch.float64), torch.randint(3, (2, 16))
    a = torch.randn(4, dtype=torch.float64, requires_grad=True)
    w = nn.Parameter(torch.randn(5, 4, dtype=torch.float64))
    v = nn.Parameter(torch.randn(4, 3, dtype=torch.float64))
    optimizer = torch.optim.SGD([w, v], lr=0.1, momentum=0.9, weight_decay=3e-4)

    def loss(batch: int, w: Tensor, v: Tensor) -> Tensor:
        return F.cross_entropy((images[batch] @ w).tanh() * a.softmax(dim=0) @ v, labels[batch])

    loss(0, w, v).backward()
    optimizer.step()
    gradients = torch.autograd.grad(loss(0, w, v), [w, v], create_graph=True)
    ahead = [
        weight - 0.1 * (0.9 * optimizer.state[weight]["momentum_buffer"] + gradient + 3e-4 * weight)
        for weight, gradient in zip((w, v), gradients, strict=True)
    ]
    (exact,) = torch.autograd.grad(loss(1, *ahead), a)
    (first_order,) = torch.autograd.grad(loss(1, *(weight.detach() for weight in ahead)), a)
    (found,) = unrolled_gradients([a], optimizer, lambda: loss(0, w, v), lambda: loss(1, w, v))
    assert (found - exact).norm() < 1e-3 * (exact - first_order).norm()
