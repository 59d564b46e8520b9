"""Graphs of runs as live SVG: readers ask them for values, on any screen and without a network.

A Sphinx extension. :func:`widget` writes a :class:`normstudy.drawing.Graph`, from which matplotlib
draws the figure of a script, as a picture whose text stays text and as the table of its last epoch.
``graphs.js`` moves the table to other epochs; all that it can show is written here. Sizes in the
picture are percents of the plot, or pixels for what must not grow with it, so it fits any width.
"""

import html
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from docutils import nodes
from docutils.parsers.rst import directives
from matplotlib.ticker import MaxNLocator
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.directives.patches import Figure as FigureDirective
from sphinx.util.docutils import SphinxDirective

from normstudy.drawing import DOTS, Curve, Graph, label_places, style

HEIGHT = 300  # pixels of the plot, as in graphs.css
UNIT = 1000  # the plot is as many units wide and high, for lines that are stretched with it
CROWDED = 0.115  # ticks nearer than this part of the plot lie on each other on a phone
MARKS = {
    "o": "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",
    "s": "M-2.7-2.7h5.4v5.4h-5.4z",
    "^": "M0-3.5l3.3 6.2h-6.6z",
    "v": "M0 3.5l3.3-6.2h-6.6z",
    "D": "M0-3.7l3.7 3.7l-3.7 3.7l-3.7-3.7z",
    "X": "M-3-1.5l1.5-1.5l1.5 1.5l1.5-1.5l1.5 1.5l-1.5 1.5l1.5 1.5l-1.5 1.5l-1.5-1.5l-1.5 1.5"
    "l-1.5-1.5l1.5-1.5z",
    "P": "M-1-3.2h2v2.2h2.2v2h-2.2v2.2h-2v-2.2h-2.2v-2h2.2z",
}

Values = npt.NDArray[np.float64]


def widget(graph: Graph) -> str:
    """Write the whole of a graph: picture, slider, switches and table."""
    steps = readings(graph)
    data = html.escape(json.dumps(steps, ensure_ascii=False, separators=(",", ":")))
    parts = [
        f'<p class="graph-title">{html.escape(graph.title)}</p>',
        f'<div class="graph-plot">{picture(graph)}</div>',
        *_published_below(graph),
        _controls(graph),
        _table(graph, steps[start(graph)]),
    ]
    return "\n".join([f'<div class="graph" data-steps="{data}">', *parts, "</div>\n"])


# -- the picture -----------------------------------------------------------------------------------


def across(graph: Graph, x: float) -> float:
    """Return where a place lies between the left edge of the plot, 0, and the right one, 1."""
    low, high = graph.x_range
    if graph.tried:
        low, high, x = math.log(low), math.log(high), math.log(x)
    return (x - low) / (high - low)


def down(graph: Graph, y: float) -> float:
    """Return where a value lies between the upper edge of the plot, 0, and the lower one, 1."""
    return (graph.high - y) / (graph.high - graph.low)


def picture(graph: Graph) -> str:
    """Draw the graph as SVG, which colours and switches reach through ``data-arm``."""
    plot, marks = "", ""
    for i, curve in enumerate(graph.curves):
        plot += _arm(graph, i, "".join(_lines(graph, curve)))
        marks += _arm(graph, i, "".join(_marks(graph, i, curve)))
    cursor = _part(across(graph, graph.places[start(graph)]))
    stretched = f'viewBox="0 0 {UNIT} {UNIT}" preserveAspectRatio="none"'
    return (
        f'<svg role="img" aria-label="{html.escape(graph.alt)}">'
        f"<defs>{''.join(_symbols(graph))}</defs>"
        f'<g class="graph-axes">{"".join(_axes(graph))}</g>'
        f"{''.join(_published(graph))}"
        f'<svg class="graph-lines" width="100%" height="100%" {stretched}>{plot}</svg>{marks}'
        f'<line class="graph-cursor" x1="{cursor}" x2="{cursor}" y1="0" y2="100%"/>'
        f'<g class="graph-wide">{"".join(_labels(graph))}</g></svg>'
    )


def _part(fraction: float) -> str:
    return f"{100 * fraction:.2f}%"


def _path(graph: Graph, x: Sequence[float] | Values, y: Sequence[float] | Values) -> str:
    """Write a line through the plot; what lies outside it is cut off by the picture."""
    points = zip(x, y, strict=True)
    pairs = (f"{UNIT * across(graph, a):.2f} {UNIT * down(graph, b):.2f}" for a, b in points)
    return "M" + "L".join(pairs)


