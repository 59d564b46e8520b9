"""Terms and symbols are defined where a page uses them first."""

import re

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

GLOSSARY = """
Glossary
========

.. glossary::

   confidence
      The largest probability.

   confidence interval
      A range.
"""
NOTATION = """
Notation
========

Shapes
------

.. list-table::

   * - Symbol
     - Meaning
   * - :math:`N`
     - images
   * - :math:`G`
     - groups

By hand
-------

.. list-table::

   * - :math:`G`
     - a gradient
"""
PAGE = """
Start
=====

A confidence interval is not a confidence, and ``confidence`` is code. Confidence again;
:math:`N` and :math:`G` and :math:`N`.
"""


def built(folder):
    (folder / "conf.py").write_text("extensions = ['definitions', 'sphinx.ext.mathjax']\n")
    pages = {"glossary": GLOSSARY, "notation": NOTATION, "index": PAGE, "changelog": PAGE}
    for name, text in pages.items():
        (folder / f"{name}.rst").write_text(text)
    out = folder / "out"
    with docutils_namespace():
        Sphinx(folder, folder, out, out / "trees", "html", status=None, warning=None).build()
    return {name: (out / f"{name}.html").read_text() for name in pages}


def test_the_first_use_is_linked_and_no_other(tmp_path):
    page = built(tmp_path)["index"]
    links = re.findall(r'<a class="defined[^"]*" href="([^"]*)" id="([^"]*)">(.*?)</a>', page)
    assert [(href, name, re.sub(r"<.*?>|\\[()]", "", shown)) for href, name, shown in links] == [
        (
            "glossary.html#term-confidence-interval",
            "use-confidence-interval",
            "confidence interval",
        ),
        ("glossary.html#term-confidence", "use-confidence", "confidence"),
        ("notation.html#shapes", "use-N", "N"),
    ]
    for _, name, _ in links:
        hidden = (
            f'<div id="{name.replace("use", "definition")}" class="definition" popover="manual">'
        )
        assert page.count(hidden) == 1


def test_pages_that_define_or_refer_are_left_alone(tmp_path):
    pages = built(tmp_path)
    assert all("defined" not in pages[name] for name in ("glossary", "notation", "changelog"))
