"""The worked examples against torch, autograd and finite differences, number by number."""

import re
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from normstudy.byhand import norms
from normstudy.byhand.examples import (
    BATCHES,
    BETA,
    GAMMA,
    GRAD_Y,
    NO_EPS,
    NORMS,
    NUM_GROUPS,
    SHAPE,
    X,
    by_hand,
    differences,
    penalties_by_hand,
    running_by_hand,
    torch_layer,
)
from normstudy.byhand.steps import Example

MAIN = ("batch", "layer", "group", "instance")
each_norm = pytest.mark.parametrize("norm", NORMS)
each_eps = pytest.mark.parametrize("eps", [Fraction(0), 1e-5])


def close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-12) -> bool:
    return ours.shape == theirs.shape and bool((ours - theirs).abs().max() <= tolerance)


def loss(norm: str, x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    layer = torch_layer(norm, SHAPE, num_groups=NUM_GROUPS, eps=eps)
    parameters = {"weight": gamma, "bias": beta}
    if hasattr(layer, "layer"):
        parameters = {f"layer.{name}": value for name, value in parameters.items()}
    y = torch.func.functional_call(layer, parameters, (x,))
    return (y * torch.tensor(GRAD_Y).reshape(SHAPE)).sum()


@each_norm
@each_eps
def test_statistics_are_those_of_torch(norm: str, eps: float) -> None:
    example = by_hand(norm, eps)
    x = example["x"].tensor
    owners = norms.index_sets(SHAPE, norm, num_groups=NUM_GROUPS)
    for k, (mean, variance, std) in enumerate(
        zip(example["mean"].values, example["variance"].values, example["std"].values, strict=True)
    ):
        numbers = x[owners == k]
        assert float(mean) == numbers.mean()
        assert float(variance) == pytest.approx(float(numbers.var(correction=0)), abs=1e-12)
        assert float(std) == pytest.approx(
            float((numbers.var(correction=0) + float(eps)).sqrt()), abs=1e-12
        )
        cells = {tuple(cell) for cell in (owners == k).nonzero().tolist()}
        assert set(example["mean"].cells[k]) == cells
        assert example["mean"].sources[k] == tuple(("x", cell) for cell in sorted(cells))


@each_norm
@each_eps
def test_every_step_is_that_of_norms(norm: str, eps: float) -> None:
    example = by_hand(norm, eps)
    gamma, beta = example["gamma"].tensor, example["beta"].tensor
    x, grad_y = example["x"].tensor, example["grad_y"].tensor
    out = norms.forward(x, norm, gamma, beta, num_groups=NUM_GROUPS, eps=float(eps))
    grads = norms.backward(grad_y, out)
    for name, tensor in (
        ("mean", out.mean),
        ("variance", out.var),
        ("xhat", out.xhat),
        ("y", out.y),
        ("grad_x", grads.x),
        ("grad_gamma", grads.weight),
        ("grad_beta", grads.bias),
    ):
        assert close(example[name].tensor, tensor), name


@each_norm
@each_eps
def test_gradients_are_those_of_autograd_and_of_finite_differences(norm: str, eps: float) -> None:
    example = by_hand(norm, eps)
    leaves = [example[name].tensor for name in ("x", "gamma", "beta")]
    eps = float(eps) or NO_EPS
    for leaf in leaves:
        leaf.requires_grad_()
    expected = torch.autograd.grad(loss(norm, *leaves, eps), leaves)
    h = 1e-4
    for k, name in enumerate(("grad_x", "grad_gamma", "grad_beta")):
        by_hand_ = example[name].tensor
        assert close(by_hand_, expected[k]), name
        for i in range(leaves[k].numel()):
            up, down = ([leaf.detach().clone() for leaf in leaves] for _ in range(2))
            up[k].view(-1)[i] += h
            down[k].view(-1)[i] -= h
            slope = (loss(norm, *up, eps) - loss(norm, *down, eps)) / (2 * h)
            assert float(slope) == pytest.approx(float(by_hand_.flatten()[i]), abs=1e-6)


@pytest.mark.parametrize("norm", MAIN)
def test_every_number_is_a_fraction_and_every_statistic_whole(norm: str) -> None:
    example = by_hand(norm)
    for step in example.steps:
        assert all(isinstance(value, Fraction) for value in step.values), step.name
    for name in ("mean", "variance", "std", "mean_g", "mean_g_xhat"):
        assert all(value.denominator == 1 for value in example[name].values), name


def test_the_tensor_tells_the_norms_apart() -> None:
    examples = {norm: by_hand(norm) for norm in MAIN}
    assert len({example["xhat"].values for example in examples.values()}) == 4
    for norm in MAIN:
        assert len(set(examples[norm]["std"].values)) > 1
        for other in MAIN[: MAIN.index(norm)]:
            pairs = zip(examples[norm]["xhat"].values, examples[other]["xhat"].values, strict=True)
            assert sum(a != b for a, b in pairs) >= 12
    assert len(set(GAMMA)) == len(set(BETA)) == 4
    assert X[0] != X[1]


def test_pixels_have_whole_means_over_channels() -> None:
    assert all(mean.denominator == 1 for mean in by_hand("layer_channels")["mean"].values)


def test_eps_changes_only_the_sixth_digit() -> None:
    for norm in NORMS:
        change = by_hand(norm, 1e-5)["xhat"].tensor - by_hand(norm)["xhat"].tensor
        assert 0 < change.abs().max() < 1e-5


def test_gamma_per_value_gathers_the_gradient_that_gamma_per_channel_sums() -> None:
    per_channel, per_value = by_hand("layer"), by_hand("layer_chw")
    assert per_channel["y"].values == per_value["y"].values
    assert per_channel["grad_x"].values == per_value["grad_x"].values
    assert close(per_value["grad_gamma"].tensor.sum((1, 2)), per_channel["grad_gamma"].tensor)


@pytest.mark.parametrize("momentum", [Fraction(1, 10), Fraction(0), Fraction(1), None])
def test_running_statistics_are_those_of_torch(momentum: Fraction | None) -> None:
    example = running_by_hand(momentum)
    a = None if momentum is None else float(momentum)
    layer = nn.BatchNorm1d(1, NO_EPS, a, affine=False, dtype=torch.double)
    for t, batch in enumerate(BATCHES, start=1):
        x = torch.tensor(batch).double()
        assert close(example[f"xhat_{t}"].tensor, layer(x[:, None])[:, 0])
        assert close(example[f"mean_{t}"].tensor, x.mean())
        assert close(example[f"variance_{t}"].tensor, x.var(correction=0))
        assert close(example[f"unbiased_{t}"].tensor, x.var(correction=1))
        assert close(example[f"running_mean_{t}"].tensor[None], layer.running_mean)
        assert close(example[f"running_var_{t}"].tensor[None], layer.running_var)
    evaluated = layer.eval()(torch.tensor(BATCHES[0]).double()[:, None])[:, 0]
    assert close(example["xhat_eval"].tensor, evaluated)


def test_plain_average_makes_evaluation_exact() -> None:
    example = running_by_hand(None)
    assert all(isinstance(value, Fraction) for step in example.steps for value in step.values)
    assert example["running_std"].values == (Fraction(6),)


def sgd_step(example: Example, penalty: str, weight_decay: float = 0.0) -> Tensor:
    """One step of torch's SGD on <w, grad> plus the L1 penalty, reduced as named."""
    w = example["w"].tensor.requires_grad_()
    lr, l1 = (float(example[name].values[0]) for name in ("lr", "l1"))
    optimizer = torch.optim.SGD([w], lr=lr, weight_decay=weight_decay)
    sizes = {"sum": w.abs().sum(), "mean": w.abs().mean(), "none": torch.zeros(())}
    ((w * example["grad"].tensor).sum() + l1 * sizes[penalty]).backward()
    optimizer.step()
    return w.detach()


def test_penalties_are_those_of_torch() -> None:
    example = penalties_by_hand()
    lr, l1, l2 = (float(example[name].values[0]) for name in ("lr", "l1", "l2"))
    w, grad = example["w"].tensor.requires_grad_(), example["grad"].tensor

    for name, slope, penalty in (
        ("penalty", "subgradient", l1 * w.abs().sum()),
        ("mean_penalty", "mean_subgradient", l1 * w.abs().mean()),
        ("l2_penalty", "l2_gradient", l2 / 2 * w.square().sum()),
    ):
        assert close(example[name].tensor, penalty.detach())
        assert close(example[slope].tensor, torch.autograd.grad(penalty, w)[0])
    assert close(example["step"].tensor, sgd_step(example, "sum"))
    assert close(example["plain_step"].tensor, sgd_step(example, "none"))
    assert close(example["l2_step"].tensor, sgd_step(example, "none", weight_decay=l2))
    shrunk = nn.functional.softshrink(w.detach() - lr * grad, lr * l1)
    assert close(example["proximal"].tensor, shrunk)
    mean_step = w.detach() - lr * (grad + example["mean_subgradient"].tensor)
    assert close(mean_step, sgd_step(example, "mean"))


def test_only_the_proximal_step_makes_zeros() -> None:
    example = penalties_by_hand()
    zeros = {name: example[name].values.count(0) for name in ("step", "l2_step", "proximal")}
    assert zeros == {"step": 0, "l2_step": 0, "proximal": 2}


def test_proximal_step_minimizes_its_objective() -> None:
    example = penalties_by_hand()
    u, best = example["plain_step"].tensor, example["proximal"].tensor
    strength = float(example["lr"].values[0] * example["l1"].values[0])
    grid = torch.linspace(-8, 8, 1601, dtype=torch.double)[:, None]
    objective = (grid - u).square() / 2 + strength * grid.abs()
    assert close(grid[objective.argmin(0), 0], best, 1e-9)


def test_difference_report_covers_everything_and_finds_nothing() -> None:
    rows = differences()
    assert max(max(row.by_hand, row.norms) for row in rows) < 1e-13
    assert {row.quantity for row in rows} >= {"y", "grad_x", "grad_gamma", "grad_beta", "xhat_eval"}
    for norm in NORMS:
        assert sum(row.example.startswith(f"{norm} norm") for row in rows) == 8
    assert len({(row.example, row.quantity) for row in rows}) == len(rows)


def test_difference_report_finds_a_wrong_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    def unbiased(*args: object, **kwargs: object) -> tuple[Tensor, ...]:
        xhat, mean, var, rstd = standardize(*args, **kwargs)
        return xhat * 0.9, mean, var, rstd

    standardize = norms.standardize
    monkeypatch.setattr(norms, "standardize", unbiased)
    assert max(row.norms for row in differences()) > 0.01
    assert max(row.by_hand for row in differences()) < 1e-13


def test_refuses_a_norm_without_example() -> None:
    with pytest.raises(
        ValueError, match="norm is 'rms'; there is a worked example for batch, layer"
    ):
        by_hand("rms")


def test_refuses_numbers_out_of_range() -> None:
    with pytest.raises(ValueError, match="eps is -1; it must be 0 or greater"):
        by_hand("batch", Fraction(-1))
    with pytest.raises(ValueError, match="momentum is 2; it must be from 0 to 1, or None"):
        running_by_hand(Fraction(2))


def test_every_letter_of_the_worked_examples_is_in_the_notation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "notation.rst").read_text()
    listed = " ".join(re.findall(r"^   \* - :math:`(.*)`$", page, re.MULTILINE))
    marks = {r"\hat", r"\overline", r"\frac", r"\lVert", r"\rVert"}
    for example in (by_hand("batch"), running_by_hand(), penalties_by_hand()):
        for step in example.steps:
            letters = set(re.findall(r"\\?[A-Za-z]+", step.symbol)) - marks
            assert letters <= set(re.findall(r"\\?[A-Za-z]+", listed)), step.symbol
