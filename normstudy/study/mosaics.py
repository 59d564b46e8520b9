"""Images in rows and columns, with lines of text beneath each."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from normstudy.drawing import WIDTH, in_own_style, panel


def mosaic(
    ax: Axes,
    pictures: npt.NDArray[np.float64],
    *,
    step: int,
    wide: int,
    columns: int,
    rows: int,
) -> None:
    """Show images (N, H, W, 3) row by row as one image, transparent between them.

    Neighbours are ``step`` pixels apart downwards and ``wide`` pixels to the right.
    """
    size = pictures.shape[1]
    canvas = np.zeros((rows * step, columns * wide, 4))
    for i, picture in enumerate(pictures):
        y, x = i // columns * step, i % columns * wide
        canvas[y : y + size, x : x + size, :3] = picture
        canvas[y : y + size, x : x + size, 3] = 1
    extent = (0, canvas.shape[1], canvas.shape[0], 0)
    ax.imshow(canvas, interpolation="nearest", extent=extent)
    ax.set_anchor("NW")
    ax.set_xticks([])
    ax.set_yticks([])


@in_own_style
def captioned(
    pictures: npt.NDArray[np.float64],
    texts: Sequence[str],
    grid: tuple[int, int],
    title: str,
    about: str,
) -> Figure:
    """Show images (N, H, W, 3) in rows and columns with three lines of text beneath each."""
    (rows, columns), size = grid, pictures.shape[1]
    pixel = 0.85 / size  # inches
    step, wide = size + round(0.6 / pixel), round((WIDTH - 0.2) / columns / pixel)
    edges = {"left": 0.1, "right": 0.1, "bottom": 0.1, "top": 0.76}
    fig, ax = panel(title, about, height=1.05 + rows * 1.45, **edges)
    mosaic(ax, pictures, step=step, wide=wide, columns=columns, rows=rows)
    for i, text in enumerate(texts):
        x, y = i % columns * wide, i // columns * step + 1.06 * size
        ax.text(x, y, text, va="top", fontsize=9, linespacing=1.25)
    return fig
