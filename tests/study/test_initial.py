"""The first weights have the size that they are said to have."""

import math

import pytest
import torch
from torch import nn

from normstudy.study.model import Net


def test_first_weights_of_he_keep_a_signal_without_norms():
    images = torch.randn(64, 3, 32, 32)
    sizes = {}
    for init in ("pytorch", "he"):
        torch.manual_seed(0)
        net = Net("none", net="pyramid", init=init)
        with torch.no_grad():
            sizes[init] = [float(part(images).std()) for part in (net[:1], net[:-4])]
    assert sizes["pytorch"][1] < sizes["pytorch"][0] / 50
    assert 0.3 < sizes["he"][1] / sizes["he"][0] < 6
    torch.manual_seed(0)
    convolutions = [m for m in Net(init="he").modules() if isinstance(m, nn.Conv2d)]
    for convolution in convolutions:
        fan_in = convolution.weight[0].numel()
        gain = 2 if convolution.kernel_size == (1, 1) else 1
        assert float(convolution.weight.detach().var()) == pytest.approx(gain / fan_in, rel=0.35)


def test_first_weights_of_kaiming_uniform_fill_their_interval():
    torch.manual_seed(0)
    for m in Net(net="study-c", init="kaiming-uniform").modules():
        if isinstance(m, nn.Conv2d):
            bound = math.sqrt(6 / m.weight[0].numel())
            assert 0.97 * bound < float(m.weight.detach().abs().max()) <= bound


def test_the_draw_of_pytorch_is_left_alone():
    drawn = []
    for init in ("pytorch", "kaiming-uniform"):
        torch.manual_seed(0)
        drawn.append(Net(init=init).conv1.weight)
    torch.manual_seed(0)
    drawn.append(nn.Conv2d(3, drawn[0].shape[0], 3, bias=False).weight)
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
