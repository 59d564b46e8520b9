"""The one network of the study: its ``norm`` argument, and its layer table.

Every version has the same layers and the same number of parameters; only what stands in the places
of the norms differs, and ``norm="none"`` leaves those places empty.
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

NORMS = ("batch", "group", "layer", "instance", "none")
STAGES = {1: ((32, 2), (48, 1)), 3: ((64, 3), (96, 2))}
"""Image channels: (width, separable blocks) of each stage; the stem has half the first width."""


class ContiguousGroupNorm(nn.GroupNorm):
    """Group norm that computes on contiguous maps, and returns channels-last ones.

    When a group has few channels, PyTorch's CPU kernel for channels-last maps takes several times
    longer than this, moving the maps there and back included. With one group, as in layer norm,
    it is the faster one.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (N, C, H, W); the precision stays what it was."""
        y = super().forward(x.contiguous()).to(x.dtype)  # on a GPU autocast returns float32
        return y.contiguous(memory_format=torch.channels_last)


def make_norm(norm: str, channels: int, num_groups: int) -> nn.Module:
    """Build the norm for feature maps of shape (N, C, H, W).

    Each has one weight and one bias per channel. Layer norm is ``GroupNorm(1, C)``, whose
    statistics run over C, H and W of one image; instance norm is ``GroupNorm(C, C)``.

    Parameters
    ----------
    norm
        ``"batch"``, ``"group"``, ``"layer"``, ``"instance"`` or ``"none"``.
    channels
        C, the channels of the feature map.
    num_groups
        Groups of channels that share statistics; read for ``"group"`` only.

    Raises
    ------
    ValueError
        If the norm is unknown or the groups do not divide the channels.
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "group":
        if num_groups < 1 or channels % num_groups:
            divisors = [g for g in range(1, channels + 1) if channels % g == 0]
            msg = (
                f"num_groups={num_groups} does not divide {channels} channels; "
                f"accepted: {', '.join(map(str, divisors))}"
            )
            raise ValueError(msg)
        return ContiguousGroupNorm(num_groups, channels)
    if norm == "instance":
        return ContiguousGroupNorm(channels, channels)
    if norm == "layer":
        return nn.GroupNorm(1, channels)
    if norm == "none":
        return nn.Identity()
    msg = f"norm={norm!r} is unknown; accepted: {', '.join(NORMS)}"
    raise ValueError(msg)


class SeparableBlock(nn.Module):
    """Residual block ``x + pointwise(silu(norm(depthwise(x))))``; it keeps the shape (N, C, H, W).

    A 3x3 convolution of each channel alone, then a 1x1 convolution across channels: 9 C + C^2
    weights instead of 9 C^2.

    References
    ----------
    Howard et al., MobileNets, 2017, section 3.1; He et al., Identity Mappings in Deep Residual
    Networks, 2016, equation 1 with an identity path; Elfwing et al., Sigmoid-Weighted Linear Units,
    2017, equation 5.
    """

    def __init__(self, channels: int, norm: nn.Module) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = norm
        self.act = nn.SiLU()
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        change: Tensor = self.pointwise(self.act(self.norm(self.depthwise(x))))
        return x + change


