"""Tables that a page prints as text become real ones in the report.

A Sphinx extension. A page prints ``normstudy.tables.Table``, which reads well in a terminal; in
the report a real table wraps on narrow screens and can be read aloud cell by cell. A cell that is
the file name of a page becomes a link to it.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

RULE = re.compile(r"-+(  -+)+")  # the line below the header: dashes as wide as the columns
NUMBER = re.compile(r"[<+\N{MINUS SIGN}\N{EN DASH}-]?\s?\d")
PAGE = re.compile(r"plot_\d+_\w+")
LESS = "<\N{NO-BREAK SPACE}"
EXPONENT = re.compile(r"(?<=\de)-(?=\d)")  # a line may end after this hyphen, and not at a minus
Cells = list[str]


class PrintedTables(SphinxTransform):
    """Replace the text tables in what the examples print."""

    default_priority = 500

    def apply(self) -> None:
        """Go through the blocks that Sphinx-Gallery marks as printed."""
        for block in list(self.document.findall(nodes.literal_block)):
            if "sphx-glr-script-out" in block["classes"]:
                place = block.parent.index(block)
                parts = list(_parts(block))
                for link in (x for part in parts for x in part.findall(addnodes.pending_xref)):
                    link["refdoc"] = self.env.docname
                block.parent[place : place + 1] = parts


def _parts(block: nodes.literal_block) -> Iterator[nodes.Node]:
    """Yield the tables of a block, and the text around them as blocks like it."""
    lines, text = block.astext().splitlines(), list[str]()
    while lines:
        if len(lines) > 1 and RULE.fullmatch(lines[1]):
            columns = [match.span() for match in re.finditer("-+", lines[1])]
            rows = [_cells(lines.pop(0), columns)]
            del lines[0]
            while lines and _fits(lines[0], columns):
                rows.append(_cells(lines.pop(0), columns))
            yield from _text(block, text)
            text = []
            yield _table(rows)
        else:
            text.append(lines.pop(0))
    yield from _text(block, text)


def _fits(line: str, columns: Sequence[tuple[int, int]]) -> bool:
    """Tell a row of the table from other text: it is blank between the columns."""
    gaps = (line[left[1] : right[0]] for left, right in pairwise(columns))
    return bool(line.strip()) and not any(gap.strip() for gap in gaps)


def _cells(line: str, columns: Sequence[tuple[int, int]]) -> Cells:
    return [line[begin:end].strip() for begin, end in columns]


def _text(block: nodes.literal_block, lines: list[str]) -> Iterator[nodes.Node]:
    text = "\n".join(lines).strip("\n")
    if text:
        rest = block.copy()
        rest += nodes.Text(text)
        rest.rawsource = text
        yield rest


def _table(rows: list[Cells]) -> nodes.table:
    """Build a table: columns of names to the left, columns of numbers to the right."""
    columns = enumerate(zip(*rows, strict=True))
    classes = [["text-end"] if i and _are_numbers(cells[1:]) else [] for i, cells in columns]
    group = nodes.tgroup(cols=len(rows[0]))
    group += [nodes.colspec(colwidth=1) for _ in rows[0]]
    head, body = nodes.thead(), nodes.tbody()
    head += _row(rows[0], classes)
    body += [_row(row, classes) for row in rows[1:]]
    group += [head, body]
    return nodes.table("", group, classes=["printed-table"])


def _are_numbers(cells: Sequence[str]) -> bool:
    """Tell a column of numbers: more than a third of what it says begins like one."""
    said = [cell for cell in cells if cell not in {"", "\N{EN DASH}"}]
    return bool(said) and 3 * sum(map(bool, map(NUMBER.match, said))) > len(said)


def _row(cells: Cells, classes: Sequence[list[str]]) -> nodes.row:
    row = nodes.row()
    for cell, of in zip(cells, classes, strict=True):
        row += nodes.entry("", _paragraph(cell), classes=of)
    return row


def _paragraph(cell: str) -> nodes.paragraph:
    """Write the text of a cell, or a link where it is the file name of a page."""
    if not PAGE.fullmatch(cell):
        return nodes.paragraph("", EXPONENT.sub("\N{MINUS SIGN}", cell.replace("< ", LESS)))
    target = f"sphx_glr_auto_examples_{cell}.py"
    how = {"refdomain": "std", "reftype": "ref", "refexplicit": False, "refwarn": True}
    link = addnodes.pending_xref("", nodes.inline("", cell), reftarget=target, **how)
    return nodes.paragraph("", "", link)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform with Sphinx."""
    app.add_transform(PrintedTables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
