"""The worked examples against torch, autograd and finite differences, number by number."""

import re
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from normstudy.byhand import norms
from normstudy.byhand.examples import (
    BATCHES,
    BETA,
    GAMMA,
    NORMS,
    NUM_GROUPS,
    SHAPE,
    X,
    by_hand,
    penalties_by_hand,
    running_by_hand,
)
from normstudy.byhand.reference import assert_close, by_torch, penalties_by_torch, running_by_torch

MAIN = ("batch", "layer", "group", "instance")
each_norm = pytest.mark.parametrize("norm", NORMS)
each_eps = pytest.mark.parametrize("eps", [Fraction(0), 1e-5])


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
        assert_close(example[name].tensor, tensor, name=name)


@each_norm
@each_eps
def test_results_and_gradients_are_those_of_torch_and_of_finite_differences(
    norm: str, eps: float
) -> None:
    example = by_hand(norm, eps)
    *leaves, grad_y = (example[name].tensor for name in ("x", "gamma", "beta", "grad_y"))

    def loss(*values: Tensor) -> Tensor:
        return (by_torch(norm, *values, grad_y, eps=float(eps))["y"] * grad_y).sum()

    for name, theirs in by_torch(norm, *leaves, grad_y, eps=float(eps)).items():
        assert_close(example[name].tensor, theirs, name=name)
    h = 1e-4
    for k, name in enumerate(("grad_x", "grad_gamma", "grad_beta")):
        slopes = torch.zeros_like(leaves[k])
        for i in range(slopes.numel()):
            up, down = ([leaf.clone() for leaf in leaves] for _ in range(2))
            up[k].view(-1)[i] += h
            down[k].view(-1)[i] -= h
            slopes.view(-1)[i] = (loss(*up) - loss(*down)) / (2 * h)
        assert_close(example[name].tensor, slopes, atol=1e-6, name=name)


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
    assert_close(per_value["grad_gamma"].tensor.sum((1, 2)), per_channel["grad_gamma"].tensor)


@pytest.mark.parametrize("momentum", [Fraction(1, 10), Fraction(0), Fraction(1), None])
def test_running_statistics_are_those_of_torch(momentum: Fraction | None) -> None:
    example = running_by_hand(momentum)
    batches = [torch.tensor(batch).double() for batch in BATCHES]
    expected = running_by_torch(batches, None if momentum is None else float(momentum))
    for name, theirs in expected.items():
        assert_close(example[name].tensor, theirs, name=name)


def test_plain_average_makes_evaluation_exact() -> None:
    example = running_by_hand(None)
    assert all(isinstance(value, Fraction) for step in example.steps for value in step.values)
    assert example["running_std"].values == (Fraction(6),)


def test_penalties_are_those_of_torch() -> None:
    example = penalties_by_hand()
    w, grad = (example[name].tensor for name in ("w", "grad"))
    strengths = {name: float(example[name].values[0]) for name in ("lr", "l1", "l2")}
    for name, theirs in penalties_by_torch(w, grad, **strengths).items():
        assert_close(example[name].tensor, theirs, name=name)


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
    assert_close(grid[objective.argmin(0), 0], best, atol=1e-9)


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
