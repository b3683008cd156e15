from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from entrannas.core.device import Compute
from entrannas.core.errors import InputError
from entrannas.core.methods import METHODS, last_of_each_kind
from entrannas.core.schedules import Hyperparameters
from entrannas.core.searcher import Searcher
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES, SearchSpace

DARTS = SPACES["darts"]
LEARNING = [name for name, row in METHODS.items() if row.engines(SPACES["darts"].skeleton.cell_kinds(5))]
OTHER_BATCH = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([2, 0, 3, 1])
BATCH = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3])


def _searcher(method: str = "entrannas", cells: int = 5, space: SearchSpace = DARTS) -> Searcher:
    torch.manual_seed(0)
    row = METHODS[method]
    searcher = Searcher.build(Compute(), row, space, Size(cells, channels=4, num_classes=4))
    searcher.set_hyperparameters(Hyperparameters(0.05, 0.01, 0.1, row.tau[0]))
    return searcher


def _snapshot(searcher: Searcher) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in searcher.state().items()}


def _changed(before: dict[str, Tensor], after: dict[str, Tensor], prefix: str) -> bool:
    names = [name for name in after if name.startswith(prefix)]
    return any(name not in before or not torch.equal(before[name], after[name]) for name in names)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_has_diverged_derives_nothing(method: str, value: float) -> None:
    searcher = _searcher(method)
    with torch.no_grad():
        searcher.alpha["normal"][0, 0] = value
    with pytest.raises(InputError, match="not finite any more: choose a lower learning rate"):
        searcher.derive()


def test_the_last_of_each_kind() -> None:
    assert last_of_each_kind(SPACES["darts"].skeleton.cell_kinds(8)) == (5, 7)
    assert last_of_each_kind(SPACES["darts"].skeleton.cell_kinds(5)) == (3, 4)


@pytest.mark.parametrize("method", LEARNING)
def test_weights_step_updates_weights_and_leaves_alpha(method: str) -> None:
    searcher = _searcher(method)
    before = _snapshot(searcher)
    searcher.weights_step(*BATCH, searcher.derive())
    after = searcher.state()
    assert _changed(before, after, "supernet.classifier.weight")
    assert not _changed(before, after, "alpha")
    assert all(alpha.grad is None for alpha in searcher.alpha.values())


@pytest.mark.parametrize("method", LEARNING)
def test_alpha_step_updates_alpha_and_leaves_weights(method: str) -> None:
    searcher = _searcher(method)
    searcher.weights_step(*BATCH, searcher.derive())
    gradients = {id(p): (p.grad, None if p.grad is None else p.grad.clone()) for p in searcher.supernet.parameters()}
    parameters = [p.detach().clone() for p in searcher.supernet.parameters()]
    before = _snapshot(searcher)
    searcher.alpha_step(*BATCH, searcher.derive(), OTHER_BATCH)
    after = searcher.state()
    assert _changed(before, after, "alpha.normal") and _changed(before, after, "alpha.reduction")
    assert not _changed(before, after, "weights_optimizer")
    for parameter, old in zip(searcher.supernet.parameters(), parameters, strict=True):
        assert torch.equal(parameter, old) and parameter.requires_grad
        gradient, copy = gradients[id(parameter)]
        assert parameter.grad is gradient
        assert copy is None or torch.equal(parameter.grad, copy)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["entrannas", "darts"])
