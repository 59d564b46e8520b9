"""Pictures of cells: which of them share a statistic.

One visual language for all norms: a cell is a square, a statistic is a colour and a number, and
cells of equal colour and number are averaged together.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from normstudy.drawing import QUIET, WIDTH, describe, panel
from normstudy.norms import index_sets

CELL_COLORS = (
    "#8CC5E8", "#F2C66D", "#8FD3B6", "#F0A37C", "#E3B4D0", "#C9CDD2", "#F3EC9A", "#A9B4E0",
)  # fmt: skip
"""Okabe and Ito's colours, lightened until black digits are easy to read on each."""

NAMES = {
    "batch": "Batch norm",
    "layer": "Layer norm",
    "group": "Group norm",
    "instance": "Instance norm",
}
_GAP = 0.5  # between the maps of two channels, in cells


def shared_cells(shape: Sequence[int] = (2, 4, 2, 2), *, num_groups: int = 2) -> Figure:
    """Draw which cells of a batch share one mean and one variance, under each of four norms.

    Parameters
    ----------
    shape
        Of the batch, (N, C, H, W): images downwards, channels to the right.
    num_groups
        Groups of group norm, a divisor of C.

    Raises
    ------
    ValueError
        If the groups do not divide the channels.
    """
    num, channels, height, width = shape
    wide, tall = channels * (width + _GAP) - _GAP, num * (height + _GAP) - _GAP
    left, between, head = 2.4, 1.6, 2.0  # in cells
    across, down = 2 * (left + wide) + between, 2 * (head + tall) + between
    top, size = 0.72, (WIDTH - 0.2) / across
    sets = {norm: index_sets(shape, norm, num_groups=num_groups) for norm in NAMES}
    words = {norm: _count(cells) for norm, cells in sets.items()}
    title = "Which cells share a mean and a variance"
    about = (
        f"{num} images downwards, {channels} channels to the right, {height} × {width} cells "
        f"each; {num_groups} groups"
    )
    high = top + 0.1 + size * down
    fig, ax = panel(title, f"{about}.", height=high, left=0.1, right=0.1, bottom=0.1, top=top)
    ax.set(xlim=(0, across), ylim=(down, 0), xticks=[], yticks=[])
    for place, (norm, cells) in enumerate(sets.items()):
        x = left + place % 2 * (left + wide + between)
        y = head + place // 2 * (head + tall + between)
        ax.text(x, y - 1.05, NAMES[norm], weight="bold", fontsize=11)
        ax.text(x, y - 0.35, words[norm], fontsize=9.5, color=QUIET)
        _batch(ax, cells, x, y)
    found = "; ".join(f"{NAMES[norm]} {words[norm]}" for norm in NAMES)
    caption = f"{title}: cells of one number and colour do. {about}. {found}."
    alt = f"Four grids of coloured, numbered cells. {found}."
    return describe(fig, name="shared-cells", caption=caption, alt=alt)


def _count(cells: Tensor) -> str:
    """Say how many statistics there are and how many cells each averages over."""
    statistics = len(cells.unique())
    return f"{statistics} means, each of {cells.numel() // statistics} cells"


def _batch(ax: Axes, cells: Tensor, left: float, top: float) -> None:
    """Draw the maps of a batch (N, C, H, W), each cell with the number of its statistic."""
    _, _, height, width = cells.shape
    for n, image in enumerate(cells.tolist()):
        y = top + n * (height + _GAP)
        ax.text(left - 0.3, y + height / 2, f"image {n + 1}", ha="right", va="center", fontsize=9)
        for c, channel in enumerate(image):
            x = left + c * (width + _GAP)
            for h, row in enumerate(channel):
                for w, statistic in enumerate(row):
                    color = CELL_COLORS[statistic % len(CELL_COLORS)]
                    box = Rectangle((x + w, y + h), 1, 1, facecolor=color, edgecolor="white")
                    box.set_gid("as-is")
                    ax.add_patch(box)
                    number = ax.text(x + w + 0.5, y + h + 0.52, str(statistic + 1), color="black")
                    number.set(ha="center", va="center", fontsize=9, gid="as-is")
