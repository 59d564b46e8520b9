"""Ghost batches are batch norms of parts; a folded net gives the scores of the net it was."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from normstudy.study import data
from normstudy.study.batchnorm import GhostBatchNorm2d, fold
from normstudy.study.model import Net, make_norm
from normstudy.study.recipes import Recipe
from normstudy.study.train import build, train

# -- ghost batches ---------------------------------------------------------------------------------


def pair(num_images, channels=3):
    """Return ghost batch norm and torch's, with the same parameters, none of them the first."""
    ghost, whole = GhostBatchNorm2d(channels, num_images), nn.BatchNorm2d(channels)
    weights = {"weight": torch.rand(channels) + 0.5, "bias": torch.randn(channels)}
    for layer in (ghost, whole):
        layer.load_state_dict(weights, strict=False)
    return ghost, whole


@pytest.mark.parametrize("images", [8, 7, 5])
def test_each_part_is_normalized_as_torch_normalizes_a_batch_of_its_own(images):
    ghost, whole = pair(2)
    x = 3 * torch.randn(images, 3, 4, 4) + 1
    separate = torch.cat([whole(part) for part in x.split(2)])
    assert torch.equal(ghost(x), separate)


@pytest.mark.parametrize("images", [8, 7])
def test_the_running_statistics_move_once_a_batch_towards_the_mean_of_its_parts(images):
    ghost, _ = pair(2)
    x = 3 * torch.randn(images, 3, 4, 4) + 1
    ghost(x)
    weights = [len(part) / images for part in x.split(2)]
    means = [part.mean((0, 2, 3)) for part in x.split(2)]
    variances = [part.var((0, 2, 3)) for part in x.split(2)]  # the unbiased one, as torch keeps
    mean = sum(w * m for w, m in zip(weights, means, strict=True))
    var = sum(w * v for w, v in zip(weights, variances, strict=True))
    torch.testing.assert_close(ghost.running_mean, 0.1 * mean)
    torch.testing.assert_close(ghost.running_var, 0.9 + 0.1 * var)
    assert ghost.num_batches_tracked == 1
    ghost.eval()
    before = ghost.running_mean.clone()
    expected = (x - before[:, None, None]) / (ghost.running_var + 1e-5).sqrt()[:, None, None]
    expected = expected * ghost.weight[:, None, None] + ghost.bias[:, None, None]
    torch.testing.assert_close(ghost(x), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(ghost.running_mean, before), "evaluation moves nothing"


def test_without_a_momentum_the_running_statistics_are_the_mean_of_all_batches():
    ghost, _ = pair(2)
    ghost.momentum = None
    batches = torch.randn(3, 4, 3, 5, 5)
    for batch in batches:
        ghost(batch)
    torch.testing.assert_close(ghost.running_mean, batches.mean((0, 1, 3, 4)))


@pytest.mark.parametrize("num_images", [8, 9])
def test_a_part_as_large_as_the_batch_is_batch_norm_to_the_bit(num_images):
    ghost, whole = pair(num_images)
    x = torch.randn(8, 3, 4, 4)
    assert torch.equal(ghost(x), whole(x))
    assert torch.equal(ghost.running_var, whole.running_var)


def test_the_gradient_is_that_of_the_parts():
    ghost, whole = pair(2)
    x = torch.randn(6, 3, 4, 4, requires_grad=True)
    push = torch.randn(6, 3, 4, 4)
    (one,) = torch.autograd.grad((ghost(x) * push).sum(), x)
    (other,) = torch.autograd.grad((torch.cat([whole(p) for p in x.split(2)]) * push).sum(), x)
    torch.testing.assert_close(one, other)


def test_a_recipe_builds_what_it_says():
    digits = data.load("digits")
    recipe = Recipe(data="digits", norm="batch", ghost_batch=4, bn_momentum=0.3)
    layers = [m for m in build(recipe, digits).modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(type(m), m.num_images, m.momentum) for m in layers} == {(GhostBatchNorm2d, 4, 0.3)}
    plain = build(replace(recipe, ghost_batch=0), digits)
    layers = [m for m in plain.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(type(m), m.momentum) for m in layers} == {(nn.BatchNorm2d, 0.3)}
    assert copy.deepcopy(plain).state_dict().keys() == build(recipe, digits).state_dict().keys()
    assert not isinstance(make_norm("group", 8, 2, ghost_batch=4), nn.BatchNorm2d)


def test_the_momentum_decides_the_scores_and_nothing_of_the_training():
    recipe = Recipe(data="digits", epochs=2, batch_size=256, crop=1, precision="float32")
    slow, fast = (
        train(replace(recipe, bn_momentum=m), device="cpu", progress=False) for m in (0.05, 0.5)
    )
    assert slow.history["train_loss"] == fast.history["train_loss"]
    assert slow.history["test_loss"] != fast.history["test_loss"]


# -- folding ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pyramid", "separable", "pyramid-act-first"])
def test_batch_norms_behind_convolutions_can_be_folded_away(name):
    net = Net("batch", net=name).double()
    for _ in range(3):
        net(3 * torch.randn(8, 3, 32, 32).double() + 1)  # moves the running statistics
    x = torch.randn(4, 3, 32, 32).double()
    before = net.eval()(x)
    convolved = {"pyramid": 7, "separable": 7, "pyramid-act-first": 0}[name]
    assert fold(net) == convolved
    torch.testing.assert_close(net(x), before, rtol=1e-9, atol=1e-9)
    stay, all_of_them = (
        sum(isinstance(module, nn.BatchNorm2d) for module in some.modules())
        for some in (net, Net("batch", net=name))
    )
    assert stay == all_of_them - convolved


@pytest.mark.parametrize("norm", ["group", "layer", "instance", "none"])
def test_other_norms_cannot_be_folded(norm):
    net = Net(norm, 2, net="pyramid")
    x = torch.randn(2, 3, 32, 32)
    before = net.eval()(x)
    assert fold(net) == 0
    assert torch.equal(net(x), before)
