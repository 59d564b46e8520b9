"""Each page of the report says what it is about."""

import json
from types import SimpleNamespace

import index_terms
import pytest
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import docutils_namespace

DOCS = index_terms.FILE.parent
EXAMPLES = DOCS.parent / "examples"


def test_every_page_has_its_words():
    made = {f"auto_examples/{page.stem}" for page in EXAMPLES.glob("plot_*.py")}
    written = {page.stem for kind in ("*.rst", "*.md") for page in DOCS.glob(kind)} - {"404"}
    notebooks = {f"notebooks/{page.stem}" for page in (DOCS / "notebooks").glob("*.ipynb")}
    assert set(index_terms.read()) == made | written | notebooks | {"api/index"}


def test_no_two_pages_claim_the_same_word():
    words = [word.lower() for page in index_terms.read().values() for word in page]
    assert len(words) == len(set(words))


def test_words_of_a_page_that_is_gone_stop_the_build():
    env = SimpleNamespace(found_docs=set(index_terms.read()) - {"knobs"})
    app = SimpleNamespace(config=SimpleNamespace(exclude_patterns=["_build"]))
    with pytest.raises(ExtensionError, match=r"index_terms.toml has words for knobs"):
        index_terms.check(app, env)
    app.config.exclude_patterns.append("knobs.rst")  # as a page that waits for its runs
    index_terms.check(app, env)


def test_the_search_keeps_the_words_of_pages_that_are_not_written_again(tmp_path):
    out = tmp_path / "out"
    (tmp_path / "conf.py").write_text(
        "from index_terms import keep_entries\n"
        "def setup(app):\n    app.connect('html-collect-pages', keep_entries)\n"
    )
    (tmp_path / "index.rst").write_text("Start\n=====\n\n.. toctree::\n\n   other\n")
    (tmp_path / "other.rst").write_text("Other\n=====\n\n.. index:: pair: hen; egg\n\nText.\n")

    def search_index(text):
        (tmp_path / "index.rst").write_text(text + (tmp_path / "index.rst").read_text())
        with docutils_namespace():
            Sphinx(tmp_path, tmp_path, out, out / "trees", "html", status=None).build()
        return json.loads((out / "searchindex.js").read_text().split("(", 1)[1][:-1])

    first, second = (search_index(text) for text in ("", ".. A comment.\n\n"))
    assert set(first["indexentries"]) == {"hen", "egg"}
    assert second["indexentries"] == first["indexentries"]


def test_the_words_lead_to_the_page_in_the_index(tmp_path):
    (tmp_path / "conf.py").write_text(
        "from index_terms import IndexTerms\ndef setup(app):\n    app.add_transform(IndexTerms)\n"
    )
    (tmp_path / "index.rst").write_text("Start\n=====\n\nText.\n")
    out = tmp_path / "out"
    with docutils_namespace():
        Sphinx(tmp_path, tmp_path, out, out / "trees", "html", status=None).build()
    index = (out / "genindex.html").read_text()
    assert '<a href="index.html#start"><strong>short answer</strong></a>' in index
