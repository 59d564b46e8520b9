"""The parts that figures of runs are made of: panels, curves with labels, intervals.

One look for all: quiet grid, no frame, names at the ends of lines instead of legends, colours and
dashes that belong to an arm and not to a plot.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib.pyplot as plt
import matplotlib.style
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.optimize import isotonic_regression

COLORS = {
    "Batch norm": "#0072B2",
    "Batch norm + L1": "#56B4E9",
    "Group norm": "#D55E00",
    "Layer norm": "#009E73",
    "Instance norm": "#CC79A7",
    "No norm": "#7F7F7F",
}
"""Okabe and Ito's colours, which colour-blind readers can tell apart; the same on every page."""

DOTS, SHORT = (1.0, 2.0), (2.5, 1.2)
STYLES: dict[str, tuple[tuple[float, ...], str]] = {
    "Batch norm": ((), "o"),
    "Batch norm + L1": ((4, 1.5), "s"),
    "Group norm": ((), "^"),
    "Layer norm": ((6, 1.5, 1, 1.5), "D"),
    "Instance norm": (SHORT, "v"),
    "No norm": (SHORT, "X"),
}
"""Dashes and marker: a second way, beside the colour, to tell the arms apart."""

SPARE_COLORS = ("#E69F00", "#332288", "#882255", "#117733", "#999933", "#AA4499")
WIDTH = 7.0  # inches, the width of a page's text; the smallest letters are 9 points
QUIET, GRID = "#767676", "#B0B0B040"  # legible on white and on black


_P = ParamSpec("_P")
_R = TypeVar("_R")
_FOR_FILES = ContextVar("for_files", default=False)