def test_alpha_step_saves_no_tensor_for_a_weight(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the graph: every leaf is a p, and a convolution keeps its weight only, never its input."""
    searcher = _searcher(method)
    nodes = []

    def walk(loss: Tensor) -> None:
        pending = [loss.grad_fn]
        while pending:
            node = pending.pop()
            if node is not None and node not in nodes:
                nodes.append(node)
                pending += [following for following, _ in node.next_functions]

    monkeypatch.setattr(Tensor, "backward", walk)
    searcher.alpha_step(*BATCH, searcher.derive())
    names = [node.name() for node in nodes]
    leaves = [node.variable for node in nodes if node.name() == "torch::autograd::AccumulateGrad"]
    assert [leaf.shape for leaf in leaves] == [alpha.shape for alpha in searcher.alpha.values()]
    assert "ConvolutionBackward0" not in names
    weights = {id(parameter) for parameter in searcher.supernet.parameters()}
    convolutions = [node for node in nodes if node.name() == "_FrozenConvolutionBackward"]
    assert convolutions
    for node in convolutions:
        assert [id(tensor) for tensor in node.saved_tensors] and all(id(t) in weights for t in node.saved_tensors)
    (linear,) = (node for node in nodes if node.name() == "AddmmBackward0")
    assert linear._saved_mat1 is None  # the input, which only the weight's gradient would want


def test_alpha_gradient_is_that_of_the_whole_graph() -> None:
    """Freezing the weights saves work and changes nothing: alpha's gradient is the one autograd gives for all."""
    searcher = _searcher()
    genotype = searcher.derive()
    images, labels = BATCH
    loss = torch.nn.functional.cross_entropy(searcher.supernet(images, searcher.relax(), genotype), labels)
    expected = torch.autograd.grad(loss, list(searcher.alpha.values()))
    searcher.alpha_step(images, labels, genotype)
    for alpha, gradient in zip(searcher.alpha.values(), expected, strict=True):
        assert alpha.grad is not None and alpha.grad.abs().max() > 0
        torch.testing.assert_close(alpha.grad, gradient, rtol=1e-4, atol=1e-7)


def test_unrolled_alpha_gradient_is_that_through_a_step_of_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against autograd through w', which DARTS approximates, with a difference too small to cross the kinks of ReLU."""
    monkeypatch.setattr("entrannas.core.unrolled.RADIUS", 1e-6)
    searcher = _searcher("darts-2nd", cells=3)
    searcher.supernet.double()
    searcher.alpha.double()
    train, validation = ((images.double(), labels) for images, labels in (BATCH, OTHER_BATCH))
    genotype = searcher.derive()
    for _ in range(2):
        searcher.weights_step(*train, genotype)

    def loss(weights: dict[str, Tensor], images: Tensor, labels: Tensor) -> Tensor:
        logits = functional_call(searcher.supernet, weights, (images, searcher.relax(), genotype))
        return torch.nn.functional.cross_entropy(logits, labels)

    weights, alphas = dict(searcher.supernet.named_parameters()), list(searcher.alpha.values())
    gradients = torch.autograd.grad(loss(weights, *train), list(weights.values()), create_graph=True)
    momentum = [searcher.weights_optimizer.state[weight]["momentum_buffer"] for weight in weights.values()]
    ahead = {
        name: weight - 0.05 * (0.9 * v + gradient + 3e-4 * weight)
        for (name, weight), v, gradient in zip(weights.items(), momentum, gradients, strict=True)
    }
    expected = torch.autograd.grad(loss(ahead, *validation), alphas)
    first_order = torch.autograd.grad(loss({name: w.detach() for name, w in ahead.items()}, *validation), alphas)

    before = [weight.detach().clone() for weight in weights.values()]
    searcher.alpha_step(*validation, genotype, train)
    assert all(torch.equal(weight, old) for weight, old in zip(weights.values(), before, strict=True))
    for alpha, exact, direct in zip(alphas, expected, first_order, strict=True):
        torch.testing.assert_close(alpha.grad, exact, rtol=1e-6, atol=1e-8)
        assert (exact - direct).norm() > 0.1 * exact.norm()


@pytest.mark.parametrize("method", LEARNING)
def test_every_method_searches_nas_bench_201(method: str) -> None:
    searcher = _searcher(method, cells=3, space=SPACES["nasbench201"])
    before = searcher.alpha["normal"].detach().clone()
    genotype = searcher.derive()
    assert genotype.normal.inputs == 1
    searcher.weights_step(*BATCH, genotype)
    for _ in range(3):  # a draw can leave nothing to learn from
        searcher.alpha_step(*BATCH, genotype, OTHER_BATCH)
    assert not torch.equal(searcher.alpha["normal"], before)


def test_shares_learn_at_alphas_rate_and_thresholds_at_their_own() -> None:
    shares, thresholds = _searcher("pc-darts"), _searcher("entrannas-dst")
    (group,) = shares.alpha_optimizer.param_groups
    assert [tuple(variable.shape) for variable in group["params"]] == [(14, 8), (14, 8), (14,), (14,)]
    shares.alpha_step(*BATCH, shares.derive())
    assert group["lr"] == 0.01 and (shares.beta["normal"] != 0).all() and shares.report()["thresholds"] == {}
    assert [group["lr"] for group in thresholds.alpha_optimizer.param_groups] == [0.01, 0.1]
    assert thresholds.beta["normal"].shape == (4,)


def test_steps_draw_an_operation_as_often_as_it_is_likely_and_the_derivation_draws_nothing() -> None:
    """Gumbel noise makes the largest of alpha + noise a draw from softmax(alpha)."""
    searcher = _searcher("gdas", cells=3)
    alpha = searcher.alpha["normal"].data.copy_(torch.randn(14, 8))
    state = torch.get_rng_state()
    searcher.derive()
    searcher.report()
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        drawn = torch.stack([searcher.drawn()["normal"] for _ in range(2000)]).mean(dim=0)
    torch.testing.assert_close(drawn, alpha.softmax(dim=1), atol=0.05, rtol=0)


@pytest.mark.parametrize("space", ["darts", "nasbench201"])
def test_a_draw_of_none_everywhere_gives_nothing_to_learn(space: str) -> None:
    searcher = _searcher("gdas", cells=3, space=SPACES[space])
    for alpha in searcher.alpha.values():
        alpha.data[:, 0] = 1000.0
    before = _snapshot(searcher)
    searcher.weights_step(*BATCH, searcher.initial)
    loss, _ = searcher.alpha_step(*BATCH, searcher.initial)
    assert loss.isfinite() and not _changed(before, searcher.state(), "alpha.")
    assert all(weight.requires_grad for weight in searcher.supernet.parameters())


@pytest.mark.parametrize(("target", "sign"), [(1.0, 1), (100.0, -1), (0.0, 0)])
def test_the_pull_moves_the_thresholds_towards_the_target(target: float, sign: int) -> None:
    """The gradient of beta with the pull less that without it, all connections being live at the start."""
    gradients = []
    for pull in (target, 0.0):
        searcher = _searcher("entrannas-dst")
        searcher.set_hyperparameters(replace(searcher.hyperparameters, target=pull))
        searcher.alpha_step(*BATCH, searcher.derive())
        gradients.append(torch.stack([beta.grad for beta in searcher.beta.values()]))  # type: ignore[misc]
    assert all(beta.grad.abs().max() > 0 for beta in searcher.beta.values())  # type: ignore[union-attr]
    assert (torch.sign(gradients[1] - gradients[0]).round() == sign).all()


def test_what_is_dead_is_neither_computed_nor_lost() -> None:
    """A dead connection gets no gradient, and comes back when the threshold falls."""
    searcher = _searcher("entrannas-dst")
    with torch.no_grad():
        searcher.alpha["normal"][0, 0] = 0.5
    searcher.beta["normal"].data[0] = 2.0
    assert len(searcher.derive().normal.nodes[0]) == 1
    searcher.alpha_step(*BATCH, searcher.derive())
    gradient = searcher.alpha["normal"].grad
    assert gradient is not None and (gradient[:2] == 0).all() and (gradient[2:] != 0).any()
    searcher.beta["normal"].data[0] = 0.0
    assert len(searcher.derive().normal.nodes[0]) == 14


def test_cells_before_the_first_engine_have_no_graph_in_the_alpha_step() -> None:
    searcher = _searcher(cells=8)
    searcher.engines = last_of_each_kind(searcher.supernet.kinds)
    wants = {}
    for index, cell in enumerate(searcher.supernet.cells):
        cell.register_forward_hook(lambda _m, _i, output, index=index: wants.update({index: output.requires_grad}))
    searcher.alpha_step(*BATCH, searcher.derive())
    assert wants == {index: index >= 5 for index in range(8)}


def test_random_draws_every_choice_alike() -> None:
    """The top-2 rule on alphas as they are drawn: each pair of inputs and each operation about as often."""
    row = METHODS["random"]
    assert row.engines(SPACES["darts"].skeleton.cell_kinds(8)) == ()
    operations: dict[str, int] = {}
    inputs: dict[int, int] = {}
    random = torch.Generator().manual_seed(0)
    for _ in range(600):
        cell = row.derivation(row.relaxation(1e-3 * torch.randn(14, 8, generator=random), None, 1.0, DARTS), DARTS)
        for connection in cell.nodes[3]:
            operations[connection.operation] = operations.get(connection.operation, 0) + 1
            inputs[connection.input] = inputs.get(connection.input, 0) + 1
    assert set(operations) == set(DARTS.operations) - {"none"}
    assert all(abs(count - 1200 / 7) < 60 for count in operations.values())
    assert all(abs(count - 1200 / 5) < 60 for count in inputs.values())


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_both_precisions_learn(precision: str) -> None:
    searcher = _searcher()
    searcher.compute = Compute(precision=precision)  # type: ignore[arg-type]
    first, _ = searcher.weights_step(*BATCH, searcher.derive())
    for _ in range(15):
        genotype = searcher.derive()
        last, _ = searcher.weights_step(*BATCH, genotype)
        searcher.alpha_step(*BATCH, genotype)
    assert last < 0.7 * first


@pytest.mark.parametrize("method", ["entrannas", "entrannas-dst"])
def test_when_it_has_closed_the_super_net_is_the_network_derived(method: str) -> None:
    searcher = _searcher(method)
    with torch.no_grad():
        for variables in (*searcher.alpha.values(), *searcher.beta.values()):
            variables += torch.randn(variables.shape)
    genotype, supernet = searcher.derive(), searcher.supernet
    searcher.set_hyperparameters(replace(searcher.hyperparameters, closing=1.0))
    with torch.no_grad():
        p = searcher.closed(searcher.relax(), genotype)
        logits = [supernet(BATCH[0], p, genotype, engines=place) for place in [(), (0, 1), tuple(range(5))]]
    torch.testing.assert_close(logits[1], logits[0])
    torch.testing.assert_close(logits[2], logits[0])


def test_the_cells_that_are_engine_cells_now_evaluate_all_candidates() -> None:
    searcher = _searcher(cells=8)
    counts: dict[int, set[str]] = {index: set() for index in range(8)}
    for index, cell in enumerate(searcher.supernet.cells):
        for name, operation in cell.operations.items():
            operation.register_forward_hook(lambda *_, index=index, name=name: counts[index].add(name))
    searcher.engines = (2, 6)
    searcher.weights_step(*BATCH, searcher.derive())
    assert {index: len(names) > 8 for index, names in counts.items()} == {index: index in (2, 6) for index in range(8)}
    assert len(counts[2]) == len(counts[6]) == 35
