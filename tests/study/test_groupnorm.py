"""Group norm of channels-last maps is group norm, in every precision, layout and grouping."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from normstudy.study import groupnorm
from normstudy.study.groupnorm import ChannelsLastGroupNorm
from normstudy.study.layouts import is_channels_last

LAST = torch.channels_last
SHAPES = [(3, 24, 4, 4), (2, 32, 8, 8), (1, 96, 5, 3), (5, 48, 1, 7), (70, 64, 16, 16)]
GROUPS = [1, 2, 8, 12, 24, 32, 48, 64, 96]
CASES = [(shape, g) for shape in SHAPES for g in GROUPS if shape[1] % g == 0]
DTYPES = [torch.float64, torch.float32, torch.bfloat16]


@pytest.fixture(autouse=True, params=[0, 100], ids=["by sums", "by copies"])
def both_ways(request, monkeypatch):
    """Hold for maps of many images and of few, whatever number makes many."""
    monkeypatch.setattr(groupnorm, "_FEW", request.param)


def build(groups, channels, dtype=torch.float32):
    torch.manual_seed(1)
    norm = ChannelsLastGroupNorm(groups, channels)
    nn.init.normal_(norm.weight, 1)
    nn.init.normal_(norm.bias)
    return norm.double() if dtype == torch.float64 else norm


def maps(shape, dtype=torch.float32, mean=0.5):
    torch.manual_seed(int(10 * mean))
    return (torch.randn(shape) * 2 + mean).to(dtype, memory_format=LAST)


def run(norm, x, grad):
    x = x.detach().requires_grad_()
    y = norm(x)
    return y, *torch.autograd.grad(y, [x, *norm.parameters()], grad)


def exact(norm, x, grad):
    """Return what PyTorch computes on contiguous maps in float64."""
    other = nn.GroupNorm(norm.num_groups, norm.num_channels, norm.eps).double()
    other.load_state_dict(norm.state_dict())
    return run(other, x.detach().double().contiguous(), grad.double().contiguous())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "groups"), CASES)
def test_values_and_gradients_are_those_of_group_norm_in_float64(shape, groups, dtype):
    norm = build(groups, shape[1], dtype)
    x, grad = maps(shape, dtype), maps(shape, dtype, 0.1)
    found = run(norm, x, grad)
    assert found[0].dtype == found[1].dtype == dtype
    assert all(is_channels_last(of_maps) for of_maps in found[:2])
    rounding = torch.finfo(dtype).eps
    # y and dx are rounded to the maps' own precision, the other two to that of the parameters
    for value, truth, factor in zip(found, exact(norm, x, grad), (1, 4, 0, 0), strict=True):
        tolerance = rounding * factor + (1e-12 if dtype == torch.float64 else 3e-6)
        assert (value.double() - truth).abs().max() <= tolerance * truth.abs().max()


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_gradients_are_those_of_finite_differences(groups):
    norm, x = build(groups, 6, torch.float64), maps((2, 6, 3, 2), torch.float64).requires_grad_()

    def of_all(x, weight, bias):
        parameters = {"weight": weight, "bias": bias}
        return torch.func.functional_call(norm, parameters, (x,))

    assert torch.autograd.gradcheck(of_all, (x, norm.weight, norm.bias))


@pytest.mark.parametrize("groups", [1, 2, 4, 16, 64])
def test_a_large_mean_costs_no_more_digits_than_on_contiguous_maps(groups):
    x = (torch.randn(8, 64, 8, 8) + 1e4).contiguous(memory_format=LAST)
    grad, norm = maps(x.shape), build(groups, 64)
    theirs = nn.GroupNorm(groups, 64)
    theirs.load_state_dict(norm.state_dict())
    contiguous = run(theirs, x.contiguous(), grad.contiguous())
    for mine, other, truth in zip(
        run(norm, x, grad), contiguous, exact(norm, x, grad), strict=True
    ):
        error, limit = ((v.double() - truth).square().mean().sqrt() for v in (mine, other))
        assert error <= 1.5 * limit + 1e-6


@pytest.mark.parametrize("groups", [1, 2, 16, 32])
def test_the_layout_of_maps_and_gradients_changes_nothing_but_rounding(groups):
    norm, shape = build(groups, 32), (4, 32, 8, 8)
    x, grad = maps(shape), maps(shape, mean=0.1)
    found = run(norm, x, grad)
    for other_x, other_grad in [
        (x.contiguous(), grad),
        (x, grad.contiguous()),
        (torch.cat([x, x], 3)[..., :8], grad),
    ]:
        torch.testing.assert_close(run(norm, other_x, other_grad), found, rtol=1e-4, atol=1e-4)
    spread = grad[:, :, :1, :1].expand_as(grad)  # what an average pool hands back
    dense = run(norm, x, spread.contiguous(memory_format=LAST))
    torch.testing.assert_close(run(norm, x, spread), dense, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 5), (2, 6, 3, 3, 3), (4, 6, 1, 1), (2, 6, 4, 4)])
def test_other_inputs_go_to_pytorch(shape):
    x, norm = torch.randn(shape), build(3, 6)
    assert torch.equal(norm(x), F.group_norm(x, 3, norm.weight, norm.bias))


def test_maps_that_are_used_again_gather_no_hooks():
    x, norm = maps((2, 6, 4, 4)).requires_grad_(), build(3, 6)
    norm(x)
    assert not x._backward_hooks


def test_parts_that_need_no_gradient_get_none():
    x, norm = maps((2, 6, 4, 4)).requires_grad_(), build(3, 6).requires_grad_(False)
    norm(x).sum().backward()
    assert x.grad is not None
    assert norm.weight.grad is None
    with torch.inference_mode():
        torch.testing.assert_close(norm(x), F.group_norm(x, 3, norm.weight, norm.bias))


def test_autocast_and_copies_keep_what_they_find():
    x, norm = maps((2, 6, 4, 4)), build(3, 6)
    twin = copy.deepcopy(norm)
    assert torch.equal(twin(x), norm(x))
    with torch.autocast("cpu", torch.bfloat16):
        assert norm(x.bfloat16()).dtype == torch.bfloat16
        assert norm(x).dtype == torch.float32
    assert nn.GroupNorm(3, 6).load_state_dict(norm.state_dict())


def test_the_same_maps_give_the_same_bits():
    x, grad, norm = maps((70, 64, 16, 16)), maps((70, 64, 16, 16), mean=0.1), build(8, 64)
    for one, other in zip(run(norm, x, grad), run(norm, x, grad), strict=True):
        assert torch.equal(one, other)


def test_the_wrong_number_of_channels_is_refused():
    with pytest.raises(RuntimeError, match="number of channels in input"):
        build(3, 6)(maps((2, 8, 4, 4)))