def in_own_style(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a function draw as if nobody had changed matplotlib's defaults, and change none.

    What users set for their own figures, as in a matplotlibrc, neither restyles ours nor breaks
    them. Every function that returns a figure has this decorator.
    """

    @wraps(function)
    def styled(*arguments: _P.args, **options: _P.kwargs) -> _R:
        with matplotlib.style.context("default"):
            return function(*arguments, **options)

    return styled


class _OwnFigure(Figure):
    """A figure that keeps its style until it is shown: ticks are made when they are drawn."""

    draw = in_own_style(Figure.draw)
    savefig = in_own_style(Figure.savefig)


def blank(height: float) -> Figure:
    """Open an empty figure of the usual width and a height in inches, which pyplot will show."""
    size = (WIDTH, height)
    if not _FOR_FILES.get():
        return plt.figure(figsize=size, FigureClass=_OwnFigure)
    figure = _OwnFigure(figsize=size)
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def for_files() -> Iterator[None]:
    """Draw figures that will only be saved: pyplot and its backend know nothing of them."""
    before = _FOR_FILES.set(True)
    try:
        yield
    finally:
        _FOR_FILES.reset(before)


@dataclass(frozen=True, slots=True)
class Curve:
    """One arm: values (S, E) of S seeds at E places, what its label says and where it points."""

    label: str
    x: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    number: str
    end: float
    seeds: tuple[int, ...] = ()

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """Mean over the seeds, shape (E,)."""
        return np.asarray(self.values.mean(0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """Curves over epochs, or over the values of a setting that were tried, and all their words."""

    name: str
    title: str
    note: str
    caption: str
    alt: str
    x_title: str
    y_title: str
    low: float
    high: float
    digits: int
    """Decimals of a value."""
    curves: tuple[Curve, ...]
    chance: tuple[float, str] | None = None
    published: Mapping[str, float] = field(default_factory=dict)
    """Somebody else's numbers, by arm."""
    published_title: str = ""
    tried: Mapping[str, Sequence[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]] = field(
        default_factory=dict
    )
    """Every line of an arm, where it has several; then the axis has a log scale."""
    diverged: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Places that have no value, by arm."""

    @property
    def places(self) -> list[float]:
        """Every place that has a value, in order."""
        every = {float(x) for curve in self.curves for x in curve.x}
        every |= {float(x) for lines in self.tried.values() for xs, _ in lines for x in xs}
        return sorted(every.union(*self.diverged.values()))

    @property
    def x_range(self) -> tuple[float, float]:
        """Ends of the horizontal axis."""
        first, last = self.places[0], self.places[-1]
        return (first / 1.15, last * 1.05) if self.tried else _epoch_range(last)

    @property
    def x_ticks(self) -> list[float]:
        """Places that the horizontal axis names."""
        return self.places if self.tried else _epoch_ticks(self.places[-1])


def _epoch_range(last: float) -> tuple[float, float]:
    return 0.6, last + (0.1 if last > 1 else 0.4)


def _epoch_ticks(last: float) -> list[float]:
    step = max(1, 5 * round(last / 20))
    return sorted({1.0, *np.arange(step, last + 1, step, dtype=np.float64).tolist()})


@dataclass(frozen=True, slots=True)
class Row:
    """One line of an interval plot; ``arm`` lends its colour."""

    name: str
    arm: str
    seeds: list[float]
    mean: float
    low: float
    high: float
    text: str


def describe(fig: Figure, *, name: str, caption: str, alt: str) -> Figure:
    """Attach a reference name, a caption and an alternative text, for whoever shows the figure."""
    fig.normstudy = {"name": name, "caption": caption, "alt": alt}  # type: ignore[attr-defined]
    return fig


@in_own_style
def draw(graph: Graph) -> Figure:
    """Draw a graph, and attach it to the figure as ``figure.graph``, with its words."""
    fig, ax = panel(graph.title, graph.note)
    if graph.tried:
        ax.set_xscale("log")
    ax.set_ylim(graph.low, graph.high)
    if graph.chance:
        mark_chance(ax, *graph.chance)
    if graph.published:
        mark_reference(ax, graph.published, graph.published_title)
    mark_lost(ax, graph.diverged, [curve.label for curve in graph.curves])
    finish(ax, graph.curves, graph.x_title, graph.y_title)
    if graph.tried:
        _draw_tried(ax, graph)
    fig.graph = graph  # type: ignore[attr-defined]
    return describe(fig, name=graph.name, caption=graph.caption, alt=graph.alt)


def _draw_tried(ax: Axes, graph: Graph) -> None:
    """Draw every line of every arm, and the best setting of each."""
    arms = [curve.label for curve in graph.curves]
    for curve in graph.curves:
        color, dashes, marker = style(curve.label, arms)
        for x, y in graph.tried[curve.label]:
            (line,) = ax.plot(x, y, ".", color=color, markersize=5, linestyle="-", linewidth=0.8)
            line.set_dashes(dashes)
        top = curve.mean.argmax()
        ax.plot(curve.x[top], curve.mean[top], marker, color=color, markersize=9)
    ax.set_xlim(*graph.x_range)
    ax.set_xticks(graph.x_ticks, [f"{tick:g}" for tick in graph.x_ticks])
    ax.minorticks_off()


def mark_lost(ax: Axes, lost: Mapping[str, Sequence[float]], labels: Sequence[str]) -> None:
    """Mark places that have no value with crosses, in a strip below all that have one.

    A panel whose vertical range is set gets longer by the strip, which has a row for each arm.
    """
    if not lost:
        return
    (low, high), row = ax.get_ylim(), 11 / _points(ax)
    step = (high - low) * row / (1 - row * len(lost))
    ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick <= high])
    ax.set_ylim(low - step * len(lost), high)
    ax.axhline(low, color=QUIET, linewidth=0.8)
    words: dict[str, Any] = {"va": "top", "fontsize": 9.5, "color": QUIET}
    ax.text(0.01, low, "lost", transform=ax.get_yaxis_transform(), **words)
    for place, (arm, xs) in enumerate(lost.items()):
        y = [low - step * (place + 0.5)] * len(xs)
        ax.plot(xs, y, "x", color=style(arm, labels)[0], markersize=7)


def style(label: str, labels: Sequence[str]) -> tuple[str, tuple[float, ...], str]:
    """Choose color, dashes and marker; labels that have none of their own take spare ones.

    The only label of a norm, such as ``"Layer norm + L2"``, looks like that norm.
    """
    norms = [other.partition(" +")[0] for other in labels]
    own = {
        other: other if other in COLORS else norm
        for other, norm in zip(labels, norms, strict=True)
        if other in COLORS or (norm in COLORS and norms.count(norm) == 1)
    }
    if label in own:
        return COLORS[own[label]], *STYLES[own[label]]
    place = [other for other in labels if other not in own].index(label) % len(SPARE_COLORS)
    free_first = sorted(STYLES, key=lambda arm: arm in own.values())
    return SPARE_COLORS[place], *STYLES[free_first[place]]


def panel(
    title: str,
    subtitle: str,
    *,
    height: float = 4.6,
    left: float = 0.6,
    right: float = 2.0,
    bottom: float = 0.6,
    top: float = 0.9,
) -> tuple[Figure, Axes]:
    """Open a figure with one plot; sizes in inches, ``top`` for a subtitle of one line."""
    top += 0.19 * subtitle.count("\n")
    fig = blank(height)
    wide, tall = WIDTH - left - right, height - top - bottom
    ax = fig.add_axes((left / WIDTH, bottom / height, wide / WIDTH, tall / height))
    corner: dict[str, Any] = {"x": 0.1 / WIDTH, "va": "top"}
    fig.text(y=1 - 0.1 / height, s=title, fontsize=13, weight="bold", **corner)
    fig.text(y=1 - 0.39 / height, s=subtitle, fontsize=9.5, color=QUIET, **corner)
    ax.spines[:].set_visible(False)
    ax.tick_params(which="both", length=0, labelsize=10)
    return fig, ax


def finish(ax: Axes, curves: Sequence[Curve], x_title: str, y_title: str) -> None:
    """Draw curves with bands, axis titles and labels into a panel whose vertical range is set."""
    labels = [curve.label for curve in curves]
    for curve in curves:
        color, dashes, marker = style(curve.label, labels)
        if len(curve.values) > 1:
            band = (curve.values.min(0), curve.values.max(0))
            ax.fill_between(curve.x, *band, color=color, alpha=0.12, linewidth=0)
        (line,) = ax.plot(curve.x, curve.mean, color=color, linewidth=1.8, label=curve.label)
        line.set(dashes=dashes, marker=marker if len(curve.x) < 100 else "")
        line.set(markersize=4, markeredgewidth=0)
    last = max(float(curve.x[-1]) for curve in curves)
    if x_title == "epoch":
        ax.set_xticks(_epoch_ticks(last))
        ax.set_xlim(*_epoch_range(last))
    elif ax.get_xscale() == "log":
        ax.set_xlim(min(float(curve.x[0]) for curve in curves) / 1.15, last * 1.05)
    else:
        ax.set_xlim(0, last)
    ax.set_xlabel(x_title, fontsize=10.5)
    # above its end, where it reads without tilting the head
    ax.set_ylabel(y_title, fontsize=10.5, rotation=0, ha="left", va="bottom")
    ax.yaxis.set_label_coords(0, 1.02)
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    _end_labels(ax, curves)


def _end_labels(ax: Axes, curves: Sequence[Curve]) -> None:
    """Write name and number right of each line's end, pushed apart, joined to it by a leader."""
    to_axes, point = ax.transData + ax.transAxes.inverted(), 1 / _points(ax)
    starts = to_axes.transform([(curve.x[-1], curve.end) for curve in curves]).clip(0, 1)
    middles = label_places(curves, starts[:, 1].tolist(), 29 * point)
    for curve, (x, y), middle in zip(curves, starts, middles, strict=True):
        color, dashes, _ = style(curve.label, [other.label for other in curves])
        # the way to the edge must not look like a part of the curve, and has none over settings
        if x < 0.97 and ax.get_xscale() == "linear":
            _line(ax, ([x, 1.02], [y, y]), QUIET, DOTS, linewidth=0.6)
        path = ([max(x, 1.0), 1.02, 1.05, 1.085], [y, y, middle, middle])
        _line(ax, path, color, dashes, clip_on=False)
        words: dict[str, Any] = {"transform": ax.transAxes, "fontsize": 10}
        ax.text(1.1, middle + 2 * point, curve.label, va="baseline", weight="bold", **words)
        ax.text(1.1, middle - 11 * point, curve.number, va="baseline", **words)


def label_places(
    curves: Sequence[Curve], ends: Sequence[float], gap: float
) -> npt.NDArray[np.float64]:
    """Place the labels of curves that end at these heights, in fractions of the panel."""
    # equal ends: the arm with the higher curve on top, then the one named first
    ties = [1e-4 * float(c.values.max() / max(d.values.max() for d in curves)) for c in curves]
    return apart([y + ties[i] - 1e-9 * i for i, y in enumerate(ends)], gap, 0.02, 0.98)


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> npt.NDArray[np.float64]:
    """Move places as little as possible (least squares) until neighbours are ``gap`` apart."""
    places = np.asarray(wanted, dtype=np.float64)
    order = np.argsort(places, kind="stable")
    steps = min(gap, (high - low) / max(1, len(places) - 1)) * np.arange(len(places))
    moved = np.empty_like(places)
    moved[order] = isotonic_regression(places[order] - steps).x.clip(low, high - steps[-1]) + steps
    return moved


def airy(shown: Sequence[float]) -> tuple[float, float]:
    """Choose the ends of a vertical axis that holds these values and a little air."""
    low, high = min(shown), max(shown)
    air = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return float(low - (0 if low == 0 else air)), float(high + air)


def limit(ax: Axes, shown: Sequence[float]) -> None:
    """Let the vertical axis hold these values and a little air."""
    ax.set_ylim(*airy(shown))


def mark_chance(ax: Axes, chance: float, text: str) -> None:
    """Draw the chance level, or say in which direction it lies when it would squeeze the rest."""
    low, high = ax.get_ylim()
    words: dict[str, Any] = {"ha": "right", "fontsize": 9.5, "color": QUIET}
    if low <= chance <= high:
        ax.axhline(chance, color=QUIET, linewidth=1)
        ax.text(0.99, chance, text, transform=ax.get_yaxis_transform(), va="bottom", **words)
    elif chance > high:
        text = f"\N{UPWARDS ARROW} {text}"
        ax.text(1, 1.02, text, transform=ax.transAxes, va="bottom", **words)
    else:
        text, below = f"\N{DOWNWARDS ARROW} {text}", -19 / _points(ax)
        ax.text(1, below, text, transform=ax.transAxes, va="top", **words)


def mark_reference(ax: Axes, published: Mapping[str, float], title: str) -> None:
    """Draw somebody else's numbers as dotted lines, with a legend where it hides least."""
    lines = []
    for label, value in published.items():
        look: dict[str, Any] = {"color": style(label, [label])[0], "dashes": DOTS, "zorder": 1}
        lines.append(ax.axhline(value, label=f"{label} {value:.2f}", **look))
    words: dict[str, Any] = {"fontsize": 9, "title_fontsize": 9, "labelcolor": QUIET}
    box: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "framealpha": 0.8}
    legend = ax.legend(handles=lines, title=title, alignment="left", **words, **box)
    legend.get_title().set(style="italic", color=QUIET)