def _arm(graph: Graph, i: int, inner: str) -> str:
    """Group what belongs to an arm, in its colour."""
    label = graph.curves[i].label
    color = style(label, [curve.label for curve in graph.curves])[0]
    return f'<g data-arm="{i}" style="--arm:{color}">{inner}</g>'


def _dashes(graph: Graph, label: str) -> str:
    dashes = style(label, [curve.label for curve in graph.curves])[1]
    lengths = " ".join(f"{2 * length:g}" for length in dashes)  # in widths of the line, which is 2
    return f' stroke-dasharray="{lengths}"' if lengths else ""


def _lines(graph: Graph, curve: Curve) -> Iterator[str]:
    """Draw the band, the seeds, every line that was tried, and above them the mean."""
    dashes = _dashes(graph, curve.label)
    if len(curve.values) > 1:
        around = [*curve.x, *curve.x[::-1]]
        edge = [*curve.values.max(0), *curve.values.min(0)[::-1]]
        yield f'<path class="graph-band" d="{_path(graph, around, edge)}Z"/>'
        for seed, values in zip(curve.seeds, curve.values, strict=True):
            path = _path(graph, curve.x, values)
            yield f'<path class="graph-seed graph-off" data-seed="{seed}" d="{path}"/>'
    for x, y in graph.tried.get(curve.label, ()):
        yield f'<path class="graph-tried"{dashes} d="{_path(graph, x, y)}"/>'
    yield f'<path class="graph-mean"{dashes} d="{_path(graph, curve.x, curve.mean)}"/>'


def _symbols(graph: Graph) -> Iterator[str]:
    for i, curve in enumerate(graph.curves):
        marker = style(curve.label, [other.label for other in graph.curves])[2]
        yield f'<path id="{graph.name}-mark-{i}" d="{MARKS[marker]}"/>'
        if graph.tried:
            yield f'<path id="{graph.name}-best-{i}" d="{MARKS[marker]}" transform="scale(1.8)"/>'
    if graph.diverged:
        yield f'<path id="{graph.name}-cross" class="graph-cross" d="M-4-4l8 8m0-8l-8 8"/>'


def _marks(graph: Graph, i: int, curve: Curve) -> Iterator[str]:
    """Mark each value; of what was tried only the best has the large mark of its arm."""

    def at(x: float, y: float, name: str) -> Iterator[str]:
        if graph.low <= y <= graph.high:
            place = f'x="{_part(across(graph, x))}" y="{_part(down(graph, y))}"'
            yield f'<use href="#{graph.name}-{name}" {place}/>'

    if not graph.tried and len(curve.x) < 100:
        for x, y in zip(curve.x, curve.mean, strict=True):
            yield from at(x, y, f"mark-{i}")
    for xs, ys in graph.tried.get(curve.label, ()):
        for x, y in zip(xs, ys, strict=True):
            if graph.low <= y <= graph.high:
                place = f'cx="{_part(across(graph, x))}" cy="{_part(down(graph, y))}"'
                yield f'<circle {place} r="2.2"/>'
    if graph.tried:
        best = curve.mean.argmax()
        yield from at(curve.x[best], curve.mean[best], f"best-{i}")
    for lost in graph.diverged.get(curve.label, ()):
        yield from at(lost, graph.low, "cross")


def _axes(graph: Graph) -> Iterator[str]:
    """Draw grid, ticks, titles and the chance level."""
    ticks = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(graph.low, graph.high)
    for tick in (float(value) for value in ticks if graph.low <= value <= graph.high):
        level = _part(down(graph, tick))
        yield f'<line class="graph-grid" x2="100%" y1="{level}" y2="{level}"/>'
        yield f'<text x="-8" y="{level}" dy="0.33em" text-anchor="end">{tick:.6g}</text>'
    left = -1.0
    for tick in graph.x_ticks:
        place, of = across(graph, tick), ""
        if place - left < CROWDED:
            of = 'class="graph-wide" '
        else:
            left = place
        at = f'x="{_part(place)}" y="100%" dy="20" text-anchor="middle"'
        yield f"<text {of}{at}>{tick:g}</text>"
    title = html.escape(graph.x_title)
    yield f'<text class="graph-ink" x="50%" y="100%" dy="39" text-anchor="middle">{title}</text>'
    yield f'<text class="graph-ink" x="-40" y="-10">{html.escape(graph.y_title)}</text>'
    if graph.chance:
        chance, text = down(graph, graph.chance[0]), html.escape(graph.chance[1])
        at = f'x="100%" y="{_part(min(max(chance, 0), 1))}" text-anchor="end"'
        if chance < 0:
            yield f'<text {at} dy="-10">\N{UPWARDS ARROW} {text}</text>'
        elif chance > 1:
            yield f'<text {at} dy="39">\N{DOWNWARDS ARROW} {text}</text>'
        else:
            level = f'y1="{_part(chance)}" y2="{_part(chance)}"'
            yield f'<line class="graph-chance" x2="100%" {level}/><text {at} dy="-5">{text}</text>'


