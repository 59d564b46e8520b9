"""What batch norm alone can be: normalized over parts of a batch, or folded into convolutions."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


class GhostBatchNorm2d(nn.BatchNorm2d):
    """Batch norm that normalizes every ``num_images`` images of a batch by themselves in training.

    The gradient is that of the whole batch. In evaluation it is ordinary batch norm. The last part
    of a batch may be smaller; a part as large as the batch is ordinary batch norm to the bit.

    The running statistics move once a batch, towards the mean over its parts, weighted by their
    images. Hoffer et al. move them once for each part, which forgets a batch of many parts before
    it ends; here they look back over as many images as those of ordinary batch norm.

    Parameters
    ----------
    num_features
        C, the channels.
    num_images
        Images that share statistics, in the order in which they stand in the batch.
    momentum
        Weight of the newest batch in the running statistics.

    References
    ----------
    Hoffer et al., Train longer, generalize better, 2017, algorithm 1,
    https://arxiv.org/abs/1705.08741
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_features: int, num_images: int, *, momentum: float = 0.1) -> None:
        super().__init__(num_features, momentum=momentum)
        self.num_images = num_images

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (N, C, H, W)."""
        if not self.training or len(x) <= self.num_images:
            return super().forward(x)
        parts, parts_out = x.split(self.num_images), []
        mean, var = torch.zeros_like(self.running_mean), torch.zeros_like(self.running_var)
        for part in parts:
            of_part = torch.zeros_like(mean), torch.zeros_like(var)
            # torch leaves the statistics of this part in its running ones, at a momentum of 1
            out = F.batch_norm(part, *of_part, self.weight, self.bias, True, 1.0, self.eps)
            parts_out.append(out)
            share = len(part) / len(x)
            mean += share * of_part[0]
            var += share * of_part[1]
        self.num_batches_tracked.add_(1)
        # without a momentum, torch's batch norm takes the mean of all batches so far
        newest = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, newest)
        self.running_var.lerp_(var, newest)
        return torch.cat(parts_out)


def batch_norm(num_features: int, num_images: int, momentum: float) -> nn.BatchNorm2d:
    """Build batch norm over ``num_images`` images of a batch, or with 0 over all of them."""
    if num_images:
        return GhostBatchNorm2d(num_features, num_images, momentum=momentum)
    return nn.BatchNorm2d(num_features, momentum=momentum)


def fold(net: nn.Module) -> int:
    """Fold batch norms into the convolutions that feed them, in place; count them.

    In evaluation mode batch norm is one factor and one shift for each channel, which the weights of
    the convolution in front of it can take over: the same scores, but for rounding, with one layer
    less. Other norms take their statistics from the image and cannot be folded. A norm that gets
    its maps from anything but a convolution stays.

    References
    ----------
    B. Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-
    Only Inference, 2018, section 3.2, equation 14.
    """
    net.eval()
    folded = 0
    for parent in list(net.modules()):
        if not isinstance(parent, nn.Sequential):
            continue
        for (name, layer), (behind, norm) in pairwise(list(parent.named_children())):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(layer, norm))
                setattr(parent, behind, nn.Identity())
                folded += 1
    return folded
