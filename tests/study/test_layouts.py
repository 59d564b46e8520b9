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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("norm", [norm for norm in NORMS if norm != "layer_chw"])
def test_no_layer_of_the_main_network_gets_a_gradient_in_another_layout(norm, dtype):
    net = Net(norm).to(memory_format=LAST)
    found = {}

    def listen(name):
        def see(module, given, maps):
            if layouts.is_channels_last(maps):
                maps.register_hook(lambda g: found.update({name: layouts.is_channels_last(g)}))

        return see

    for name, layer in net.named_modules():
        if name and not isinstance(layer, nn.Sequential):
            layer.register_forward_hook(listen(name))
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        net(torch.randn(SHAPE).contiguous(memory_format=LAST)).sum().backward()
    # the average pool's own gradient has no pixels to lie by, up to the block before
    assert [name for name, same in found.items() if not same] == ["act2"]
    assert len(found) > 30


def test_a_block_changes_no_gradient_but_its_layout():
    torch.manual_seed(0)
    maps = torch.randn(2, 4, 3, 3, dtype=torch.float64).contiguous(memory_format=LAST)
    block = ResidualBlock(nn.Conv2d(4, 4, 3, padding=1)).double()
    grad = torch.randn(2, 4, 1, 1, dtype=torch.float64).expand(2, 4, 3, 3)
    x = maps.requires_grad_()
    (found,) = torch.autograd.grad(block(x), x, grad)
    (expected,) = torch.autograd.grad(x + block[0](x), x, grad)
    torch.testing.assert_close(found, expected)
    assert torch.autograd.gradcheck(block, (x,))
