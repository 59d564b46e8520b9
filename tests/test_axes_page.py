"""The page "Turn the knobs" begins with the worked example, also where no script runs."""

import html
import json
import re

import axes_page
import pytest
from sphinx.application import Sphinx

from normstudy.byhand.examples import by_hand
from normstudy.byhand.norms import INDEX_SETS


def test_the_table_without_javascript_is_the_worked_example():
    example = by_hand(axes_page.NORM)
    rows = [dict(zip(axes_page.table().header, row, strict=True)) for row in axes_page.table().rows]
    assert len(rows) == len(example["x"].values)
    names = {"x": "x", "x\N{COMBINING CIRCUMFLEX ACCENT}": "xhat", "y": "y"}
    for column, name in (names | {"gradient of x": "grad_x"}).items():
        shown = [float(row[column].replace("\N{MINUS SIGN}", "-")) for row in rows]
        assert shown == pytest.approx(
            [float(value) for value in example[name].tensor.flatten()], rel=1e-3
        )
    assert [row["set"] for row in rows[::8]] == ["1", "2", "3", "4"]


def test_the_scripts_get_the_table_of_norms_and_the_worked_batch():
    rules, state = axes_page.rules(), axes_page.state()
    assert set(rules) == set(INDEX_SETS) - {"weight"} <= set(axes_page.NAMES)
    for name, rule in rules.items():
        kept = INDEX_SETS[name]
        assert (rule["over"], rule["affine"], rule["centered"]) == (
            kept.over, kept.affine, kept.centered,
        )  # fmt: skip
    assert [len(state[name]) for name in ("x", "dy", "gamma", "beta")] == [32, 32, 4, 4]


def test_only_the_page_that_has_the_batch_loads_the_scripts(tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "conf.py").write_text("extensions = ['axes_page']\n")
    (source / "index.rst").write_text("Start\n=====\n\n.. toctree::\n\n   knobs\n")
    (source / "knobs.rst").write_text("Knobs\n=====\n\n.. axes::\n")
    Sphinx(source, source, out, tmp_path / "trees", "html", status=None).build()
    page, other = ((out / name).read_text() for name in ("knobs.html", "index.html"))
    for script in ("axes-math.js", "axes-page.js"):
        assert script in page
        assert script not in other
    data = re.search(r'data-state="([^"]*)"', page)
    assert data is not None
    assert json.loads(html.unescape(data[1])) == axes_page.state()
    assert page.index("axes-math.js") < page.index("axes-page.js")
