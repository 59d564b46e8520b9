"""Class scores of whole splits, and what they are worth: loss and accuracy."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from normstudy.study.data import ImageSet, Split

_BATCH = 250  # 1,000 at a time take twice as long: their maps leave the caches
_BATCH_ON_GPU = 2_500  # whose time is that of many small kernels, not of its memory


def evaluate(net: nn.Module, image_set: ImageSet, split: Split, precision: str) -> Tensor:
    """Class scores of all images of a split in evaluation mode: float32, shape (N, classes)."""
    size = _BATCH_ON_GPU if split.images.is_cuda else _BATCH
    return scores_of(net.eval(), image_set, split, precision, batch_size=size)


def scores_of(
    net: nn.Module, image_set: ImageSet, split: Split, precision: str, *, batch_size: int
) -> Tensor:
    """Class scores of all images of a split, in whichever mode the layers are.

    Parameters
    ----------
    net
        The network.
    image_set
        Holds the normalization constants.
    split
        Its images are taken in their order.
    precision
        ``"bfloat16"`` or ``"float32"``.
    batch_size
        Images at a time; it decides the scores where a layer takes statistics from the batch.

    Returns
    -------
    Tensor
        Shape (N, classes), float32.
    """
    with torch.inference_mode(), in_precision(split.images.device, precision):
        parts = split.images.split(batch_size)
        return torch.cat([net(image_set.normalize(images)) for images in parts]).float()


def loss_and_accuracy(scores: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean cross-entropy in nats and fraction of hits, each a sum over all images divided once."""
    loss = F.cross_entropy(scores, labels, reduction="sum").item() / len(labels)
    return loss, int((scores.argmax(1) == labels).sum()) / len(labels)


def in_precision(device: torch.device, precision: str) -> torch.autocast:
    """Let convolutions and norms compute in bfloat16, or change nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
