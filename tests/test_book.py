"""The report as one file: an EPUB that needs no scripts, and the pages in one for the PDF."""

import re
import zipfile
from io import StringIO
from xml.etree import ElementTree as ET

import book_epub
import book_pdf
import pytest
from bs4 import BeautifulSoup
from PIL import Image
from sphinx.application import Sphinx

pytestmark = pytest.mark.usefixtures("own_sphinx")

CONF = """
extensions = ["sphinx.ext.mathjax", "sphinx_design", "book_epub"]
html_baseurl = "https://example.org/"
mathjax3_config = {"tex": {"macros": {"Var": r"\\operatorname{Var}"}}}
epub_basename = "book"
epub_identifier = epub_scheme = epub_uid = epub_description = epub_contributor = "x"
project, version, author, copyright = "Book", "1", "A", "2026"
epub_tocscope = "includehidden"
suppress_warnings = ["epub.unknown_project_files"]
"""
INDEX = r"""
Start
=====

Take :math:`x < \Var(x)` here.

.. math:: y &= x + 1 \\ z &= \frac{y}{2}
   :label: two

.. raw:: html

   <div class="math notranslate">
   \[\begin{aligned} a &amp;= 1 \\[0.4em] b &amp;= 2 \end{aligned}\]
   </div>

.. image:: light.png
   :class: only-light

.. image:: dark.png
   :class: only-dark

.. dropdown:: Answer

   Folded on the web.

:doc:`other` and :doc:`api/thing`.

.. toctree::
   :hidden:

   other
   api/thing
"""


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "api").mkdir(parents=True)
    (folder / "conf.py").write_text(CONF)
    (folder / "index.rst").write_text(INDEX)
    (folder / "other.rst").write_text("Other\n=====\n\nBack to :eq:`two`.\n")
    (folder / "api" / "thing.rst").write_text("Thing\n=====\n\n.. py:module:: thing\n")
    for name in ("light", "dark"):
        Image.new("RGB", (4, 4), name == "light").save(folder / f"{name}.png")
    return folder


@pytest.fixture
def epub(source, tmp_path):
    said = StringIO()
    Sphinx(
        source, source, tmp_path / "epub", tmp_path / "trees", "epub",
        status=None, warning=said, freshenv=True,
    ).build()  # fmt: skip
    assert said.getvalue() == ""
    with zipfile.ZipFile(tmp_path / "epub" / "book.epub") as file:
        yield {name: file.read(name) for name in file.namelist()}


def test_every_page_of_the_epub_is_xml_with_mathematics_that_needs_no_script(epub):
    for name, content in epub.items():
        if name.endswith((".xhtml", ".opf", ".ncx")):
            ET.fromstring(content)
    page = epub["index.xhtml"].decode()
    assert len(re.findall("<math", page)) == 3
    assert re.search("<m[io][^>]*>Var</m[io]>", page), "macros are filled in"
    assert "<mfrac>" in page
    assert not re.search(
        r"\\\(|\\\[|\\frac|\\begin", re.sub("<annotation.*?</annotation>", "", page)
    )
    manifest = epub["content.opf"].decode()
    assert re.search(r'href="index.xhtml" media-type="[^"]*" properties="mathml svg"', manifest)


def test_the_epub_has_light_images_and_open_answers(epub):
    page = epub["index.xhtml"].decode()
    assert "light.png" in page
    assert "dark.png" not in page
    assert not any(name.endswith("dark.png") for name in epub)
    assert re.search("<details[^>]* open", page)


def test_the_reference_is_on_the_web_and_links_lead_there(epub):
    assert "api/thing.xhtml" not in epub
    assert "py-modindex.xhtml" not in epub
    page = epub["index.xhtml"].decode()
    assert 'href="https://example.org/api/thing.html"' in page
    assert 'href="other.xhtml"' in page
    assert 'href="index.xhtml#equation-two"' in epub["other.xhtml"].decode()
    for listed in ("content.opf", "nav.xhtml", "toc.ncx"):
        assert "other.xhtml" in epub[listed].decode()
        assert "thing" not in epub[listed].decode()


def test_a_formula_that_cannot_be_converted_is_named():
    with pytest.raises(ValueError, match=r"cannot turn this formula into MathML: \\nonsense\{x"):
        book_epub.mathml([(r"x^2", False), (r"\nonsense{x", True)], {})


# -- the PDF ---------------------------------------------------------------------------------------

PAGES = {
    "index.html": """<a href="deep/a.html#part">a</a> <a href="#part">here</a>
        <a href="api/x.html#x">x</a> <a href="https://example.org/">web</a>
        <h2 id="part">Part</h2><img class="only-dark" src="_images/d.png"/>""",
    "deep/a.html": """<a href="../index.html">back</a><h2 id="part">Part</h2>
        <img src="../_images/l.png" loading="lazy"/><details><summary>s</summary></details>
        <a href="../knobs.html#norm=batch">numbers</a>""",
    "knobs.html": "<p>Knobs</p>",
    "api/x.html": '<p id="x">of the reference</p>',
}
NEXT = {"index.html": "deep/a.html", "deep/a.html": "../knobs.html", "knobs.html": "api/x.html"}


@pytest.fixture
def book(tmp_path):
    for name, text in PAGES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        link = f'<link rel="next" href="{NEXT[name]}"/>' if name in NEXT else ""
        up = "../" * name.count("/")
        path.write_text(
            f'<html><head>{link}<link rel="stylesheet" href="{up}_static/s.css"/></head>'
            f'<body><article class="bd-article"><h1>{name}</h1>{text}</article></body></html>'
        )
    return BeautifulSoup(book_pdf.compose(tmp_path), "html.parser")


def test_the_book_has_the_pages_in_the_order_in_which_they_are_read(book):
    assert [h1.text for h1 in book.select("h1")] == ["index.html", "deep/a.html", "knobs.html"]
    assert [link["href"] for link in book.select("link")] == ["_static/s.css"], "each style once"


def test_links_between_pages_stay_in_the_book_and_others_lead_to_the_web(book):
    links = {a.text: a["href"] for a in book.select("a")}
    ids = {tag["id"] for tag in book.select("[id]")}
    assert {links[text].removeprefix("#") for text in ("a", "here", "back")} <= ids
    assert links["a"] != links["here"], "both pages have a place of that name"
    assert links["x"] == book_pdf.HOME + "api/x.html#x"
    assert links["web"] == "https://example.org/"
    assert links["numbers"] == book_pdf.HOME + "knobs.html#norm=batch"


def test_what_is_for_the_screen_alone_is_not_printed(book):
    (image,) = book.select("img")
    assert image.attrs == {"src": "_images/l.png"}
    assert book.select_one("details").has_attr("open")


def test_without_a_report_there_is_nothing_to_print(tmp_path):
    with pytest.raises(SystemExit, match="Build it first: uvx nox -s docs"):
        book_pdf.write(tmp_path, tmp_path / "book.pdf")
