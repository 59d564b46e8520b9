"""The penalty is what the recipe says, and the learning rate moves as it says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from normstudy.study import data
from normstudy.study.optimize import (
    descend,
    l1_penalty,
    learning_rates,
    make_optimizer,
    penalized,
    scales,
    shrink,
    weights,
)
from normstudy.study.recipes import NORMS, Recipe, variants
from normstudy.study.train import build, train

TINY = Recipe(data="digits", epochs=3, batch_size=256, lr=0.1, crop=1, precision="float32")

# -- penalties -------------------------------------------------------------------------------------


def test_weights_are_those_of_convolutions_and_linear_layers():
    for norm in NORMS:
        net = build(replace(TINY, norm=norm), data.load("digits"))
        names = {id(p): name for name, p in net.named_parameters()}
        kinds = {names[id(w)].split(".")[0].rstrip("0123456789") for w in weights(net)}
        assert kinds == {"conv", "block", "linear"}
        assert all(names[id(w)].endswith("weight") for w in weights(net))
        assert not any(".norm." in names[id(w)] for w in weights(net))
        assert len(weights(net)) == 3 + 2 * 3 + 1


def sum_of_magnitudes(net, kinds):
    chosen = [m for m in net.modules() if isinstance(m, kinds)]
    return sum(
        float(np.abs(p.detach().numpy().astype(np.float64)).sum())
        for module in chosen
        for p in module.parameters(recurse=False)
    )


@pytest.mark.parametrize("norm", NORMS)
def test_l1_is_lambda_times_the_sum_of_magnitudes_of_weights_alone(norm):
    recipe = replace(TINY, norm=norm, l1=3e-4)
    net = build(recipe, data.load("digits"))
    bias = float(net.linear1.bias.detach().abs().sum())
    expected = 3e-4 * (sum_of_magnitudes(net, nn.Conv2d | nn.Linear) - bias)
    assert l1_penalty(net, recipe).item() == pytest.approx(expected, rel=1e-5)


def test_l1_on_all_covers_norms_and_biases_too():
    recipe = replace(TINY, l1=3e-4, l1_on="all")
    net = build(recipe, data.load("digits"))
    expected = 3e-4 * sum_of_magnitudes(net, nn.Module)
    assert l1_penalty(net, recipe).item() == pytest.approx(expected, rel=1e-5)
    assert expected > l1_penalty(net, replace(recipe, l1_on="weights")).item() * 1.05


def test_l1_of_the_mean_is_divided_by_the_values_of_each_tensor():
    recipe = replace(TINY, l1=3e-4, l1_on="all", l1_of="mean")
    net = build(recipe, data.load("digits"))
    expected = 3e-4 * sum(float(p.detach().double().abs().mean()) for p in net.parameters())
    assert l1_penalty(net, recipe).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("l1_on", ["weights", "all"])
@pytest.mark.parametrize("l1_of", ["sum", "mean"])
def test_what_is_penalized_is_pulled_as_hard_as_it_is_said(l1_of, l1_on):
    recipe = replace(TINY, l1=3e-4, l1_on=l1_on, l1_of=l1_of)
    net = build(recipe, data.load("digits"))
    l1_penalty(net, recipe).backward()
    pulled = penalized(net, recipe)
    for name, p in net.named_parameters():
        if name not in pulled:
            assert p.grad is None
            assert l1_on == "weights"
            continue
        tensor, strength = pulled[name]
        assert tensor is p
        torch.testing.assert_close(p.grad, strength * p.detach().sign())


# -- the proximal step, and scales -----------------------------------------------------------------


def soft(values, threshold):
    """Move towards zero, in numpy."""
    return np.sign(values) * np.maximum(np.abs(values) - threshold, 0)


class Lasso(nn.Module):
    """Weights w whose loss is half the squared distance from a target."""

    def __init__(self, target):
        super().__init__()
        self.linear = nn.Linear(len(target), 1, bias=False)
        self.target = torch.tensor(target)

    def loss(self):
        return 0.5 * ((self.linear.weight[0] - self.target) ** 2).sum()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
def test_with_and_without_momentum_the_proximal_step_comes_to_rest_at_the_lasso(momentum, nesterov):
    target = [2.0, -1.0, 0.2, -0.1, 0.0]
    recipe = Recipe(
        l1=0.3, l1_step="proximal", lr=0.05, momentum=momentum, nesterov=nesterov, weight_decay=0.0
    )
    net = Lasso(target)
    optimizer = make_optimizer(net, recipe)
    for _ in range(600):
        optimizer.zero_grad()
        net.loss().backward()
        optimizer.step()
        shrink(net, recipe, recipe.lr)
    found = net.linear.weight[0].detach().numpy()
    np.testing.assert_allclose(found, soft(np.array(target), 0.3), atol=1e-5)
    assert (found[2:] == 0).all(), "zeros are exact"


@pytest.mark.parametrize("l1_on", ["weights", "all", "scales"])
@pytest.mark.parametrize("l1_of", ["sum", "mean"])
def test_the_proximal_step_is_a_soft_threshold_of_what_the_penalty_covers(l1_on, l1_of):
    recipe = replace(TINY, l1=0.5, l1_on=l1_on, l1_of=l1_of, l1_step="proximal", momentum=0.5)
    net = build(recipe, data.load("digits"))
    before = {name: p.detach().numpy().copy() for name, p in net.named_parameters()}
    covered = penalized(net, recipe)
    shrink(net, recipe, 0.1)
    for name, p in net.named_parameters():
        expected = before[name]
        if name in covered:
            divisor = p.numel() if l1_of == "mean" else 1
            expected = soft(expected, 0.1 * 0.5 / divisor / 0.5)
        np.testing.assert_allclose(p.detach().numpy(), expected, atol=1e-7)


@pytest.mark.parametrize("norm", [norm for norm in NORMS if norm != "none"])
def test_the_scales_of_norms_can_be_penalized_alone(norm):
    recipe = replace(TINY, norm=norm, l1=0.01, l1_on="scales")
    net = build(recipe, data.load("digits"))
    assert all((scale == 1).all() for scale in scales(net))
    total = sum(scale.numel() for scale in scales(net))
    assert l1_penalty(net, recipe).item() == pytest.approx(0.01 * total, rel=1e-5)
    assert {id(p) for p, _ in penalized(net, recipe).values()} == {id(s) for s in scales(net)}


def test_without_norms_there_are_no_scales_to_penalize():
    recipe = replace(TINY, norm="none", l1=0.01, l1_on="scales")
    with pytest.raises(ValueError, match="norm='none' has no scales to penalize; give l1_on="):
        train(recipe, device="cpu", progress=False)


def test_a_training_with_a_proximal_step_has_weights_of_exactly_zero():
    recipe = replace(TINY, l1=3e-3, l1_step="proximal")
    ways = variants(recipe, l1_step=["proximal", "subgradient"])
    sharp, blunt = (train(way, device="cpu", progress=False) for way in ways)
    assert (sharp.weight_quantiles == 0).mean() > 0.05
    assert (blunt.weight_quantiles == 0).mean() <= 0.001
    assert sharp.history["penalty"][0] > 0, "it is told, though it is no part of the loss"


# -- a step ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("l1_step", ["subgradient", "proximal"])
def test_a_step_moves_all_groups_at_its_rate_and_tells_the_penalty_before(l1_step):
    recipe = Recipe(l1=0.3, l1_step=l1_step, lr=9.0, momentum=0.5, weight_decay=0.0)
    net = Lasso([2.0, -1.0])
    with torch.no_grad():
        net.linear.weight[0] = torch.tensor([1.0, 1.0])
    optimizer = make_optimizer(net, recipe)
    penalty = descend(net, optimizer, recipe, net.loss(), 0.1)
    assert penalty.item() == pytest.approx(0.6)
    gradient = np.array([-1.0, 2.0]) + (0.3 if l1_step == "subgradient" else 0)
    expected = 1 - 0.1 * 1.5 * gradient  # a first step with Nesterov's momentum
    if l1_step == "proximal":
        expected = soft(expected, 0.1 * 0.3 / 0.5)
    np.testing.assert_allclose(net.linear.weight[0].detach().numpy(), expected, rtol=1e-6)
    assert [group["lr"] for group in optimizer.param_groups] == [9.0, 9.0], "those of the schedule"


def test_a_rate_may_be_a_tensor_and_the_schedule_keeps_its_numbers(monkeypatch):
    recipe = replace(TINY, weight_decay=0.1)
    numbers, tensors = (build(recipe, data.load("digits")) for _ in range(2))
    for net, rate in ((numbers, 0.1), (tensors, torch.tensor(0.1))):
        optimizer = make_optimizer(net, recipe)
        descend(net, optimizer, recipe, net(torch.ones(2, 1, 8, 8)).square().mean(), rate)
        assert [group["lr"] for group in optimizer.param_groups] == [recipe.lr] * 2
    for one, other in zip(numbers.parameters(), tensors.parameters(), strict=True):
        torch.testing.assert_close(one, other)

    def refuse():
        raise RuntimeError("as while a step is recorded")

    monkeypatch.setattr(optimizer, "step", refuse)
    with pytest.raises(RuntimeError, match="recorded"):
        descend(net, optimizer, recipe, net(torch.ones(2, 1, 8, 8)).mean(), rate)
    assert [group["lr"] for group in optimizer.param_groups] == [recipe.lr] * 2


# -- schedules -------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["one-cycle", "one-cycle-cosine", "constant"])
@pytest.mark.parametrize("rebuilt", [False, True])
def test_the_listed_rates_are_those_of_the_training(schedule, rebuilt):
    recipe = replace(TINY, schedule=schedule, rebuilt=rebuilt)
    rates = learning_rates(recipe, steps=6)
    assert len(rates) == 18
    found = train(recipe, device="cpu", progress=False).history["lr"]
    assert found == pytest.approx(rates[::6])


def test_a_cycle_that_is_rebuilt_never_gets_beyond_its_first_epoch():
    recipe = replace(TINY, schedule="one-cycle-cosine", lr=0.02, epochs=20, warmup=0.3)
    meant, built = (learning_rates(replace(recipe, rebuilt=flag), 469) for flag in (False, True))
    assert max(meant) == pytest.approx(0.02)
    assert meant[-1] == pytest.approx(0.02 / 250_000)
    np.testing.assert_allclose(built, meant[:469] * 20)
    assert (round(built[0], 4), round(max(built), 4)) == (0.0008, 0.0021)  # as report B had it


def test_weight_decay_and_momentum_are_those_of_the_recipe():
    net = build(TINY, data.load("digits"))
    for on, expected in (("weights", 0.0), ("all", 0.1)):
        groups = make_optimizer(
            net, replace(TINY, weight_decay=0.1, weight_decay_on=on)
        ).param_groups
        assert [group["weight_decay"] for group in groups] == [0.1, expected]
        assert {id(p) for group in groups for p in group["params"]} == {
            id(p) for p in net.parameters()
        }
        assert {(group["momentum"], group["nesterov"]) for group in groups} == {(0.9, True)}
