"""Text tables in what a page prints become real tables."""

import re

import pytest
from docutils import nodes
from sphinx.testing.util import SphinxTestApp

from normstudy.tables import Table

TABLE = Table(("arm", "accuracy, %"), (("Batch norm", "88.10 ± 0.20"), ("", "7")))


@pytest.fixture
def convert(tmp_path):
    """Return a function that shows text as a page's output and gives the nodes it became."""

    def convert(text: str) -> nodes.document:
        (tmp_path / "conf.py").write_text('extensions = ["printed_tables"]\n')
        shown = "\n".join(f"    {line}" for line in text.splitlines())
        page = f"Page\n====\n\n.. rst-class:: {{}}\n\n.. code-block:: none\n\n{shown}\n\n"
        (tmp_path / "index.rst").write_text(page.format("sphx-glr-script-out"))
        app = SphinxTestApp("html", srcdir=tmp_path, warningiserror=True)
        app.build()
        document = app.env.get_doctree("index")
        app.cleanup()
        return document

    return convert


def test_a_table_keeps_its_cells_and_the_text_around_it(convert):
    document = convert(f"Before.\n\n{TABLE}\nA sentence right below the table.\n\n{TABLE}")
    tables = list(document.findall(nodes.table))
    assert len(tables) == 2
    for table in tables:
        cells = [entry.astext() for entry in table.findall(nodes.entry)]
        assert cells == ["arm", "accuracy, %", "Batch norm", "88.10 ± 0.20", "", "7"]
        assert len(list(table.findall(nodes.thead))) == 1
        assert table["classes"] == ["printed-table"], "it does not look like printed text"
    blocks = [block.astext() for block in document.findall(nodes.literal_block)]
    assert blocks == ["Before.", "A sentence right below the table."]


def test_columns_of_numbers_stand_to_the_right_and_columns_of_words_may_wrap(convert):
    rows = (
        ("A", "+0.10 to 2", "< 0.001", "ahead: A"),
        ("B", "\N{MINUS SIGN}1 to 2", "0.050", "equal within 0.5"),
        ("C", "none", "none", "3 seeds only"),
    )
    document = convert(str(Table(("pair", "interval", "p", "verdict"), rows)))
    right = ["text-end" in entry["classes"] for entry in document.findall(nodes.entry)]
    assert right == [False, True, True, False] * 4


def test_a_number_with_an_exponent_stays_on_its_line(convert):
    document = convert(str(Table(("norm", "error"), (("A", "2.7e-01"), ("B", "one-pass")))))
    cells = [entry.astext() for entry in document.findall(nodes.entry)]
    assert cells[2:] == ["A", "2.7e\N{MINUS SIGN}01", "B", "one-pass"]


def test_a_column_of_settings_stands_to_the_right_whatever_its_arm_leaves_out(convert):
    dash = "\N{EN DASH}"
    rows = (
        *(("norm", "Batch norm", "Group norm"), ("schedule", "constant", "constant")),
        *(("momentum", "0.1", dash), ("groups", dash, "2"), ("epochs", "20", "20")),
        *(("decay on", "all", dash), ("penalty of", "sum", "sum"), ("lr", "0.04", "0.04")),
    )
    document = convert(str(Table(("setting", "Batch norm", "Group norm"), rows)))
    right = ["text-end" in entry["classes"] for entry in document.findall(nodes.entry)]
    assert right == [False, True, True] * 9


def test_the_file_name_of_a_page_becomes_a_link_to_it(tmp_path):
    (tmp_path / "conf.py").write_text('extensions = ["printed_tables"]\n')
    table = str(Table(("if", "shown on"), (("small", "plot_1_a"), ("large", "see plot_1_a"))))
    shown = "\n".join(f"    {line}" for line in table.splitlines())
    (tmp_path / "index.rst").write_text(
        ".. _sphx_glr_auto_examples_plot_1_a.py:\n\nA page\n======\n\n"
        f".. rst-class:: sphx-glr-script-out\n\n.. code-block:: none\n\n{shown}\n"
    )
    app = SphinxTestApp("html", srcdir=tmp_path, warningiserror=True)
    app.build()
    html = (tmp_path / "_build" / "html" / "index.html").read_text()
    app.cleanup()
    assert re.search(r'<td><p><a class="reference internal" href="#[^"]+"><span[^>]*>A page<', html)
    assert "<td><p>see plot_1_a</p></td>" in html


def test_other_output_stays_as_it_is(convert):
    document = convert("a - b\n-----\n1  2")
    assert not list(document.findall(nodes.table))
    assert document.next_node(nodes.literal_block).astext() == "a - b\n-----\n1  2"
