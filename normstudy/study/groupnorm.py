"""Group norm of channels-last maps on the CPU: exact, and as fast with many groups as with few.

PyTorch's kernel for channels-last maps is slow where a group has few channels. And its errors are
those of a variance taken for the mean of squares less the square of the mean: in float32 all digits
are lost when the mean is some thousand standard deviations. This one takes sums over each channel
of each image, combines them into groups, and squares nothing before its mean is gone.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from normstudy.study.layouts import is_channels_last, to_channels_last, to_contiguous

_CHUNK = 1 << 19  # values at a time: 2 MiB of float32, which stay in the cache between passes
_FEW = 8  # images whose copies take less time than the calls of many small steps


class ChannelsLastGroupNorm(nn.GroupNorm):
    """Group norm whose float32 and float64 maps may be channels-last at no loss.

    Contiguous maps, other numbers of axes and other devices go to PyTorch's own kernel. So do maps
    of eight images or fewer, by way of contiguous maps; and maps of 16 bits, in their own layout
    with one group, where that kernel is fast, and otherwise by the same way. Precision and memory
    format stay what they were, also those of the gradient. The gradients of more images than eight
    have no gradients of their own (no double backward).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (N, C, ...)."""
        if not is_channels_last(x) or x.device.type != "cpu" or x.shape[1] != self.num_channels:
            return super().forward(x).to(x.dtype)  # on a GPU autocast returns float32
        exact = x.element_size() > 2 and x.dtype == self.weight.dtype
        if exact and len(x) > _FEW:
            y: Tensor = _BySums.apply(x, self.weight, self.bias, self.num_groups, self.eps)
            return y
        y = super().forward(x if self.num_groups == 1 and not exact else to_contiguous(x))
        return to_channels_last(y)


class _BySums(torch.autograd.Function):
    """Group norm from sums over each channel of each image.

    With xhat = (x - mean) r, r = 1 / sqrt(var + eps) and g the gradient of y, the norm is

        y = weight xhat + bias,
        dx = r (weight g - M(weight g) - xhat M(weight g xhat)),

    where M is the mean over a group of one image; so y and dx are sums of maps times one factor per
    image and channel. The maps are rows of pixels here, (N, H W, C): a view of channels-last maps.

    ``mse_loss`` without a reduction is (x - mean)^2 in one pass over memory, and its backward is
    2 g (x - mean).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float
    ) -> Tensor:
        """Normalize channels-last maps (N, C, H, W)."""
        rows = _rows(x)
        num, pixels, channels = rows.shape
        size = _chunk_size(rows)
        mean, rstd = rows.new_empty(2, num, 1, channels)
        y = torch.empty_like(rows)
        space = rows.new_empty(size, pixels, channels)
        for xs, ys, m, r in zip(*(t.split(size) for t in (rows, y, mean, rstd)), strict=True):
            squares = space[: len(xs)]
            m.copy_(_group_means(xs.sum(1, keepdim=True), groups, pixels))
            torch.ops.aten.mse_loss.out(xs, m, 0, out=squares)
            var = _group_means(squares.sum(1, keepdim=True), groups, pixels)
            torch.rsqrt(var + eps, out=r)
            scale = r * weight
            torch.addcmul(torch.addcmul(bias, m, scale, value=-1), xs, scale, out=ys)
        ctx.save_for_backward(x, weight, mean, rstd)
        ctx.groups = groups
        return _maps(y, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, weight and bias."""
        x, weight, mean, rstd = ctx.saved_tensors
        rows, g = _rows(x), _rows(grad)
        pixels, size = rows.shape[1], _chunk_size(rows)
        dx = torch.empty_like(rows)
        sums, products = torch.empty_like(mean), torch.empty_like(mean)  # of g, of g xhat
        space = rows.new_empty(size, *rows.shape[1:])
        parts = (rows, g, dx, mean, rstd, sums, products)
        for xs, gs, dxs, m, r, s, p in zip(*(t.split(size) for t in parts), strict=True):
            work = space[: len(xs)]
            torch.sum(gs, 1, keepdim=True, out=s)
            torch.ops.aten.mse_loss_backward.grad_input(gs, xs, m, 0, grad_input=work)
            torch.sum(work, 1, keepdim=True, out=p)
            p.mul_(r).mul_(0.5)
            of_x = _group_means(p * weight, ctx.groups, pixels).mul_(r).mul_(r).neg_()
            of_one = _group_means(s * weight, ctx.groups, pixels).mul_(r).neg_()
            of_one.addcmul_(of_x, m, value=-1)
            torch.addcmul(of_one, xs, of_x, out=work)
            torch.addcmul(work, gs, r * weight, out=dxs)
        needs_weight, needs_bias = ctx.needs_input_grad[1:3]
        dweight = products.sum((0, 1)) if needs_weight else None
        dbias = sums.sum((0, 1)) if needs_bias else None
        return _maps(dx, x), dweight, dbias, None, None


def _rows(maps: Tensor) -> Tensor:
    """Maps (N, C, H, W) as rows of pixels (N, H W, C); no copy if they are channels-last."""
    return maps.permute(0, 2, 3, 1).flatten(1, 2)


def _maps(rows: Tensor, like: Tensor) -> Tensor:
    """Rows of pixels (N, H W, C) as channels-last maps (N, C, H, W), without a copy."""
    num, channels, height, width = like.shape
    return rows.view(num, height, width, channels).permute(0, 3, 1, 2)


def _chunk_size(rows: Tensor) -> int:
    """Images at a time."""
    return min(len(rows), max(1, _CHUNK // rows[0].numel()))


def _group_means(sums: Tensor, groups: int, pixels: int) -> Tensor:
    """From sums over pixels, (N, 1, C), the means of the groups, repeated for each channel."""
    size = sums.shape[2] // groups
    if size == 1:
        return sums / pixels
    means = sums.view(-1, groups, size).sum(2, keepdim=True) / (size * pixels)
    return means.expand(-1, -1, size).contiguous().view_as(sums)
