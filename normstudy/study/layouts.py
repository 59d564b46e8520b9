"""Channels-last maps whose gradients are channels-last too, which autograd does not promise.

Where maps lie one way in memory and their gradient another, kernels go slowly through both or, as a
max pool does, copy all maps first.
"""

import torch
from torch import Tensor


def is_channels_last(maps: Tensor) -> bool:
    """Whether maps (N, C, H, W) are channels-last, and not contiguous too, as maps of 1x1 are."""
    return (
        maps.dim() == 4
        and maps.is_contiguous(memory_format=torch.channels_last)
        and not maps.is_contiguous()
    )


def to_channels_last(maps: Tensor) -> Tensor:
    """Copy maps (N, C, H, W) into the channels-last layout; those that are in it stay."""
    return maps.contiguous(memory_format=torch.channels_last)


def to_contiguous(maps: Tensor) -> Tensor:
    """Copy channels-last maps into PyTorch's default layout, and their gradient back out of it."""
    copied = maps.contiguous()
    keep_channels_last(copied)
    return copied


def keep_channels_last(maps: Tensor) -> None:
    """Have the gradient of maps go on channels-last.

    Parameters
    ----------
    maps
        What an operation returned: to a leaf of the graph, each call would add another hook.
    """
    if maps.requires_grad:
        maps.register_hook(_kept)


def _kept(gradient: Tensor | None) -> Tensor | None:
    return gradient if gradient is None else to_channels_last(gradient)
