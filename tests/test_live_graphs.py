"""The live graphs of the report show what matplotlib draws and what the runs recorded."""

import html
import json
import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import gallery_hooks
import live_graphs
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from PIL import Image
from sphinx.application import Sphinx
from study.fakes import fake_run

from normstudy.drawing import COLORS, STYLES, draw, style
from normstudy.study import curves
from normstudy.study.design import Reference
from normstudy.study.recipes import Recipe

pytestmark = pytest.mark.usefixtures("own_sphinx")

STYLE = Path(__file__).parents[1] / "docs" / "_static" / "graphs.css"
NORMS = dict(zip(COLORS, ("batch", "batch", "group", "layer", "instance", "none"), strict=True))
SOURCE = Reference(values={"Batch norm": 81.6, "Layer norm": 77.0}, label="report", source="Read.")


def arms(seeds=10, epochs=20):
    """Make six arms whose curves all differ."""
    rng = np.random.default_rng(0)

    def run(arm, seed):
        recipe = Recipe(norm=NORMS[arm], epochs=epochs, seed=seed, l1=1e-5 * arm.endswith("L1"))
        rise = 1 - np.exp(-4 * np.arange(1, epochs + 1) / epochs)
        return fake_run(recipe, 0.1 + (0.7 + 0.1 * rng.random()) * rise)

    return {arm: [run(arm, seed) for seed in range(seeds)] for arm in NORMS}


def searched():
    runs = [
        fake_run(Recipe(norm="group", lr=lr, num_groups=groups, validation=True), [0.3, last])
        for lr, groups, last in ((0.1, 8, 0.70), (0.2, 8, 0.72), (0.2, 4, 0.75), (0.4, 4, 0.2))
    ]
    none = [fake_run(Recipe(norm="none", lr=0.1, validation=True), [0.2, 0.68])]
    return curves.sweep(
        {"Group norm": runs, "No norm": none},
        "lr",
        title="A search",
        axis="learning rate",
        diverged={"No norm": [Recipe(norm="none", lr=0.6)]},
    )


GRAPHS = {
    "loss": lambda: curves.history(arms(), "test_loss"),
    "accuracy": lambda: curves.history(arms(3), "test_accuracy", reference=SOURCE),
    "one seed": lambda: curves.history(arms(1), "train_loss"),
    "one epoch": lambda: curves.history(arms(2, epochs=1), "test_accuracy"),
    "sweep": searched,
}
each_graph = pytest.mark.parametrize("graph", [make() for make in GRAPHS.values()], ids=GRAPHS)


def tree(graph):
    """Read a graph as the browser does; that it is well-formed is part of each test."""
    return ET.fromstring(live_graphs.widget(graph))


def found(graph, name):
    return [part for part in tree(graph).iter() if name in part.get("class", "").split()]


def points(graph, path):
    """Map the points of a path back to places and values."""
    units = np.array(re.findall(r"[-\d.]+", path.get("d")), dtype=float).reshape(-1, 2)
    left, right = graph.x_range
    if graph.tried:
        left, right = np.log(left), np.log(right)
    x = left + units[:, 0] / live_graphs.UNIT * (right - left)
    y = graph.high - units[:, 1] / live_graphs.UNIT * (graph.high - graph.low)
    return np.column_stack([np.exp(x) if graph.tried else x, y])


def steps(graph):
    return json.loads(tree(graph).get("data-steps"))


# -- the picture -----------------------------------------------------------------------------------


@each_graph
def test_lines_are_those_of_matplotlib(graph):
    axes = draw(graph).axes[0]
    low, high = axes.get_ylim()
    assert high == pytest.approx(graph.high)
    if graph.diverged:
        assert low < graph.low, "matplotlib's crosses have a strip of their own"
    else:
        assert low == pytest.approx(graph.low)
    assert axes.get_xlim() == pytest.approx(graph.x_range)
    assert axes.get_xticks().tolist() == graph.x_ticks
    close = {"atol": 2e-5 * max(graph.high - graph.low, graph.x_range[1])}
    theirs = {line.get_label(): line for line in axes.lines}
    plot = found(graph, "graph-lines")[0]
    for curve, group in zip(graph.curves, plot, strict=True):
        (line,) = (path for path in group if path.get("class") == "graph-mean")
        expected = theirs[curve.label].get_xydata()
        np.testing.assert_allclose(points(graph, line), expected, **close)
        color, dashes, _ = style(curve.label, [other.label for other in graph.curves])
        assert group.get("style") == f"--arm:{color}"
        assert theirs[curve.label].get_color() == color
        assert bool(line.get("stroke-dasharray")) == bool(dashes)


