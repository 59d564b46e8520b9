"""The drawing of the network, one that fits on a napkin."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from normstudy.drawing import QUIET, WIDTH, describe, panel
from normstudy.study.model import LayerRow

LAYERS = {
    "stem": ("3×3 convolution", "#A9D3EE"),
    "pool": ("2×2 max pool", "#D9D9D9"),
    "transition": ("1×1 convolution", "#F5CE85"),
    "block": ("residual block", "#9EDBC2"),
    "average": ("mean over all pixels", "#D9D9D9"),
    "classifier": ("linear layer", "#E8C3DA"),
}
"""What is drawn, by the first letters of a layer's name: its description and colour."""

NORM_COLOR = "#D55E00"
MIDDLE, FULL = 1.2, 1.7  # inches: middle of the bars, width of the widest


def network(rows: Sequence[LayerRow]) -> Figure:
    """Draw the layers from top to bottom: a bar as wide as its feature map, a line for each norm.

    Parameters
    ----------
    rows
        What :func:`normstudy.study.model.layer_table` returned.
    """
    drawn = [row for row in rows if _kind(row) in LAYERS]
    widest = max(row.output_size[-1] for row in drawn if len(row.output_size) == 3)
    total = f"{sum(row.parameters for row in rows):,}"
    title = "The network: the same layers under every norm"
    about = "Bars: feature maps, as wide as their side in pixels. Orange lines: places of a norm."
    height = 1.1 + 0.42 * len(drawn)
    fig, ax = panel(title, about, height=height, left=0.1, right=0.1, bottom=0.1, top=0.75)
    ax.set(xlim=(0, WIDTH - 0.2), ylim=(len(drawn) - 0.4, -0.75), xticks=[], yticks=[])
    head: dict[str, Any] = {"fontsize": 9.5, "color": QUIET, "va": "center"}
    columns = {2.55: "layer", 4.65: "output, C × H × W", 6.75: "parameters"}
    for x, word in columns.items():
        ax.text(x, -0.6, word, ha="right" if x > 6 else "left", **head)
    place = -1
    for row in rows:
        if _kind(row) in LAYERS:
            place += 1
            _layer(ax, row, place, widest)
        elif row.name.endswith("norm"):
            _norm(ax, place + 0.5, row.output_size[-1] / widest)
    words = "; ".join(f"{LAYERS[_kind(row)][0]} to {_size(row)}" for row in drawn)
    caption = (
        f"The network, {total} parameters with norms. {about} Not drawn: a SiLU after each norm, "
        "and dropout. A residual block is x + 1×1(SiLU(norm(3×3 depthwise(x))))."
    )
    return describe(fig, name="network", caption=caption, alt=f"Layers from the top: {words}.")


def _kind(row: LayerRow) -> str:
    """Cut the numbers off the name of a layer: ``block`` for ``block1_2``."""
    return row.name.rstrip("0123456789_")


def _size(row: LayerRow) -> str:
    return " × ".join(map(str, row.output_size))


def _layer(ax: Axes, row: LayerRow, place: int, widest: int) -> None:
    text, color = LAYERS[_kind(row)]
    share = row.output_size[-1] / widest if len(row.output_size) == 3 else 1 / widest
    wide = FULL * max(share, 0.06)
    left = MIDDLE - wide / 2
    ax.add_patch(Rectangle((left, place - 0.29), wide, 0.58, facecolor=color, gid="as-is"))
    if _kind(row) == "block":
        _norm(ax, place, share)
        look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 9, "color": QUIET}
        bend: dict[str, Any] = {"connectionstyle": "arc3,rad=0.9", "shrinkA": 0, "shrinkB": 0}
        look |= {"posA": (left, place - 0.27), "posB": (left, place + 0.27)}
        ax.add_patch(FancyArrowPatch(**look, **bend))
    ax.text(2.55, place, text, va="center", fontsize=10.5)
    ax.text(4.65, place, _size(row), va="center", fontsize=10.5)
    ax.text(6.75, place, f"{row.parameters:,}", va="center", ha="right", fontsize=10.5)


def _norm(ax: Axes, place: float, share: float) -> None:
    half = FULL * share / 2 + 0.08
    ends = [MIDDLE - half, MIDDLE + half]
    ax.plot(ends, [place, place], color=NORM_COLOR, linewidth=2.5, solid_capstyle="butt")
