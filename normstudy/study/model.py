"""Networks from rows: what a row builds, what the ``norm`` argument puts in the places of norms.

All arms of a study build the same rows; only what stands in the places of the norms differs.
"""

import copy
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from normstudy.study import initial
from normstudy.study.batchnorm import batch_norm
from normstudy.study.dropout import Dropout as DropoutLayer
from normstudy.study.groupnorm import ChannelsLastGroupNorm
from normstudy.study.layouts import is_channels_last, keep_channels_last
from normstudy.study.networks import (
    NETWORKS,
    Act,
    AveragePool,
    Block,
    Conv,
    Dropout,
    Flatten,
    Linear,
    MaxPool,
    Norm,
    Row,
    Separable,
)
from normstudy.study.recipes import NORMS

_ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU, "hardswish": nn.Hardswish}


class ChannelShift(nn.Module):
    """What stands in the place of a norm without one: a learned shift of each channel, first 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Add the shift to (N, C, H, W); the precision stays what it was."""
        return x + self.bias.to(x.dtype)[:, None, None]


def make_norm(
    norm: str,
    channels: int,
    num_groups: int,
    *,
    size: int | None = None,
    shift: bool = False,
    ghost_batch: int = 0,
    bn_momentum: float = 0.1,
) -> nn.Module:
    """Build the norm for feature maps of shape (N, C, H, W).

    Each has one weight and one bias per channel, except ``"layer_chw"``, which has one of each per
    value. Layer norm is ``GroupNorm(1, C)``, whose statistics run over C, H and W of one image;
    instance norm is ``GroupNorm(C, C)``.

    Parameters
    ----------
    norm
        ``"batch"``, ``"group"``, ``"layer"``, ``"layer_chw"``, ``"instance"`` or ``"none"``.
    channels
        C, the channels of the feature map.
    num_groups
        Groups of channels that share statistics; read for ``"group"`` only.
    size
        H and W of the feature map, in pixels; read for ``"layer_chw"`` only.
    shift
        Whether the place without a norm holds a learned shift; read for ``"none"`` only.
    ghost_batch, bn_momentum
        As in :class:`normstudy.study.recipes.Recipe`; read for ``"batch"`` only.

    Raises
    ------
    ValueError
        If the norm is unknown, the groups do not divide the channels, or ``"layer_chw"`` gets no
        size.
    """
    if norm == "batch":
        return batch_norm(channels, ghost_batch, bn_momentum)
    if norm == "group":
        if num_groups < 1 or channels % num_groups:
            divisors = [g for g in range(1, channels + 1) if channels % g == 0]
            msg = (
                f"num_groups={num_groups} does not divide {channels} channels; "
                f"accepted: {', '.join(map(str, divisors))}"
            )
            raise ValueError(msg)
        return ChannelsLastGroupNorm(num_groups, channels)
    if norm == "instance":
        return ChannelsLastGroupNorm(channels, channels)
    if norm == "layer":
        return ChannelsLastGroupNorm(1, channels)
    if norm == "layer_chw":
        if size is None:
            msg = 'norm="layer_chw" has a weight for every pixel; give size, the side of the map'
            raise ValueError(msg)
        return nn.LayerNorm([channels, size, size])
    if norm == "none":
        return ChannelShift(channels) if shift else nn.Identity()
    msg = f"norm={norm!r} is unknown; accepted: {', '.join(NORMS)}"
    raise ValueError(msg)