@each_graph
def test_bands_are_those_of_matplotlib(graph):
    bands = [art for art in draw(graph).axes[0].collections if isinstance(art, PolyCollection)]
    ours = found(graph, "graph-band")
    assert len(ours) == len(bands) == (len(graph.curves) if len(graph.curves[0].values) > 1 else 0)
    for path, band in zip(ours, bands, strict=True):
        expected = band.get_paths()[0].vertices
        shape = points(graph, path)
        for x in np.unique(expected[:, 0]):
            there = expected[expected[:, 0] == x, 1]
            here = shape[np.isclose(shape[:, 0], x, atol=1e-3), 1]
            ends = (here.min(), here.max())
            assert ends == pytest.approx((there.min(), there.max()), abs=1e-3)


def test_every_line_of_a_sweep_is_drawn_and_its_best_has_the_large_mark():
    graph = searched()
    theirs = [line for line in draw(graph).axes[0].lines if line.get_marker() == "."]
    ours = found(graph, "graph-tried")
    assert len(ours) == len(theirs) == 3
    for path, line in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(points(graph, path), line.get_xydata(), rtol=1e-4)
    uses = [part.get("href") for part in tree(graph).iter("use")]
    assert uses.count("#sweep-lr-best-0") == uses.count("#sweep-lr-best-1") == 1
    assert uses.count("#sweep-lr-cross") == 1


def test_every_seed_has_its_line():
    graph = curves.history(runs := arms(4), "test_accuracy")
    for i, arm in enumerate(runs):
        seeds = [path for path in found(graph, "graph-lines")[0][i] if path.get("data-seed")]
        for path, run in zip(seeds, runs[arm], strict=True):
            assert path.get("data-seed") == str(run.recipe.seed)
            expected = 100 * np.array(run.history["test_accuracy"])
            np.testing.assert_allclose(points(graph, path)[:, 1], expected, atol=2e-3)


@each_graph
def test_labels_stand_apart_and_say_what_the_figure_says(graph):
    texts = [text.get_text() for text in draw(graph).axes[0].texts]
    names = found(graph, "graph-name")
    assert [name.text for name in names] == [curve.label for curve in graph.curves]
    places = sorted(float(name.get("y").rstrip("%")) for name in names)
    assert all(b - a >= 100 * 33 / live_graphs.HEIGHT - 0.1 for a, b in pairwise(places))
    shown = {part.text for part in tree(graph).iter("text")}
    for curve in graph.curves:
        assert {curve.label, curve.number} <= shown & set(texts)
    if graph.chance:
        assert next(text for text in texts if text.endswith(graph.chance[1])) in shown


def test_numbers_of_others_are_lines_at_their_height_and_named_below():
    graph = GRAPHS["accuracy"]()
    lines = [part for group in found(graph, "graph-dots") for part in group.iter("line")]
    heights = {line.get("y2") for line in lines}
    expected = {f"{100 * live_graphs.down(graph, v):.2f}%" for v in SOURCE.values.values()}
    assert heights == expected
    (below,) = found(graph, "graph-theirs")
    assert below.text == "Dotted, report, %: Batch norm 81.60, Layer norm 77.00"


def test_marks_and_sizes_are_known():
    assert {marker for _, marker in STYLES.values()} | {style("new", ["new"])[2]} <= set(
        live_graphs.MARKS
    )
    text = STYLE.read_text()
    assert f"height: {live_graphs.HEIGHT}px" in text
    assert f"--lift: {100 * gallery_hooks.LIFT:.0f}%" in text, "as in dark figures"


# -- the table -------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["test_loss", "test_accuracy", "train_loss", "train_accuracy"])
def test_each_step_reads_the_records_of_its_epoch(column):
    runs = arms(3)
    scale, digits = (1, 4) if column.endswith("loss") else (100, 2)
    shown = steps(curves.history(runs, column))
    assert [step["name"] for step in shown] == [f"Epoch {e}" for e in range(1, 21)]
    for epoch, step in enumerate(shown):
        for cells, several in zip(step["rows"], runs.values(), strict=True):
            values = [scale * run.history[column][epoch] for run in several]
            middle = sum(values) / 3
            sd = (sum((value - middle) ** 2 for value in values) / 2) ** 0.5
            mean, spread, *each = (cell.replace("\N{NO-BREAK SPACE}", " ") for cell in cells)
            assert mean == f"{middle:.{digits}f} ± {sd:.{digits}f}"
            assert spread == f"{min(values):.{digits}f} to {max(values):.{digits}f}"
            assert each == [f"{value:.{digits}f}" for value in values]


