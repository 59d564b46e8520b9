"""The drawing of a network, one that fits on a napkin."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from normstudy.drawing import QUIET, WIDTH, describe, in_own_style, panel
from normstudy.study.model import LayerRow
from normstudy.study.networks import (
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

NORM_COLOR = "#D55E00"
CONV, POINTWISE, BLOCK, POOL, LINEAR = "#A9D3EE", "#F5CE85", "#9EDBC2", "#D9D9D9", "#E8C3DA"
MIDDLE, FULL = 1.0, 1.7  # inches: middle of the bars, width of the widest
LAYER, OUTPUT, PARAMETERS = 2.2, 4.7, 6.75  # inches: columns of words, the last one flush right
_ACTS = {"relu": "ReLU", "silu": "SiLU", "hardswish": "hardswish"}


def describe_row(row: Row) -> tuple[str, str] | None:  # noqa: PLR0911 - one for each kind of row
    """Name a layer and choose the colour of its bar; None for what has no bar of its own.

    Raises
    ------
    TypeError
        If the kind of row is unknown: nothing is left out of a drawing without a word.
    """
    match row:
        case Conv(_, kernel, padding):
            words = f"{kernel}×{kernel} convolution" + (", padded" if padding else "")
            return words, POINTWISE if kernel == 1 else CONV
        case Separable(_, _, pool):
            return "separable convolution" + (", pooled" if pool else ""), POINTWISE
        case Block():
            return "residual block", BLOCK
        case MaxPool(size):
            return f"{size}×{size} max pool", POOL
        case AveragePool(size):
            return (f"{size}×{size} average pool" if size else "mean over all pixels"), POOL
        case Linear():
            return "linear layer", LINEAR
        case Norm() | Act() | Dropout() | Flatten():
            return None
    # mypy sees that no kind of Row comes here, and complains when one does
    msg = f"no drawing is known for the row {row!r}; teach normstudy.study.blueprint to draw it"  # type: ignore[unreachable]
    raise TypeError(msg)


@in_own_style
def network(rows: Sequence[LayerRow]) -> Figure:
    """Draw the layers from top to bottom: a bar as wide as its feature map, a line for each norm.

    Parameters
    ----------
    rows
        What :func:`normstudy.study.model.layer_table` returned.

    Raises
    ------
    TypeError
        If a layer is of an unknown kind.
    """
    drawn = [row for row in rows if describe_row(row.row)]
    widest = max(row.output_size[-1] for row in drawn if len(row.output_size) == 3)
    total = f"{sum(row.parameters for row in rows):,}"
    title = "The network: the same layers under every norm"
    about = "Bars: feature maps, as wide as their side in pixels. Orange lines: places of a norm."
    height = 1.1 + 0.42 * len(drawn)
    fig, ax = panel(title, about, height=height, left=0.1, right=0.1, bottom=0.1, top=0.75)
    ax.set(xlim=(0, WIDTH - 0.2), ylim=(len(drawn) - 0.4, -0.75), xticks=[], yticks=[])
    head: dict[str, Any] = {"fontsize": 9, "color": QUIET, "va": "center"}
    columns = {LAYER: "layer", OUTPUT: "output, C × H × W", PARAMETERS: "parameters"}
    for x, word in columns.items():
        ax.text(x, -0.6, word, ha="right" if x == PARAMETERS else "left", **head)
    place = -1
    for row in rows:
        if known := describe_row(row.row):
            place += 1
            _layer(ax, row, *known, place, widest)
        elif isinstance(row.row, Norm):
            _norm(ax, place + 0.5, row.output_size[-1] / widest)
    words = "; ".join(f"{(describe_row(r.row) or ('',))[0]} to {_size(r)}" for r in drawn)
    caption = f"The network, {total} parameters with norms. {about} {_not_drawn(rows)}"
    return describe(fig, name="network", caption=caption, alt=f"Layers from the top: {words}.")


def _not_drawn(rows: Sequence[LayerRow]) -> str:
    """Say in words what stands in the network and has no mark in the drawing."""
    plan = [row.row for row in rows]
    norms = [row for row in plan if isinstance(row, Norm)]
    behind: dict[str, list[str]] = {}
    for before, row in pairwise(plan):
        if isinstance(row, Act):
            behind.setdefault(type(before).__name__, []).append(_ACTS[row.name])
    parts = []
    if acts := behind.get("Norm"):
        which = "each norm" if len(acts) == len(norms) else f"{len(acts)} of the {len(norms)} norms"
        last = " (not after the last)" if not isinstance(_after(plan, norms[-1]), Act) else ""
        inner = [row for row in plan if isinstance(row, Block | Separable)]
        blocks = any(isinstance(row, Block) for row in inner)
        what = "blocks" if blocks else "separable convolutions"
        outside = f" outside the {what}" if inner else ""
        parts.append(f"a {acts[0]} after {which}{outside}{last}")
    where = {
        "Conv": f"{len(behind.get('Conv', ()))} convolutions, before the norm",
        "MaxPool": "the first max pool, before the norm",
        "Block": "the last block",
        "Separable": "the last separable convolution",
    }
    parts += [f"a {behind[kind][0]} after {told}" for kind, told in where.items() if kind in behind]
    if any(isinstance(row, Dropout) for row in plan):
        parts.append("places of dropout")
    text = f"Not drawn: {'; '.join(parts)}." if parts else ""
    text += _inside("A separable convolution is", [r for r in plan if isinstance(r, Separable)])
    text += _inside("A residual block is x +", [r for r in plan if isinstance(r, Block)])
    if any(isinstance(row, Separable) and row.pool for row in plan):
        text += " Where it is pooled, a 2×2 max pool stands before the 1×1 convolution."
    if any(isinstance(row, Separable) and not row.padding for row in plan):
        text += " Its 3×3 half is not padded."
    return text


def _inside(words: str, rows: Sequence[Block | Separable]) -> str:
    """Say what the rows of a kind compute, or nothing where there are none."""
    treated = sorted(
        {f"norm({_ACTS[row.act]}" if row.act_first else f"{_ACTS[row.act]}(norm" for row in rows}
    )
    inside = " or ".join(f"1×1({both}(3×3 depthwise(x))))" for both in treated)
    return f" {words} {inside}." if rows else ""


def _after(plan: Sequence[Row], row: Row) -> Row | None:
    """Return what follows the last occurrence of a row."""
    place = len(plan) - 1 - plan[::-1].index(row)
    return plan[place + 1] if place + 1 < len(plan) else None


def _size(row: LayerRow) -> str:
    return " × ".join(map(str, row.output_size))


def _layer(ax: Axes, row: LayerRow, text: str, color: str, place: int, widest: int) -> None:
    share = row.output_size[-1] / widest if len(row.output_size) == 3 else 1 / widest
    wide = FULL * max(share, 0.06)
    left = MIDDLE - wide / 2
    ax.add_patch(Rectangle((left, place - 0.29), wide, 0.58, facecolor=color, gid="as-is"))
    if isinstance(row.row, Block | Separable):
        _norm(ax, place, share)
    if isinstance(row.row, Block):
        look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 9, "color": QUIET}
        bend: dict[str, Any] = {"connectionstyle": "arc3,rad=0.9", "shrinkA": 0, "shrinkB": 0}
        look |= {"posA": (left, place - 0.27), "posB": (left, place + 0.27)}
        ax.add_patch(FancyArrowPatch(**look, **bend))
    ax.text(LAYER, place, text, va="center", fontsize=10.5)
    ax.text(OUTPUT, place, _size(row), va="center", fontsize=10.5)
    ax.text(PARAMETERS, place, f"{row.parameters:,}", va="center", ha="right", fontsize=10.5)


def _norm(ax: Axes, place: float, share: float) -> None:
    half = FULL * share / 2 + 0.08
    ends = [MIDDLE - half, MIDDLE + half]
    ax.plot(ends, [place, place], color=NORM_COLOR, linewidth=2.5, solid_capstyle="butt")
