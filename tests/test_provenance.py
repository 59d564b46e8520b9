"""Pages say which runs they are made from, and how to cite them."""

import csv
import re
from types import SimpleNamespace

import provenance
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from normstudy.study.recipes import Recipe

REVISION = "5e3a43605482da650fd7134ccafb3fbae201231b"


def run(seed):
    made = {"torch": "2.15.0", "device": "AVX512 CPU", "git_revision": REVISION}
    history = {column: [1, 2] for column in provenance.COLUMNS}
    return SimpleNamespace(recipe=Recipe(seed=seed), environment=made, history=history)


def test_pages_that_ask_for_studies_end_with_their_runs():
    asks = ['STUDIES["search"], STUDIES["cifar10"], STUDIES["search"]']
    provenance.add_directive(None, "auto_examples/plot_240_search", asks)
    assert asks[0].endswith("\n\n.. provenance:: search cifar10\n")
    for page, text in (("auto_examples/plot_110_one_formula", "x"), ("plan", 'STUDIES["search"]')):
        other = [text]
        provenance.add_directive(None, page, other)
        assert other == [text]


def test_the_line_names_versions_and_revision_and_offers_every_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "runs_of", lambda study: {"Batch norm": [run(0), run(1)]})
    (tmp_path / "conf.py").write_text("extensions = ['provenance']\n")
    (tmp_path / "index.rst").write_text("A\n=\n\n.. provenance:: cifar10\n\n.. cite-this::\n")
    out = tmp_path / "out"
    with docutils_namespace():
        Sphinx(tmp_path, tmp_path, out, out / "trees", "html", status=None).build()
    page = (out / "index.html").read_text()
    line = re.sub("<.*?>", "", re.search(r'<p class="provenance">(.*?)</p>', page, re.DOTALL)[1])
    assert line.startswith(
        "Made from 2 runs, trained with PyTorch 2.15.0 on AVX512 CPU at revision 5e3a436."
    )
    assert f'href="{provenance.COMMITS}{REVISION}"' in page
    (offered,) = out.glob("_downloads/*/runs-cifar10.csv")
    with offered.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["arm"], row["seed"]) for row in rows] == [
        ("Batch norm", "0"), ("Batch norm", "0"), ("Batch norm", "1"), ("Batch norm", "1"),
    ]  # fmt: skip
    assert set(provenance.COLUMNS) < set(rows[0])
    assert "@software" in page
    assert "computed by hand and compared on CIFAR-10" in page


def test_the_days_are_told_if_all_runs_tell_them():
    assert provenance._when([None, None]) == ""
    assert provenance._when(["2026-11-29", None]) == ""
    assert provenance._when(["2026-11-29"]) == ", 2026-11-29,"
    assert provenance._when(["2026-11-30", "2026-11-29"]) == ", 2026-11-29 to 2026-11-30,"