def test_a_sweep_reads_the_best_of_each_setting():
    graph = searched()
    rows = {step["name"]: step["rows"] for step in steps(graph)}
    assert rows["Learning rate 0.1"] == [["70.00", "1"], ["68.00", "1"]]
    assert rows["Learning rate 0.2"] == [["75.00", "2"], ["not tried", "0"]]
    assert rows["Learning rate 0.6"] == [["not tried", "0"], ["loss not finite", "1"]]
    assert graph.places[live_graphs.start(graph)] == 0.2


@each_graph
def test_without_a_script_the_table_shows_the_start(graph):
    rows = tree(graph).findall(".//tbody/tr")
    step = steps(graph)[live_graphs.start(graph)]
    assert tree(graph).find(".//caption/span").text == step["name"]
    for row, cells, curve in zip(rows, step["rows"], graph.curves, strict=True):
        assert "".join(row.find("th").itertext()).strip() == curve.label
        assert [cell.text for cell in row.findall("td")] == cells
    head = tree(graph).findall(".//thead/tr/th")
    assert len(head) == 1 + len(step["rows"][0])


def test_arms_and_seeds_have_a_switch_each():
    switches = [part.attrib for part in tree(GRAPHS["loss"]()).iter("input")]
    boxes = [(box["data-switch"], box["value"]) for box in switches if "data-switch" in box]
    assert boxes[:10] == [("seed", str(seed)) for seed in range(10)]
    assert boxes[10:] == [("arm", str(arm)) for arm in range(6)]
    assert not list(tree(GRAPHS["one seed"]()).iter("fieldset")), "nothing to choose from"


def test_an_arm_that_ends_early_has_no_value_afterwards():
    runs = {"Batch norm": arms(1)["Batch norm"], "No norm": arms(1, epochs=5)["No norm"]}
    last = steps(curves.history(runs, "test_loss"))[-1]
    assert last["rows"][1] == ["\N{EN DASH}"]


def test_words_of_a_graph_cannot_break_the_page():
    graph = curves.history({'"<b>&': arms(2)["Batch norm"]}, "test_loss", title="<i>&")
    page = live_graphs.widget(graph)
    assert html.escape('"<b>&') in page
    assert "<b>" not in page.replace(html.escape("<b>"), "")
    assert tree(graph).find("p").text == "<i>&"


# -- Sphinx ----------------------------------------------------------------------------------------


def build(folder, builder):
    source = folder / "source"
    if not source.exists():
        (source / "images").mkdir(parents=True)
        Image.new("RGB", (4, 2)).save(source / "images" / "a.png")
        (source / "images" / "a.html").write_text(live_graphs.widget(GRAPHS["loss"]()))
        (source / "conf.py").write_text("extensions = ['live_graphs']\nnumfig = True\n")
        (source / "other.rst").write_text("Other\n=====\n\nSee :numref:`fig-a`.\n")
        (source / "index.rst").write_text(
            "Start\n=====\n\n.. toctree::\n\n   other\n\n.. live-figure:: /images/a.png\n"
            "   :live: /images/a.html\n   :name: fig-a\n   :alt: Falls.\n\n   The *loss*.\n"
        )
    out = folder / builder
    trees = folder / "trees"
    app = Sphinx(source, source, out, trees, builder, status=None, warningiserror=True)
    app.build()
    assert app.statuscode == 0
    return out


def test_a_page_shows_the_graph_as_a_numbered_figure_and_loads_its_script(tmp_path):
    out = build(tmp_path, "html")
    page, other = ((out / name).read_text() for name in ("index.html", "other.html"))
    assert page.count("<figure") == page.count("<figcaption") == 1
    assert live_graphs.widget(GRAPHS["loss"]()).strip() in page
    assert "Fig. 1" in page
    assert "Fig. 1" in other
    assert "<img" not in page.split("<figure")[1].split("</figure>")[0]
    for file in ("graphs.js", "graphs.css"):
        assert file in page
        assert file not in other


def test_what_cannot_be_touched_shows_the_image(tmp_path):
    text = next(build(tmp_path, "latex").glob("*.tex")).read_text()
    assert "includegraphics" in text
    assert "data-steps" not in text
