"""The networks as rows: what stands where, before anything is built.

A network is a tuple of rows, from the image to the scores. ``NETWORKS`` names them; for each it
holds the rows for colour images, for grey ones, or for both. The module knows no torch, so that a
recipe can name a network without loading it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Activation = Literal["relu", "silu", "hardswish"]


@dataclass(frozen=True, slots=True)
class Conv:
    """Convolution to ``width`` channels, stride 1, no bias."""

    width: int
    kernel: int = 3
    padding: int = 0


@dataclass(frozen=True, slots=True)
class Separable:
    """Separable convolution to ``width`` channels: ``pointwise(pool(act(norm(depthwise(x)))))``.

    A 3x3 convolution of each channel alone, with ``padding``, then a 1x1 convolution across
    channels. With ``pool``, a 2x2 max pool stands between the two. ``shift`` is that of its norm,
    see :class:`Norm`. With ``act_first``, the norm stands after the activation:
    ``norm(act(...))``.

    References
    ----------
    Howard et al., MobileNets, 2017, section 3.1.
    """

    width: int
    act: Activation = "silu"
    pool: bool = False
    shift: bool = False
    act_first: bool = False
    padding: int = 1


@dataclass(frozen=True, slots=True)
class Block:
    """Residual block ``x + pointwise(act(norm(depthwise(x))))``; it keeps the shape (N, C, H, W).

    The change of x is a separable convolution to as many channels: 9 C + C^2 weights instead of the
    9 C^2 of a full convolution. ``shift`` is that of its norm, see :class:`Norm`. With
    ``act_first``, the norm stands after the activation.

    References
    ----------
    He et al., Identity Mappings in Deep Residual Networks, 2016, equation 1 with an identity path.
    """

    act: Activation = "silu"
    shift: bool = False
    act_first: bool = False


@dataclass(frozen=True, slots=True)
class Norm:
    """Place of a norm, whichever the recipe names.

    Without a norm the place is empty, or, with ``shift``, holds the one thing that a norm has and a
    convolution without a bias lacks: a learned shift of each channel.
    """

    shift: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """Activation: ReLU, SiLU or hardswish.

    SiLU is ``x * sigmoid(x)`` (Elfwing et al. 2017, equation 5). Hardswish is nearly the same
    without an exponential: ``x * relu6(x + 3) / 6`` (Howard et al. 2019, MobileNetV3, section 5.2).
    """

    name: Activation = "relu"


@dataclass(frozen=True, slots=True)
class Dropout:
    """Dropout at the recipe's rate, of single values or, with ``maps``, of whole channels."""

    maps: bool = False


@dataclass(frozen=True, slots=True)
class MaxPool:
    """Maximum of every square of ``size`` pixels."""

    size: int = 2


@dataclass(frozen=True, slots=True)
class AveragePool:
    """Mean of every square of ``size`` pixels, or of the whole map where ``size`` is 0."""

    size: int = 0


@dataclass(frozen=True, slots=True)
class Flatten:
    """Maps of 1x1 become features: (N, C, 1, 1) to (N, C)."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Linear layer with a bias, to one score per class."""


Row = Conv | Separable | Block | Norm | Act | Dropout | MaxPool | AveragePool | Flatten | Linear
Rows = tuple[Row, ...]