def _labels(graph: Graph) -> Iterator[str]:
    """Name each curve right of its end, and join the two by a leader."""
    ends = [min(max(1 - down(graph, curve.end), 0), 1) for curve in graph.curves]
    places = label_places(graph.curves, ends, 33 / HEIGHT)
    for i, (curve, end, place) in enumerate(zip(graph.curves, ends, places, strict=True)):
        start, middle = UNIT * (1 - end), UNIT * (1 - place)
        line = f"M0 {start:.1f}H6L20 {middle:.1f}H30"
        leader = f'<path d="{line}"{_dashes(graph, curve.label)}/>'
        yield _arm(
            graph,
            i,
            f'<svg class="graph-leaders" x="100%" width="30" height="100%" '
            f'viewBox="0 0 30 {UNIT}" preserveAspectRatio="none">{leader}</svg>'
            f'<text class="graph-ink graph-name" x="100%" y="{_part(1 - place)}" dx="35" dy="-2">'
            f'{html.escape(curve.label)}</text><text class="graph-ink" x="100%" '
            f'y="{_part(1 - place)}" dx="35" dy="13">{html.escape(curve.number)}</text>',
        )


def _published(graph: Graph) -> Iterator[str]:
    """Draw somebody else's numbers as dotted lines."""
    dots = " ".join(f"{1.5 * length:g}" for length in DOTS)
    for arm, value in graph.published.items():
        i = [curve.label for curve in graph.curves].index(arm)
        y = _part(down(graph, value))
        line = f'<line x2="100%" y1="{y}" y2="{y}"/>'
        yield f'<g class="graph-dots" stroke-dasharray="{dots}">{_arm(graph, i, line)}</g>'


# -- what readers switch and read ------------------------------------------------------------------


def readings(graph: Graph) -> list[dict[str, Any]]:
    """Write what the table says at each place: its name, where the cursor stands, and the cells."""
    label = graph.x_title.removesuffix(" (log scale)")
    return [
        {
            "name": f"{label.capitalize()} {place:g}",
            "x": _part(across(graph, place)),
            "rows": [_cells(graph, curve, place) for curve in graph.curves],
        }
        for place in graph.places
    ]


def start(graph: Graph) -> int:
    """Choose the place that the table shows first: the last epoch, or the best of all settings."""
    if not graph.tried:
        return len(graph.places) - 1
    best = max(graph.curves, key=lambda curve: float(curve.mean.max()))
    return graph.places.index(float(best.x[best.mean.argmax()]))


def all_seeds(graph: Graph) -> list[int]:
    """List the seeds of all arms; none where a single one needs no switch."""
    seeds = sorted({seed for curve in graph.curves for seed in curve.seeds})
    return seeds if len(seeds) > 1 else []


def _cells(graph: Graph, curve: Curve, place: float) -> list[str]:
    """Write the values of an arm at a place, as the columns of the table ask."""
    if graph.tried:
        lines = graph.tried[curve.label]
        found = [float(y[x == place][0]) for x, y in lines if place in x]
        failed = sum(x == place for x in graph.diverged.get(curve.label, ()))
        best = f"{max(found):.{graph.digits}f}" if found else "loss not finite"
        return [best if found or failed else "not tried", str(len(found) + failed)]
    if place not in curve.x:
        return ["\N{EN DASH}"] * len(_columns(graph))
    values = curve.values[:, curve.x == place][:, 0]
    mean, low, high = (f"{f(values):.{graph.digits}f}" for f in (np.mean, np.min, np.max))
    if not (seeds := all_seeds(graph)):
        return [mean]
    spread = (
        f" ±\N{NO-BREAK SPACE}{values.std(ddof=1):.{graph.digits}f}"
        if len(values) > 1
        else " (n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}1)"
    )
    single = dict(zip(curve.seeds, values, strict=True))
    each = (f"{single[s]:.{graph.digits}f}" if s in single else "\N{EN DASH}" for s in seeds)
    return [mean + spread, f"{low} to {high}", *each]


