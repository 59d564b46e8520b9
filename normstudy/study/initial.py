"""The weights before the first step: how convolutions are drawn."""

import math

from torch import nn


def draw(net: nn.Module, init: str) -> None:
    """Draw the weights of all convolutions again, in place.

    Parameters
    ----------
    net
        Whose weights.
    init
        ``"pytorch"`` leaves what its layers drew; ``"he"`` is :func:`draw_he`;
        ``"kaiming-uniform"`` is torch's ``kaiming_uniform_`` with its own settings, a uniform draw
        of variance 2 / fan-in.
    """
    if init == "he":
        draw_he(net)
    elif init == "kaiming-uniform":
        for convolution in _convolutions(net):
            nn.init.kaiming_uniform_(convolution.weight)


def draw_he(net: nn.Module) -> None:
    """Draw the weights of convolutions so that a signal keeps its size on its way, norms or not.

    Normal, of variance g / fan-in, where g makes up for what an activation in front of the
    convolution takes: 2 for 1x1 convolutions, which read an activation, and 1 for the others.
    PyTorch's own draw has a variance of 1 / 3 over fan-in: without norms, signals fade.

    References
    ----------
    He et al., Delving Deep into Rectifiers, 2015, equations 7 and 10.
    """
    for convolution in _convolutions(net):
        gain = 2 if convolution.kernel_size == (1, 1) else 1
        std = math.sqrt(gain / convolution.weight[0].numel())
        nn.init.normal_(convolution.weight, std=std)


def _convolutions(net: nn.Module) -> list[nn.Conv2d]:
    return [module for module in net.modules() if isinstance(module, nn.Conv2d)]
