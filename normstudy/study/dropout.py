"""Dropout of maps on the CPU: exact, with one random number for each value that is dropped.

PyTorch draws one for each value of the maps. Where convolutions have few channels, that is a good
part of the time that a step takes.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Dropout(nn.Dropout):
    """PyTorch's dropout, which draws the gaps between the values that it drops.

    In training, each value becomes 0 with probability p and is divided by 1 - p otherwise,
    independently of all others. The numbers are drawn from PyTorch's own generator, in the order in
    which the values lie in memory. Features (N, C), which are few, and other devices go to PyTorch.
    The gradients have no gradients of their own (no double backward).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Drop values of maps (N, C, H, W); their memory format stays what it was."""
        drops = self.training and 0 < self.p < 1
        if not drops or x.dim() != 4 or x.device.type != "cpu":
            return super().forward(x)
        y: Tensor = _Drop.apply(x, draw(x.numel(), self.p), 1 / (1 - self.p))
        return y


def draw(num: int, p: float) -> Tensor:
    """Draw which of some values are dropped, each with the same probability.

    The gap from one to the next is a geometric number. About ``num * p`` of them are drawn, and
    more only where they do not reach the end.

    Parameters
    ----------
    num
        How many values there are.
    p
        Probability of each, in (0, 1).

    Returns
    -------
    Tensor
        Places of the dropped values, rising, from 0 to ``num - 1``; int64.

    References
    ----------
    V. Batagelj & U. Brandes, Efficient generation of large random networks, 2005, algorithm 1.

    Examples
    --------
    >>> places = draw(1_000_000, 0.05)
    >>> abs(len(places) - 50_000) < 2_000
    True
    """
    expected = num * p
    count = math.ceil(expected + 6 * math.sqrt(expected)) + 1  # six standard deviations more
    parts, last = [], -1
    while last < num - 1:
        gaps = torch.empty(count, dtype=torch.int64).geometric_(p)
        parts.append(gaps.cumsum_(0).add_(last))
        last = int(gaps[-1])
    places = torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)
    return places[: int(torch.searchsorted(places, num))]


class _Drop(torch.autograd.Function):
    """y = scale x but for the dropped places, counted in the order of memory; dx likewise."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor, scale: float) -> Tensor:
        """Scale and drop."""
        y = _clear(x * scale, places)
        ctx.save_for_backward(places)
        ctx.scale, ctx.stride = scale, y.stride()
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """Scale the gradient and drop the same places, in the same order of memory."""
        (places,) = ctx.saved_tensors
        dx = grad.new_empty_strided(grad.shape, ctx.stride)
        return _clear(torch.mul(grad, ctx.scale, out=dx), places), None, None


def _clear(dense: Tensor, places: Tensor) -> Tensor:
    """Put 0 where the places say, in a tensor without gaps in memory."""
    dense.as_strided((dense.numel(),), (1,)).index_fill_(0, places, 0)
    return dense