class Net(nn.Sequential):
    """Stem, two stages of separable blocks, average pool, dropout, classifier.

    Images (N, C, H, W) go in, class scores (N, num_classes) come out. Each stage begins with a 1x1
    transition to its width. Colour images get fewer than 50,000 parameters, grey ones fewer than
    10,000.

    With ``norm="instance"`` all images get the same scores: the last norm stands before the average
    pool, and the mean of an instance-normalized map is its bias, whatever the image. It can be
    built, counted and timed, and it cannot learn.

    Parameters
    ----------
    norm, num_groups
        As in :func:`make_norm`.
    in_channels
        3 for colour, 1 for grey images.
    num_classes
        Number of classes.
    dropout
        Probability of zeroing a feature before the classifier.

    Raises
    ------
    ValueError
        If the norm is unknown, the groups do not divide the channels, or ``in_channels`` is neither
        1 nor 3.

    Examples
    --------
    >>> import torch
    >>> Net("group", num_groups=8)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        norm: str = "batch",
        num_groups: int = 16,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
        dropout: float = 0.0,
    ) -> None:
        if in_channels not in STAGES:
            msg = f"in_channels={in_channels} is not supported; accepted: 1 (grey) or 3 (colour)"
            raise ValueError(msg)
        stages = STAGES[in_channels]
        width = stages[0][0] // 2
        stem = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        layers: list[tuple[str, nn.Module]] = [
            ("stem", stem),
            ("pool1", nn.MaxPool2d(2)),
            ("stem_norm", make_norm(norm, width, num_groups)),
            ("stem_act", nn.SiLU()),
        ]
        for stage, (channels, blocks) in enumerate(stages, 1):
            if stage > 1:
                layers.append((f"pool{stage}", nn.MaxPool2d(2)))
            layers += [
                (f"transition{stage}", nn.Conv2d(width, channels, 1, bias=False)),
                (f"transition{stage}_norm", make_norm(norm, channels, num_groups)),
                (f"transition{stage}_act", nn.SiLU()),
            ]
            width = channels
            for block in range(1, blocks + 1):
                place = make_norm(norm, width, num_groups)
                layers.append((f"block{stage}_{block}", SeparableBlock(width, place)))
        layers += [
            ("norm", make_norm(norm, width, num_groups)),
            ("average", nn.AdaptiveAvgPool2d(1)),
            ("flatten", nn.Flatten()),
            ("dropout", nn.Dropout(dropout)),
            ("classifier", nn.Linear(width, num_classes)),
        ]
        super().__init__(OrderedDict(layers))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to class scores (N, num_classes).

        Raises
        ------
        ValueError
            If batch norm gets one value per channel in training: one image with maps of 1x1.
        """
        try:
            scores: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            msg = (  # torch's own message names neither norm nor remedy
                f"images of shape {tuple(x.shape)} leave one value per channel, of which batch "
                "norm can take no variance in training; give at least two images, or call "
                'net.eval(), or use norm="group" or norm="layer"'
            )
            raise ValueError(msg) from error
        return scores


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One line of the layer table.

    ``output_size`` is (C, H, W); ``receptive_field`` is the side, in pixels of the image, of the
    square that one value of the output can see through convolutions and pools. (Group, layer and
    instance norm add the whole image to it in a weak form: their statistics.)
    """

    name: str
    kind: str
    output_size: tuple[int, ...]
    parameters: int
    receptive_field: int


def layer_table(net: Net, size: int = 32) -> list[LayerRow]:
    """List the layers of a network with output size, parameters and receptive field.

    The receptive field grows by (k - 1) j at a layer of kernel k, where j, the distance in image
    pixels between neighbouring values, is the product of the strides so far.

    Parameters
    ----------
    net
        The network.
    size
        Height and width of its images, in pixels.

    References
    ----------
    Araujo et al., Computing Receptive Fields of Convolutional Neural Networks, 2019, equation 2,
    https://doi.org/10.23915/distill.00021
    """
    device = next(net.parameters()).device
    in_channels = next(m for m in net.modules() if isinstance(m, nn.Conv2d)).in_channels
    x = torch.zeros(1, in_channels, size, size, device=device)
    rows, field, jump, was_training = [], 1, 1, net.training
    net.eval()
    with torch.no_grad():
        for name, layer in net.named_children():
            x = layer(x)
            for part in layer.modules():
                if isinstance(part, nn.Conv2d | nn.MaxPool2d):
                    field += (_side(part.kernel_size) - 1) * jump
                    jump *= _side(part.stride)
            if isinstance(layer, nn.AdaptiveAvgPool2d):
                field, jump = max(field, size), size
            parameters = sum(p.numel() for p in layer.parameters())
            kind = type(layer).__name__
            rows.append(LayerRow(name, kind, tuple(x.shape[1:]), parameters, field))
    net.train(was_training)
    return rows


def _side(size: int | tuple[int, ...]) -> int:
    """Kernel and stride are an int or a pair of equal ints."""
    return size[0] if isinstance(size, tuple) else size
