"""How results are written: tables, numbers with real minus signs, p-values, names of norms.

Everybody imports this module, and it imports nobody.
"""

import html
import math
import re
from dataclasses import dataclass

LEVEL = 0.05
"""Level of every test of the report: a p-value below it decides."""

NORM_NAMES = {
    "batch": "Batch norm",
    "layer": "Layer norm",
    "layer_chw": "Layer norm with a weight per value",
    "group": "Group norm",
    "instance": "Instance norm",
    "none": "No norm",
}
"""The norms as readers see them, the same on every page."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a header, for print, Markdown and notebooks."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        """Align the columns with spaces: names to the left, numbers to the right."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        rule = tuple("-" * width for width in widths)
        return "\n".join(
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (self.header, rule, *self.rows)
        )

    def markdown(self) -> str:
        """Write the table as Markdown, numbers aligned to the right."""
        rule = ("---", *["--:"] * (len(self.header) - 1))
        return "\n".join(f"| {' | '.join(row)} |" for row in (self.header, rule, *self.rows))

    def _repr_html_(self) -> str:
        """Show a real table in notebooks and in the gallery."""
        rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in self.rows)
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in self.header)
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        # "dataframe" is the class that themes of notebooks know how to show in dark mode
        table = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
        return f'<table class="dataframe">{table}</table>'


def in_sentence(arm: str) -> str:
    """Write the name of an arm as it stands inside a sentence: a word begins with a small letter.

    Examples
    --------
    >>> in_sentence("Batch norm + L1"), in_sentence("L1 + L2"), in_sentence("G = 32")
    ('batch norm + L1', 'L1 + L2', 'G = 32')
    """
    is_word = arm.split(maxsplit=1)[0][1:].islower()
    return arm[0].lower() + arm[1:] if is_word else arm


def slug(arm: str) -> str:
    """Write the name of an arm for the name of a file or a figure.

    Examples
    --------
    >>> slug("Group norm, 24 groups")
    'group-norm-24-groups'
    """
    return "-".join(re.findall(r"[a-z0-9]+", arm.lower()))


def number(value: float, digits: int, *, sign: bool = False) -> str:
    """Write a number with fixed decimals and a real minus sign; what rounds to zero has none.

    Examples
    --------
    >>> number(-1.5, 2), number(1.5, 1, sign=True), number(-0.001, 2)
    ('−1.50', '+1.5', '0.00')
    """
    return f"{value:{'+' if sign else ''}z.{digits}f}".replace("-", "\N{MINUS SIGN}")


def interval(low: float, high: float, digits: int) -> str:
    """Write the ends of an interval, or "none"; an end that is not zero does not look like zero."""
    if math.isnan(low):
        return "none"
    ends = []
    for value in (low, high):
        more = digits
        while value != 0 and more < 20 and number(value, more) == number(0, more):
            more += 1
        ends.append(number(value, more))
    return " to ".join(ends)


def p_equals(p: float) -> str:
    """Write p as in a sentence, with an equals sign or, where it is tiny, a less-than sign."""
    written = p_value(p)
    return f"p {written}" if written.startswith("<") else f"p = {written}"


def p_value(p: float) -> str:
    """Write p with three decimals, or as many as show on which side of the 5% level it lies."""
    if p < 0.001:
        return "< 0.001"
    digits = next(d for d in range(3, 20) if (round(p, d) < LEVEL) == (p < LEVEL))
    return f"{p:.{digits}f}"
