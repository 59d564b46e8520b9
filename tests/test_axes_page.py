"""The page "Turn the knobs" begins with the worked example, also where no script runs."""

import html
import json
import re
from io import StringIO
from pathlib import Path
from urllib.parse import parse_qs

import axes_page
import pytest
from sphinx.application import Sphinx

from normstudy.byhand.diagrams import CELL_COLORS
from normstudy.byhand.examples import by_hand, running_by_hand
from normstudy.byhand.norms import INDEX_SETS

pytestmark = pytest.mark.usefixtures("own_sphinx")


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
        assert not any("e" in row[column] for row in rows), "0 is written as 0"
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


# -- the links of the pages by hand ----------------------------------------------------------------

ASKED = re.compile(r":knobs:`[^<`]+<([\w-]+)>`")
PAGES = sorted((Path(__file__).parents[1] / "examples").glob("plot_1*.py"))


def opened(name):
    """Read the address of a preset as the script does."""
    fields = parse_qs(axes_page.address(axes_page.presets()[name]))
    return {key: value[0] for key, value in fields.items()}


def numbers(text):
    return [float(value) for value in text.split(",")]


@pytest.mark.parametrize("name", ["batch", "group", "layer", "instance", "backward"])
def test_a_preset_opens_with_the_numbers_of_the_worked_example(name):
    norm = "batch" if name == "backward" else name
    example, shown = by_hand(norm), opened(name)
    assert shown["norm"] == norm
    assert shown["view"] == ("dx" if name == "backward" else "x")
    for field, step in {"x": "x", "dy": "grad_y", "gamma": "gamma", "beta": "beta"}.items():
        assert numbers(shown[field]) == [float(value) for value in example[step].values]
    assert (shown["eps"], shown["groups"], shown["mode"]) == ("0", "2", "training")


def test_the_preset_of_running_statistics_ends_where_the_page_does():
    example, shown = running_by_hand(), opened("running")
    assert (shown["norm"], shown["mode"], shown["shape"]) == ("batch", "evaluation", "4,1,1,1")
    assert numbers(shown["x"]) == [float(value) for value in example["x_1"].values]
    for field, step in {"mean": "running_mean_3", "variance": "running_var_3"}.items():
        assert numbers(shown[field]) == [float(example[step].values[0])]
    x, mean = numbers(shown["x"]), numbers(shown["mean"])[0]
    xhat = [(value - mean) / numbers(shown["variance"])[0] ** 0.5 for value in x]
    assert xhat == pytest.approx([float(value) for value in example["xhat_eval"].values])


def test_every_page_that_works_a_batch_leads_to_it():
    asked = {page.stem[5:8]: ASKED.findall(page.read_text()) for page in PAGES}
    without = {"180", "188"}  # weights, and maps drawn at random
    assert {page for page, names in asked.items() if not names} == without
    for page, norm in {"120": "batch", "130": "group", "140": "layer", "150": "instance"}.items():
        assert asked[page] == [norm]
    assert {name for names in asked.values() for name in names} == set(axes_page.presets())


def test_a_link_leads_to_the_page_with_its_numbers(tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    (source / "conf.py").write_text("extensions = ['axes_page']\n")
    (source / "index.rst").write_text("Start\n=====\n\n.. toctree::\n\n   knobs\n   deep/a\n")
    (source / "knobs.rst").write_text("Knobs\n=====\n\n.. axes::\n")
    (source / "deep" / "a.rst").write_text("A\n=\n\n:knobs:`Change <layer>` :knobs:`no <typo>`\n")
    said = StringIO()
    Sphinx(source, source, out, out / "trees", "html", None, None, said).build()
    warned = said.getvalue()
    page = (out / "deep" / "a.html").read_text()
    link = html.escape(f"../knobs.html#{axes_page.address(axes_page.presets()['layer'])}")
    assert f'href="{link}">Change</a>' in page
    assert "there are no numbers 'typo' to change; accepted: batch, group, layer" in warned


def test_sets_have_the_colours_of_the_pictures():
    css = (Path(axes_page.__file__).parent / "_static" / "normstudy.css").read_text("utf-8")
    assert re.findall(r"--set-\d: (#\w+);", css) == [color.lower() for color in CELL_COLORS]
