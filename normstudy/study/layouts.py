"""Channels-last maps whose gradients are channels-last too, which autograd does not promise.

Where maps lie one way in memory and their gradient another, kernels go slowly through both or, as a
max pool does, copy the whole gradient there and back.

``memory_format=torch.channels_last`` would say the same, but not under ``torch.func.vmap``.
"""

from torch import Tensor


def is_channels_last(maps: Tensor) -> bool:
    """Whether maps (N, C, H, W) are channels-last, and not contiguous too, as maps of 1x1 are."""
    return maps.dim() == 4 and not maps.is_contiguous() and _rows(maps).is_contiguous()


def to_channels_last(maps: Tensor) -> Tensor:
    """Copy maps (N, C, H, W) into the channels-last layout; those that are in it stay."""
    return _rows(maps).contiguous().permute(0, 3, 1, 2)


def to_contiguous(maps: Tensor) -> Tensor:
    """Copy channels-last maps into PyTorch's default layout, and their gradient back out of it."""
    copied = maps.contiguous()
    if copied is not maps:
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


def _rows(maps: Tensor) -> Tensor:
    """View maps (N, C, H, W) as pixels (N, H, W, C)."""
    return maps.permute(0, 2, 3, 1)