def _separable(*stages: tuple[int, int]) -> Rows:
    """Rows of the first study: a stem, stages of (width, blocks), a classifier.

    The last norm feeds the average pool with nothing between. Under group norm that ties the
    classifier's inputs together, one equation for each group, and under instance norm all of them.
    """
    silu = Act("silu")
    rows: list[Row] = [Conv(stages[0][0] // 2, padding=1), MaxPool(), Norm(), silu]
    for number, (width, blocks) in enumerate(stages):
        rows += [MaxPool()] * (number > 0)
        rows += [Conv(width, kernel=1), Norm(), silu, *[Block()] * blocks]
    return (*rows, Norm(), AveragePool(), Flatten(), Dropout(), Linear())


def _pyramid(stem: int, *stages: tuple[int, int, bool], act_first: bool = False) -> Rows:
    """Rows of the main study: a stem, stages of (width, blocks, pooled), a classifier.

    No norm stands directly before the average pool, nor with an activation between: within three
    standard deviations hardswish is a parabola, so that the mean of what a norm gave it depends on
    little but the mean and the variance, and these the norm has fixed. Here the sum that the blocks
    left goes through an activation of its own. Without norms, each place keeps its learned shift.
    With ``act_first``, every norm stands after its activation; the head is the same.
    """
    act: Activation = "hardswish"
    places: Rows = (Norm(shift=True), Act(act))
    rows: list[Row] = [Conv(stem, padding=1), MaxPool(), *places[:: -1 if act_first else 1]]
    for width, blocks, pool in stages:
        rows.append(Separable(width, act, pool=pool, shift=True, act_first=act_first))
        rows += [Block(act, shift=True, act_first=act_first)] * blocks
    return (*rows, Act(act), AveragePool(), Flatten(), Dropout(), Linear())


def _conv(width: int, kernel: int = 3, padding: int = 0, *, maps: bool = False) -> Rows:
    """Rows of one convolution in a class report: the norm comes after the ReLU."""
    return (Conv(width, kernel, padding), Act(), Norm(), Dropout(maps))


def _for_mnist(*pooled: int, padding: int = 0) -> Rows:
    """Rows of fewer than 10,000 parameters: a stem, five separable convolutions, a classifier.

    ``pooled`` numbers, from one, the separable convolutions that halve the maps. The head is that
    of the main study: no norm stands directly before the average pool.
    """
    act: Activation = "hardswish"
    rows: list[Row] = [Conv(12, padding=padding), Norm(shift=True), Act(act)]
    for number, width in enumerate((24, 32, 40, 48, 56), 1):
        rows.append(Separable(width, act, number in pooled, shift=True, padding=padding))
    return (*rows, Act(act), AveragePool(), Flatten(), Dropout(), Linear())


def _of_depth(blocks: int) -> Mapping[int, Rows]:
    """Forms of the main study's network with so many residual blocks a stage."""
    return {
        3: _pyramid(24, (48, 0, False), (72, blocks, True), (96, blocks, True)),
        1: _pyramid(12, (24, 0, False), (36, blocks, True)),
    }


def _unpooled(rows: Rows) -> Rows:
    """Leave out the pool of the stem, so that all maps have twice the side."""
    return tuple(row for at, row in enumerate(rows) if at != rows.index(MaxPool()))


def _norm_last(rows: Rows) -> Rows:
    """Put a norm in the place of the last activation: the average pool reads what it leaves."""
    at = rows.index(AveragePool())
    return (*rows[: at - 1], Norm(shift=True), *rows[at:])


NETWORKS: Mapping[str, Mapping[int, Rows]] = MappingProxyType(
    {
        "separable": {3: _separable((64, 3), (96, 2)), 1: _separable((32, 2), (48, 1))},
        "pyramid": _of_depth(2),
        "pyramid-act-first": {
            3: _pyramid(24, (48, 0, False), (72, 2, True), (96, 2, True), act_first=True),
            1: _pyramid(12, (24, 0, False), (36, 2, True), act_first=True),
        },
        "pyramid-fine": {n: _unpooled(rows) for n, rows in _of_depth(2).items()},
        "pyramid-norm-last": {n: _norm_last(rows) for n, rows in _of_depth(2).items()},
        # for MNIST; named after the usual words for convolutions without and with padding
        "valid": {1: _for_mnist(1)},
        "same-pooled": {1: _for_mnist(1, 2, 4, padding=1)},
        "same": {1: _for_mnist(1, padding=1)},
        "pyramid-half": _of_depth(1),
        "pyramid-double": _of_depth(4),
        "pyramid-quadruple": _of_depth(8),
        "study-b": {
            1: (
                *(*_conv(8), *_conv(16), MaxPool(), Conv(8, kernel=1)),
                *(*_conv(10), *_conv(16), *_conv(24), AveragePool(6), *_conv(16, kernel=1)),
                *(Conv(10, kernel=1), Conv(10, kernel=1), Flatten()),
            )
        },
        "study-c": {
            3: (
                *(*_conv(16), *_conv(16), Conv(24, kernel=1), MaxPool()),
                *(*_conv(24, padding=1) * 3, Conv(32, kernel=1), MaxPool()),
                *(*_conv(32) * 3, Conv(10, kernel=1), Flatten()),
            )
        },
        "study-d": {
            1: (
                *(*_conv(8, maps=True), *_conv(10, maps=True), MaxPool()),
                *(*_conv(12, maps=True), *_conv(14, maps=True)),
                *(*_conv(16, padding=1, maps=True), *_conv(16, maps=True)),
                *(AveragePool(6), Conv(10, kernel=1), Flatten()),
            )
        },
        "study-e": {
            1: (
                *(*_conv(8, padding=1), *_conv(16, padding=1), MaxPool(), Conv(8, kernel=1)),
                *(*_conv(12) * 2, *_conv(16) * 2),
                *(AveragePool(6), Conv(10, kernel=1), Flatten()),
            )
        },
    }
)
"""Rows by the name of the network and the channels of its images: 3 for colour, 1 for grey."""
