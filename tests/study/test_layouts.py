"""Gradients lie in memory as their maps do, in every arm of the main study."""

import pytest
import torch
from torch import nn

from normstudy.study import layouts
from normstudy.study.model import Net, ResidualBlock
from normstudy.study.recipes import NORMS

LAST = torch.channels_last
SHAPE = (16, 3, 32, 32)


@pytest.mark.parametrize(
    ("maps", "expected"),
    [
        (torch.zeros(2, 3, 4, 4).contiguous(memory_format=LAST), True),
        (torch.zeros(2, 3, 4, 4), False),
        (torch.zeros(2, 3, 1, 1), False),
        (torch.zeros(2, 1, 4, 4), False),
        (torch.zeros(2, 3, 8, 4).contiguous(memory_format=LAST)[:, :, ::2], False),
        (torch.zeros(2, 3), False),
    ],
)
def test_what_is_channels_last_and_nothing_else(maps, expected):
    assert layouts.is_channels_last(maps) == expected


def test_a_copy_hands_its_gradient_back_channels_last():
    maps = torch.randn(2, 3, 4, 4).contiguous(memory_format=LAST).requires_grad_()
    copied = layouts.to_contiguous(maps)
    assert copied.is_contiguous()
    grad = torch.randn(2, 3, 4, 4)
    (found,) = torch.autograd.grad(copied, maps, grad)
    assert layouts.is_channels_last(found)
    assert torch.equal(found, grad)
    with torch.no_grad():
        assert torch.equal(layouts.to_contiguous(maps), maps)


def test_contiguous_maps_are_left_alone_with_their_gradient():
    maps = torch.randn(2, 3, 4, 4, requires_grad=True)
    assert layouts.to_contiguous(maps) is maps
    assert not maps._backward_hooks


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("norm", [norm for norm in NORMS if norm != "layer_chw"])  # is torch's own
def test_only_the_last_activation_gets_a_gradient_in_another_layout(norm, dtype):
    net = Net(norm).to(memory_format=LAST)
    found, asked = {}, []

    def listen(name):
        def see(module, given, maps):
            if layouts.is_channels_last(maps):
                asked.append(name)
                maps.register_hook(lambda g: found.update({name: layouts.is_channels_last(g)}))

        return see

    for name, layer in net.named_modules():
        if name and not isinstance(layer, nn.Sequential):
            layer.register_forward_hook(listen(name))
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        net(torch.randn(SHAPE).contiguous(memory_format=LAST)).sum().backward()
    assert sorted(found) == sorted(asked)
    # the average pool's own gradient has no pixels to lie by, up to the block before
    assert [name for name, same in found.items() if not same] == ["act2"]


class Inside(nn.Module):
    """Doubles maps, and remembers how their gradient lies."""

    def forward(self, x):
        y = 2 * x
        y.register_hook(lambda g: setattr(self, "was_last", layouts.is_channels_last(g)))
        return y


@pytest.mark.parametrize("last", [True, False])
def test_a_block_sends_its_gradient_on_as_its_maps_lie(last):
    inside, x = Inside(), torch.randn(2, 4, 3, 3).requires_grad_()
    maps = x.contiguous(memory_format=LAST) if last else x
    grad = torch.randn(2, 4, 1, 1).expand(2, 4, 3, 3)
    given = grad.contiguous()  # as an average pool hands it back
    (found,) = torch.autograd.grad(ResidualBlock(inside)(maps), x, given)
    assert inside.was_last == last
    assert torch.equal(found, 3 * given)


def test_blocks_can_be_differentiated_for_many_gradients_at_once():
    torch.manual_seed(0)
    block = ResidualBlock(nn.Conv2d(2, 2, 3, padding=1)).double()
    maps = torch.randn(1, 2, 3, 3, dtype=torch.float64).contiguous(memory_format=LAST)
    one_by_one = torch.autograd.functional.jacobian(block, maps)
    at_once = torch.autograd.functional.jacobian(block, maps, vectorize=True)
    torch.testing.assert_close(at_once, one_by_one)
    assert torch.autograd.gradcheck(block, (maps.requires_grad_(),))