def _columns(graph: Graph) -> list[str]:
    if graph.tried:
        return ["best", "settings tried"]
    if not (seeds := all_seeds(graph)):
        return ["value (n = 1)"]
    return ["mean ± sd", "lowest to highest", *(f"seed {seed}" for seed in seeds)]


def _table(graph: Graph, step: dict[str, Any]) -> str:
    """Write the table of the last place; the first column is the legend, with a switch an arm."""
    seeds = [None, None, *all_seeds(graph)]

    def seed(i: int) -> str:
        of = seeds[i] if i < len(seeds) else None
        return "" if of is None else f' class="graph-off" data-seed="{of}"'

    head = "".join(
        f'<th scope="col"{seed(i)}>{name}</th>' for i, name in enumerate(_columns(graph))
    )
    rows = ""
    for i, (curve, cells) in enumerate(zip(graph.curves, step["rows"], strict=True)):
        line = f'<path class="graph-mean"{_dashes(graph, curve.label)} d="M0 6H26"/>'
        sample = _arm(graph, i, f'{line}<use href="#{graph.name}-mark-{i}" x="13" y="6"/>')
        switch = f'<input type="checkbox" checked="checked" data-switch="arm" value="{i}"/>'
        name = f'<svg width="26" height="12" aria-hidden="true">{sample}</svg>'
        name += f" {html.escape(curve.label)}"
        values = "".join(f"<td{seed(j)}>{cell}</td>" for j, cell in enumerate(cells))
        rows += f'<tr><th scope="row"><label>{switch} {name}</label></th>{values}</tr>'
    unit = html.escape(graph.y_title)
    caption = f'<caption><span class="graph-step">{step["name"]}</span>: {unit}</caption>'
    head = f'<thead><tr><th scope="col">arm</th>{head}</tr></thead>'
    return f'<div class="graph-scroll"><table>{caption}{head}<tbody>{rows}</tbody></table></div>'


def _controls(graph: Graph) -> str:
    """Write the slider, the switches of the seeds, and what is said to those who do not see."""
    label = html.escape(graph.x_title.removesuffix(" (log scale)"))
    last, value = len(graph.places) - 1, start(graph)
    slider = f'<input type="range" aria-label="{label}" min="0" max="{last}" value="{value}"/>'
    seeds = "".join(
        f'<label><input type="checkbox" data-switch="seed" value="{seed}"/> {seed}</label> '
        for seed in all_seeds(graph)
    )
    if seeds:
        seeds = f"<fieldset><legend>single seeds</legend> {seeds}</fieldset>"
    said = '<output class="visually-hidden"></output>'
    return f'<div class="graph-controls">{slider}{seeds}{said}</div>'


def _published_below(graph: Graph) -> Iterator[str]:
    """Name the dotted lines below the plot: inside it they would lie on the curves."""
    if graph.published:
        named = ", ".join(f"{arm} {value:.2f}" for arm, value in graph.published.items())
        text = html.escape(f"{graph.published_title}: {named}")
        yield f'<p class="graph-theirs">Dotted, {text}</p>'


# -- Sphinx ----------------------------------------------------------------------------------------


class LiveFigure(SphinxDirective, FigureDirective):
    """A figure that is live on a page, and an image where a page cannot be touched."""

    option_spec: ClassVar = {**(FigureDirective.option_spec or {}), "live": directives.path}

    def run(self) -> list[nodes.Node]:
        """Return the figure with the live graph before the image."""
        live = self.options.pop("live")
        result = super().run()
        _, path = self.env.relfn2path(live)
        self.env.note_dependency(path)
        self.env.metadata[self.env.docname]["graphs"] = "yes"
        text = Path(path).read_text(encoding="utf-8")
        for figure in (node for node in result if isinstance(node, nodes.figure)):
            image = figure[0]
            alive = addnodes.only(expr="html and not epub")
            still = addnodes.only(expr="epub or not html")
            alive += nodes.raw("", text, format="html")
            figure.replace(image, [alive, still])
            still += image
        return result


def add_files(app: Sphinx, page: str, *_: Any) -> None:
    """Load script and style on pages that have a live graph, and on no other."""
    if "graphs" in app.env.metadata.get(page, {}):
        app.add_js_file("graphs.js", loading_method="defer")
        app.add_css_file("graphs.css")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive and the hook with Sphinx."""
    app.add_directive("live-figure", LiveFigure)
    app.connect("html-page-context", add_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