@in_own_style
def forest(rows: Sequence[Row], title: str, subtitle: str, axis: str) -> Figure:
    """Draw intervals under each other."""
    left = 0.35 + 0.078 * max(len(row.name) for row in rows)
    right = 0.35 + 0.078 * max(len(row.text) for row in rows)
    height = 1.65 + 0.36 * len(rows)
    fig, ax = panel(title, subtitle, height=height, left=left, right=right, top=0.76)
    for place, row in enumerate(rows):
        color, _, marker = style(row.arm, [other.arm for other in rows])
        ax.plot([row.low, row.high], [place, place], color=color, linewidth=2)
        ax.plot(row.mean, place, marker, color=color, markersize=8)
        ax.plot(row.seeds, [place] * len(row.seeds), "o", color="black", markersize=2.5, alpha=0.6)
        ax.text(1.03, place, row.text, transform=ax.get_yaxis_transform(), va="center", fontsize=10)
    ax.set_yticks(range(len(rows)), [row.name for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(axis="x", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_xlabel(axis, fontsize=10.5)
    return fig


def _line(
    ax: Axes,
    path: tuple[list[float], list[float]],
    color: str,
    dashes: Sequence[float],
    **more: Any,
) -> None:
    """Draw a thin line whose places are fractions of the panel."""
    look: dict[str, Any] = {"color": color, "linewidth": 1.3, "transform": ax.transAxes}
    line = Line2D(*path, **look | more)
    line.set_dashes(dashes)
    ax.add_line(line)


def _points(ax: Axes) -> float:
    """Height of the panel in points, the unit of font sizes."""
    return float(ax.bbox.height * 72 / ax.figure.dpi)