class ResidualBlock(nn.Sequential):
    """What :class:`normstudy.study.networks.Block` describes: x and what its layers make of it."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        change: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        y = x + change
        if y.device.type == "cpu" and is_channels_last(y):  # an average pool's gradient is not
            keep_channels_last(y)
        return y


class Net(nn.Sequential):
    """A network of :data:`normstudy.study.networks.NETWORKS`, one layer a row.

    Images (N, C, H, W) go in, class scores (N, num_classes) come out. Layers are named by their
    kind and number from the image on: ``conv1``, ``norm1``, ... By default it is the network of the
    main study on CIFAR-10, with its groups and its initial weights; the defaults of a recipe are
    older, and name the first study's.

    Parameters
    ----------
    norm, num_groups
        As in :func:`make_norm`.
    net
        Name of the network.
    in_channels
        3 for colour, 1 for grey images.
    num_classes
        Number of classes.
    dropout
        Probability of zeroing a value in the places of dropout.
    size
        Height and width of the images, in pixels. Only networks that end on maps of 1x1 and
        ``norm="layer_chw"`` are bound to it.
    init
        How the first weights are drawn, as in :func:`normstudy.study.initial.draw`.
    channels_per_group
        Channels of a group in every place; with 0, ``num_groups`` says how many groups there are.
    ghost_batch, bn_momentum
        As in :func:`make_norm`.

    Raises
    ------
    ValueError
        If the network is unknown, has no form for these images or does not fit their size, the
        norm is unknown, or the groups do not divide the channels.

    Examples
    --------
    >>> import torch
    >>> Net("group")(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    rows: tuple[Row, ...]

    def __init__(
        self,
        norm: str = "batch",
        num_groups: int = 8,
        *,
        net: str = "pyramid",
        in_channels: int = 3,
        num_classes: int = 10,
        dropout: float = 0.0,
        size: int = 32,
        init: str = "he",
        channels_per_group: int = 0,
        ghost_batch: int = 0,
        bn_momentum: float = 0.1,
    ) -> None:
        rows = _rows_of(net, in_channels)
        of_batch_norm = {"ghost_batch": ghost_batch, "bn_momentum": bn_momentum}
        builder = _Builder(
            *(norm, num_groups, channels_per_group, num_classes, dropout, in_channels, size),
            of_batch_norm,
        )
        layers, counts = [], Counter[str]()
        for row in rows:
            kind = type(row).__name__.lower()
            counts[kind] += 1
            layers.append((f"{kind}{counts[kind]}", builder.layer(row)))
            flat = isinstance(row, Flatten)
            if builder.size < 1 or (flat and builder.size != 1):
                msg = (
                    f"net={net!r} does not fit images of {size}x{size} pixels: at its {row} the "
                    f"maps have a side of {builder.size}, not of 1{'' if flat else ' or more'}; "
                    "take another network or data set"
                )
                raise ValueError(msg)
        super().__init__(OrderedDict(layers))
        self.rows = rows
        initial.draw(self, init)

    def __getitem__(self, index: slice | int) -> nn.Module:  # type: ignore[override]
        """Select a layer, or with a slice some layers, in an ``nn.Sequential``."""
        if isinstance(index, slice):
            return nn.Sequential(OrderedDict(list(self.named_children())[index]))
        layer: nn.Module = super().__getitem__(index)
        return layer

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


def _rows_of(net: str, in_channels: int) -> tuple[Row, ...]:
    if net not in NETWORKS:
        msg = f"net={net!r} is unknown; accepted: {', '.join(NETWORKS)}"
        raise ValueError(msg)
    forms = NETWORKS[net]
    if in_channels not in forms:
        accepted = " or ".join(f"{n} ({'grey' if n == 1 else 'colour'})" for n in sorted(forms))
        msg = f"in_channels={in_channels} is not supported by net={net!r}; accepted: {accepted}"
        raise ValueError(msg)
    return forms[in_channels]


@dataclass(slots=True)
class _Builder:
    """Builds one layer after the other, and remembers what shape of maps it has come to."""

    norm: str
    num_groups: int
    channels_per_group: int
    num_classes: int
    dropout: float
    channels: int
    size: int
    of_batch_norm: dict[str, Any]

    def place(self, *, shift: bool) -> nn.Module:
        """Build what stands in the place of a norm."""
        groups, each = self.num_groups, self.channels_per_group
        if each and self.norm == "group":
            if self.channels % each:
                msg = f"channels_per_group={each} does not divide {self.channels} channels"
                raise ValueError(f"{msg}; accepted: a divisor of the channels of every place")
            groups = self.channels // each
        more = {"size": self.size, "shift": shift} | self.of_batch_norm
        return make_norm(self.norm, self.channels, groups, **more)

    def separable(
        self, row: Block | Separable, width: int, *, pool: bool = False, padding: int = 1
    ) -> dict[str, nn.Module]:
        """Build the layers of a separable convolution to ``width`` channels, by their names."""
        depthwise = nn.Conv2d(
            *(self.channels, self.channels, 3), padding=padding, groups=self.channels, bias=False
        )
        self.size += 2 * padding - 2
        # where nothing is left of the maps, Net refuses the images
        norm = self.place(shift=row.shift) if self.size > 0 else nn.Identity()
        treated = {"norm": norm, "act": _ACTIVATIONS[row.act]()}
        if row.act_first:
            treated = dict(reversed(treated.items()))
        pooled: dict[str, nn.Module] = {"pool": nn.MaxPool2d(2)} if pool else {}
        pointwise = nn.Conv2d(self.channels, width, 1, bias=False)
        return {"depthwise": depthwise, **treated, **pooled, "pointwise": pointwise}

    def layer(self, row: Row) -> nn.Module:  # noqa: C901, PLR0911 - one case for each kind of row
        """Build what a row describes.

        Raises
        ------
        TypeError
            If the builder does not know this kind of row.
        """
        match row:
            case Conv(width, kernel, padding):
                conv = nn.Conv2d(self.channels, width, kernel, padding=padding, bias=False)
                self.channels, self.size = width, self.size + 2 * padding - kernel + 1
                return conv
            case Block():
                layers = self.separable(row, self.channels)
                return ResidualBlock(OrderedDict(layers))
            case Separable(width, _, pool, padding=padding):
                layers = self.separable(row, width, pool=pool, padding=padding)
                self.channels, self.size = width, self.size // (2 if pool else 1)
                return nn.Sequential(OrderedDict(layers))
            case Norm(shift):
                return self.place(shift=shift)
            case Act(name):
                return _ACTIVATIONS[name]()
            case Dropout(maps):
                return nn.Dropout2d(self.dropout) if maps else DropoutLayer(self.dropout)
            case MaxPool(side):
                self.size //= side
                return nn.MaxPool2d(side)
            case AveragePool(0):
                self.size = 1
                return nn.AdaptiveAvgPool2d(1)
            case AveragePool(side):
                self.size //= side
                return nn.AvgPool2d(side)
            case Flatten():
                return nn.Flatten()
            case Linear():
                return nn.Linear(self.channels, self.num_classes)
        # mypy sees that no kind of Row comes here, and complains when one does
        msg = f"no layer is known for the row {row!r}; teach normstudy.study.model to build it"  # type: ignore[unreachable]
        raise TypeError(msg)


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One line of the layer table.

    ``row`` is what the network's plan says, ``kind`` the class that was built; ``output_size`` is
    (C, H, W), or the number of features where maps are flat; ``receptive_field`` is the side, in
    pixels of the image, of the square that one value of the output can see through convolutions and
    pools. (Group, layer and instance norm add the whole image to it in a weak form: their
    statistics.)
    """

    name: str
    row: Row
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
    table, field, jump = [], 1, 1
    net = copy.deepcopy(net).eval()  # its layers keep their modes
    with torch.no_grad():
        for row, (name, layer) in zip(net.rows, net.named_children(), strict=True):
            x = layer(x)
            for part in layer.modules():
                if isinstance(part, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
                    field += (_side(part.kernel_size) - 1) * jump
                    jump *= _side(part.stride)
            if isinstance(layer, nn.AdaptiveAvgPool2d):
                field, jump = max(field, size), size
            parameters = sum(p.numel() for p in layer.parameters())
            kind = type(layer).__name__
            table.append(LayerRow(name, row, kind, tuple(x.shape[1:]), parameters, field))
    return table


def _side(size: int | tuple[int, ...]) -> int:
    """Kernel and stride are an int or a pair of equal ints."""
    return size[0] if isinstance(size, tuple) else size
