"""Pictures of cells: which of them share a statistic.

One visual language for all norms: a cell is a square, a statistic is a colour and a number, and
cells of equal colour and number are averaged together.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from torch import Tensor

from normstudy.byhand.examples import SHAPE, by_hand
from normstudy.byhand.norms import forward, index_sets
from normstudy.byhand.steps import Example, Number, Step
from normstudy.drawing import COLORS, GRID, QUIET, WIDTH, describe, in_own_style, panel
from normstudy.tables import NORM_NAMES

CELL_COLORS = (
    "#8CC5E8", "#F2C66D", "#9FD2A4", "#F0A37C", "#A698E6", "#D2ECF0", "#F8F0A0", "#B19494",
)  # fmt: skip
"""Black digits are easy to read on each, and every two differ for colour-blind readers as well."""

PICTURED = ("batch", "layer", "group", "instance")
"""The norms that the pictures set side by side, in this order."""
_GAP = 0.5  # between the maps of two channels, in cells
_DEPTH = (0.5, 0.35)  # of a cube's cells, to the right and upwards
_CELL = (0.5, 0.32)  # width and height, in inches, of a cell that holds a number
_MAP = (0.28, 0.24)  # of a box that stands for a map


@in_own_style
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
    left, between, head = 1.7, 1.6, 2.0  # in cells
    across, down = 2 * (left + wide) + between, 2 * (head + tall) + between
    sets = {norm: index_sets(shape, norm, num_groups=num_groups) for norm in PICTURED}
    words = {norm: _count(cells) for norm, cells in sets.items()}
    title = "Which cells share a mean and a variance"
    about = (
        f"{num} images n downwards, {channels} channels to the right, {height} × {width} cells "
        f"each; {num_groups} groups"
    )
    fig, ax = _sheet(title, f"{about}.", across, down)
    for place, (norm, cells) in enumerate(sets.items()):
        x = left + place % 2 * (left + wide + between)
        y = head + place // 2 * (head + tall + between)
        ax.text(x, y - 1.05, NORM_NAMES[norm], weight="bold", fontsize=11)
        ax.text(x, y - 0.35, words[norm], fontsize=9.5, color=QUIET)
        _batch(ax, cells, x, y)
    found = "; ".join(f"{NORM_NAMES[norm]} {words[norm]}" for norm in PICTURED)
    caption = f"{title}: cells of one number and colour do. {about}. {found}."
    alt = f"Four grids of coloured, numbered cells. {found}."
    return describe(fig, name="shared-cells", caption=caption, alt=alt)


def _sheet(title: str, subtitle: str, across: float, down: float) -> tuple[Figure, Axes]:
    """Open a figure as wide as `across` squares and as high as `down` of them."""
    size, top = (WIDTH - 0.2) / across, 0.72
    high = top + 0.1 + size * down
    fig, ax = panel(title, subtitle, height=high, left=0.1, right=0.1, bottom=0.1, top=top)
    ax.set(xlim=(0, across), ylim=(down, 0), xticks=[], yticks=[])
    return fig, ax


def _count(cells: Tensor) -> str:
    """Say how many statistics there are and how many cells each averages over."""
    statistics = len(cells.unique())
    return f"{statistics} means, each of {cells.numel() // statistics} cells"


def _batch(ax: Axes, cells: Tensor, left: float, top: float) -> None:
    """Draw the maps of a batch (N, C, H, W), each cell with the number of its statistic."""
    _, _, height, width = cells.shape
    for n, image in enumerate(cells.tolist()):
        y = top + n * (height + _GAP)
        ax.text(left - 0.3, y + height / 2, f"n = {n}", ha="right", va="center", fontsize=9)
        for c, channel in enumerate(image):
            x = left + c * (width + _GAP)
            for h, row in enumerate(channel):
                for w, statistic in enumerate(row):
                    color = CELL_COLORS[statistic % len(CELL_COLORS)]
                    _box(ax, (x + w, y + h), (1, 1), color, str(statistic + 1))


@in_own_style
def cubes(shape: Sequence[int] = (4, 6, 5), *, num_groups: int = 2) -> Figure:
    """Draw a batch as a cube under each of four norms, one set of cells coloured.

    Parameters
    ----------
    shape
        Of the batch, (N, C, S) with S = H W positions: images in depth, channels to the right and
        positions downwards.
    num_groups
        Groups of group norm, a divisor of C.

    Raises
    ------
    ValueError
        If the groups do not divide the channels.
    """
    num, channels, positions = shape
    wide, tall = channels + num * _DEPTH[0], positions + num * _DEPTH[1]
    left, between = 1.1, 1.7
    across = left + 4 * wide + 3 * between
    down = tall + 5.1
    title = "One set of cells under each norm"
    about = f"{num} images (N), {channels} channels (C), {positions} positions (H, W)"
    subtitle = f"{about}. The coloured cells share one mean and one variance."
    fig, ax = _sheet(title, subtitle, across, down)
    words = {}
    for place, norm in enumerate(("batch", "layer", "group", "instance")):
        x, y = left + place * (wide + between), 3.8 + num * _DEPTH[1]
        cells = index_sets(shape, norm, num_groups=num_groups)
        words[norm] = _count(cells)
        ax.text(x, 0.1, NORM_NAMES[norm], weight="bold", fontsize=11, va="top")
        count = words[norm].replace(", each", ",\neach")
        ax.text(x, 1.4, count, fontsize=9, va="top", color=QUIET)
        _cube(ax, cells == cells[0, -1, 0], x, y, COLORS[NORM_NAMES[norm]])
        bottom = y + positions + 0.2
        ax.text(x + channels / 2, bottom, "C", ha="center", va="top", fontsize=9)
        ax.text(
            x - 0.25, y + positions / 2, "H, W", ha="right", va="center", fontsize=9, rotation=90
        )
        corner = (x + channels + num * _DEPTH[0] / 2 + 0.35, y + positions - num * _DEPTH[1] / 2)
        ax.text(*corner, "N", ha="left", va="top", fontsize=9)
    found = "; ".join(f"{NORM_NAMES[norm]} {word}" for norm, word in words.items())
    caption = f"{title}. {about}; {num_groups} groups in group norm. In the whole cube: {found}."
    alt = (
        "Four cubes of small cells. Coloured: for batch norm one channel of all images, for layer "
        "norm one image with all its channels, for group norm one image and a group of channels, "
        "for instance norm one channel of one image."
    )
    return describe(fig, name="cubes", caption=caption, alt=alt)


def _cube(ax: Axes, chosen: Tensor, left: float, top: float, color: str) -> None:
    """Draw the three visible faces of the cube (N, C, S): front, upper and right."""
    num, channels, positions = chosen.shape

    def corner(n: float, c: float, s: float) -> tuple[float, float]:
        return left + c + n * _DEPTH[0], top + s - n * _DEPTH[1]

    faces = [((0, c, s), (0, 1, 1), 0.0) for c in range(channels) for s in range(positions)]
    faces += [((n, c, 0), (1, 1, 0), 0.25) for n in range(num) for c in range(channels)]
    faces += [((n, channels - 1, s), (1, 0, 1), 0.12) for n in range(num) for s in range(positions)]
    for cell, along, light in faces:
        n, c, s = cell[0], cell[1] + (along[1] == 0), cell[2]
        steps = [axis for axis in np.eye(3) if axis @ along]
        start = np.array((n, c, s))
        outline = [start, start + steps[0], start + steps[0] + steps[1], start + steps[1]]
        red, green, blue = to_rgb(color if chosen[cell] else "#DDDDDD")
        face = [part + light * (1 - part) for part in (red, green, blue)]
        shape = Polygon([corner(*point) for point in outline], facecolor=face, edgecolor="white")
        ax.add_patch(shape)


@in_own_style
def worked_cells(example: Example, names: Sequence[str], *, title: str, name: str) -> Figure:
    """Draw the values of some steps of a worked example, cell by cell.

    Cells that share a mean have one colour.

    Parameters
    ----------
    example
        What `normstudy.byhand.examples.by_hand` returns.
    names
        Of the steps, from above; each has one value per cell.
    title, name
        Of the figure: its headline, and what references call it.
    """
    num, channels, height, width = SHAPE
    wide, tall = _CELL
    left, top, head = 1.0, 0.72, 0.42
    map_wide, map_tall = (width + _GAP) * wide, (height + _GAP) * tall
    block = head + num * map_tall
    high = top + 0.25 + block * len(names)
    subtitle = (
        "Cells of one colour share a mean and a variance. Images n downwards, channels c across."
    )
    fig, ax = panel(title, subtitle, height=high, left=0.1, right=0.1, bottom=0.05, top=top)
    ax.set(xlim=(0, WIDTH - 0.2), ylim=(high - top - 0.05, 0), xticks=[], yticks=[])
    colors = _colors(example["mean"])
    for c in range(channels):
        middle = left + c * map_wide + width * wide / 2
        ax.text(middle, 0.1, f"c = {c}", ha="center", va="center", fontsize=9.5, color=QUIET)
    for row, step in enumerate(example[key] for key in names):
        y = 0.2 + row * block
        formula = f"${step.symbol} = {step.formula}$" if step.formula else f"${step.symbol}$"
        ax.text(0, y + head / 2, formula, va="center", fontsize=13)
        for (n, c, h, w), value in zip(step.indices, step.values, strict=True):
            corner = left + c * map_wide + w * wide, y + head + n * map_tall + h * tall
            _box(ax, corner, _CELL, colors[n, c, h, w], plain(value))
        for n in range(num):
            middle = y + head + n * map_tall + height * tall / 2
            ax.text(left - 0.12, middle, f"n = {n}", ha="right", va="center", fontsize=9.5)
    sets = len(example["mean"].values)
    shown = " and ".join(f":math:`{example[key].symbol}`" for key in names)
    caption = f"{title}: {shown} of every cell; cells of one colour share one of the {sets} means."
    rows = (f"{key}: {', '.join(map(plain, example[key].values))}" for key in names)
    alt = f"Grids of coloured cells with a number in each, image by image. {'; '.join(rows)}."
    return describe(fig, name=name, caption=caption, alt=alt)


def plain(value: Number) -> str:
    """Write a number into a cell: a fraction as it is, anything else with two decimals.

    Examples
    --------
    >>> from fractions import Fraction
    >>> plain(Fraction(-3, 2)), plain(0.816)
    ('−3/2', '0.82')
    """
    text = f"{value + 0.0:.2f}" if isinstance(value, float) else str(value)
    return text.replace("-", "\N{MINUS SIGN}")


@in_own_style
def layer_meanings() -> Figure:
    """Draw what the three layer norms average over, and how they share gamma and beta."""
    rows = {
        "layer": "GroupNorm(1, C)",
        "layer_chw": "LayerNorm([C, H, W])",
        "layer_channels": "LayerNorm(C), channels last",
    }
    num, channels, height, width = SHAPE
    wide, tall = channels * (width + _GAP) - _GAP, num * (height + _GAP) - _GAP
    left, between, head = 1.7, 1.6, 2.1
    across, down = 2 * (left + wide) + between, len(rows) * (head + tall + 0.8)
    title = "Three layer norms"
    subtitle = "Left: cells of one number share a mean and a variance. Right: they share γ and β."
    fig, ax = _sheet(title, subtitle, across, down)
    found = []
    for place, (norm, words) in enumerate(rows.items()):
        y = head + place * (head + tall + 0.8)
        example = by_hand(norm)
        counts = []
        for column, key in enumerate(("mean", "gamma")):
            x = left + column * (left + wide + between)
            step = example[key]
            counts.append(f"{len(step.values)} {('means', 'values of γ')[column]}")
            ax.text(x, y - 0.35, counts[-1], fontsize=9.5, color=QUIET)
            owners = torch.zeros(SHAPE, dtype=torch.long)
            for k, cells in enumerate(step.cells):
                owners[tuple(zip(*cells, strict=True))] = k
            _batch(ax, owners, x, y)
        ax.text(left, y - 1.05, words, weight="bold", fontsize=11)
        found.append(f"{words} has {counts[0]} and {counts[1]}")
    caption = f"{title} on {num} images n with {channels} channels: {'; '.join(found)}."
    alt = f"Two grids of coloured, numbered cells for each layer norm. {'; '.join(found)}."
    return describe(fig, name="layer-meanings", caption=caption, alt=alt)


@in_own_style
def running(examples: Mapping[str, Example]) -> Figure:
    """Draw the running mean after each batch, for some choices of momentum.

    Parameters
    ----------
    examples
        By label: what `normstudy.byhand.examples.running_by_hand` returns for one momentum.
    """
    first, *_ = examples.values()
    last = sum(step.name.startswith("x_") for step in first.steps)
    title = "The running mean follows the batches"
    subtitle = "Grey dots: the numbers of each batch. Crosses: its mean. Lines: the running mean."
    fig, ax = panel(title, subtitle, height=3.6, left=0.55, right=2.2)
    for t in range(1, last + 1):
        values = [float(value) for value in first[f"x_{t}"].values]
        ax.plot([t] * len(values), values, "o", color=QUIET, alpha=0.6, markersize=5)
        mean = float(first[f"mean_{t}"].values[0])
        ax.plot(t, mean, "x", color=QUIET, markersize=11, markeredgewidth=2)
    ends = []
    colors = (COLORS["Batch norm"], COLORS["Group norm"], COLORS["Layer norm"])
    for (label, example), color in zip(examples.items(), colors, strict=False):
        path = [example[f"running_mean_{t}"].values[0] for t in range(last + 1)]
        ax.plot(range(last + 1), [float(value) for value in path], color=color, linewidth=1.8)
        ends.append(f"{label}: {float(path[-1]):.4g}")
        ax.text(last + 0.12, float(path[-1]), ends[-1], va="center", fontsize=10)
    ax.set_xticks(range(last + 1))
    ax.set_xlabel("batches seen", fontsize=10.5)
    ax.set_ylabel("value of the feature", fontsize=10.5, rotation=0, ha="left", va="bottom")
    ax.yaxis.set_label_coords(0, 1.02)
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    caption = f"{title}. Grey dots are the numbers of a batch, a cross is their mean. "
    caption += f"After {last} batches the running mean is: {'; '.join(ends)}."
    alt = f"Lines that start at 0 and climb towards the batch means. At the end: {'; '.join(ends)}."
    return describe(fig, name="running-mean", caption=caption, alt=alt)


@in_own_style
def penalty_steps(example: Example) -> Figure:
    """Draw where one step takes each weight, without a penalty and with three of them.

    Parameters
    ----------
    example
        What `normstudy.byhand.examples.penalties_by_hand` returns.
    """
    rows = {
        "w": "before",
        "plain_step": "loss alone",
        "step": "L1, subgradient",
        "proximal": "L1, proximal",
        "l2_step": "L2",
    }
    title = "One step of every weight"
    subtitle = "Each dot is a weight and carries its number i. At zero a weight is switched off."
    fig, ax = panel(title, subtitle, height=4.4, left=1.4, right=0.2, top=0.8)
    found = []
    for place, (key, words) in enumerate(rows.items()):
        step = example[key]
        found.append(f"{words}: {', '.join(map(plain, step.values))}")
        ax.axhline(place, color=GRID, linewidth=0.8, zorder=0)
        for i, value in enumerate(step.values):
            above = sum(other == value for other in step.values[:i]) * 0.32
            dot = float(value), place - above
            ax.plot(*dot, "o", color=CELL_COLORS[i], markersize=14, gid="as-is")
            number = ax.text(*dot, str(i), ha="center", va="center", fontsize=9.5, color="black")
            number.set_gid("as-is")
    ax.axvline(0, color=QUIET, linewidth=1, zorder=0)
    ax.set_yticks(range(len(rows)), list(rows.values()))
    ax.set_ylim(len(rows) - 0.5, -0.6)
    ax.set_xlabel("value of the weight", fontsize=10.5)
    caption = (
        f"{title}: the weights before, and after a step with each penalty. {'; '.join(found)}."
    )
    alt = f"Four numbered dots on each of five number lines. {'; '.join(found)}."
    return describe(fig, name="penalty-steps", caption=caption, alt=alt)


@in_own_style
def blind_spots(
    maps: Tensor, changes: Mapping[str, Tensor | float], *, num_groups: int = 2
) -> Figure:
    """Draw what is added to each map of a batch, and which of four norms do not see it.

    Whether the output stays the same is found by normalizing both batches, with eps = 0.

    Parameters
    ----------
    maps
        Shape (N, C, H, W), in float64; N times C is at most 8, the number of colours.
    changes
        By name: what is added, of a shape that broadcasts to (N, C, 1, 1).
    num_groups
        Groups of group norm, a divisor of C.
    """
    num, channels = maps.shape[:2]
    left, head, gap, (wide, tall) = 0.98, 0.3, 0.07, _MAP  # in inches
    step, block = channels * (wide + gap) + 0.08, num * (tall + gap) + 0.36
    title, rule = "What a norm does not see", "boxes that touch share a mean"
    subtitle = f"A box is a map, with the number added to all of its cells; {rule}."
    fig, ax = _sheet(title, subtitle, WIDTH - 0.2, head + len(changes) * block)
    blind: dict[str, list[str]] = {words: [] for words in changes}
    for (row, words), (column, norm) in product(enumerate(changes), enumerate(PICTURED)):
        x, y = left + column * step, head + row * block
        if column == 0:
            ax.text(0, y + num * tall / 2, words, va="center", fontsize=10.5)
        if row == 0:
            ax.text(x, 0.1, NORM_NAMES[norm], va="center", weight="bold", fontsize=10.5)
        added = torch.as_tensor(changes[words]).to(maps).expand(num, channels, 1, 1)
        sets = index_sets((num, channels), norm, num_groups=num_groups)
        for n, c in np.ndindex(num, channels):
            right, down = (len(line.unique()) - 1 for line in (sets[n, : c + 1], sets[: n + 1, c]))
            corner = x + c * wide + right * gap, y + n * tall + down * gap
            _box(ax, corner, _MAP, CELL_COLORS[sets[n, c]], f"{added[n, c].item():g}")
        first, then = (forward(t, norm, num_groups=num_groups, eps=0) for t in (maps, maps + added))
        same = torch.allclose(first.y, then.y, atol=1e-9, rtol=0)
        blind[words] += [NORM_NAMES[norm]] * same
        answer, weight = ("= same", "normal") if same else ("\N{NOT EQUAL TO} moves", "bold")
        ax.text(x, y + num * (tall + gap) + 0.08, answer, va="center", weight=weight, fontsize=10)
    told = (f"{words}: {', '.join(norms) or 'none'}" for words, norms in blind.items())
    found = f"Added without effect on the output, {'; '.join(told)}"
    about = f"{num} images downwards, {channels} channels across, {num_groups} groups"
    caption = f"{title}. Each box is a map of a batch with {about}. It shows the number that is "
    caption += f"added to the map; {rule}, as do boxes of one colour. {found}."
    alt = f"A table of small batches, a row for each change, a column for each norm. {found}."
    return describe(fig, name="blind-spots", caption=caption, alt=alt)


@in_own_style
def strips(rows: Mapping[str, tuple[Tensor, int]], *, title: str, name: str) -> Figure:
    """Draw the same cells in strips, each strip normalized in another way.

    Parameters
    ----------
    rows
        By what was done: values of shape (M,), and how many neighbours share a mean and a variance.
    title, name
        Of the figure: its headline, and what references call it.
    """
    (wide, tall), left, gap = _CELL, 1.5, 0.06  # in inches
    rule = "cells that touch share a mean and a variance"
    subtitle = f"{rule.capitalize()}. At the end: the variance of the row."
    fig, ax = _sheet(title, subtitle, WIDTH - 0.2, len(rows) * (tall + 0.14))
    style: dict[str, Any] = {"va": "center", "fontsize": 10}
    found, minus = [], "\N{MINUS SIGN}"
    for row, (words, (values, size)) in enumerate(rows.items()):
        y = row * (tall + 0.14)
        ax.text(0, y + tall / 2, words, **style)
        numbers = [f"{round(v, 2) + 0.0:g}".replace("-", minus) for v in values.tolist()]
        for i, number in enumerate(numbers):
            color = CELL_COLORS[i // size % len(CELL_COLORS)]
            _box(ax, (left + i * wide + i // size * gap, y), _CELL, color, number)
        variance = f"{values.var(correction=0).item():.3g}"
        ax.text(WIDTH - 0.2, y + tall / 2, rf"$\sigma^2$ = {variance}", ha="right", **style)
        found.append(f"{words}: {', '.join(numbers)}, variance {variance}")
    caption = f"{title}: {rule}, as do cells of one colour. At the end of a row stands the "
    caption += "variance of its cells."
    alt = f"Rows of coloured cells with a number in each. {'; '.join(found)}."
    return describe(fig, name=name, caption=caption, alt=alt)


def _colors(step: Step) -> dict[tuple[int, ...], str]:
    """Give the cells of each value of a step a colour."""
    return {
        cell: CELL_COLORS[place % len(CELL_COLORS)]
        for place, cells in enumerate(step.cells)
        for cell in cells
    }


def _box(
    ax: Axes, corner: tuple[float, float], size: tuple[float, float], color: str, words: str
) -> None:
    """Draw one cell with black words on its colour, in light and dark mode alike."""
    box = Rectangle(corner, *size, facecolor=color, edgecolor="white")
    box.set_gid("as-is")
    ax.add_patch(box)
    text = ax.text(corner[0] + size[0] / 2, corner[1] + 0.52 * size[1], words, color="black")
    text.set(ha="center", va="center", fontsize=9, gid="as-is")
