"""The worked examples as a spreadsheet: inputs that a reader changes, and live formulas below them.

Every formula comes from a step of `normstudy.byhand.examples` and refers to the cells that the
step's `sources` name. The value that a spreadsheet program shows before it has calculated is the
step's.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

from torch import Tensor
from xlsxwriter import Workbook
from xlsxwriter.utility import quote_sheetname, xl_range, xl_range_abs, xl_rowcol_to_cell

from normstudy.byhand.diagrams import CELL_COLORS
from normstudy.byhand.examples import BATCHES, SHAPE, by_hand, penalties_by_hand, running_by_hand
from normstudy.byhand.formulas import (
    BACKWARD,
    BATCH,
    EVALUATION,
    FORWARD,
    LIMITS,
    PENALTIES,
    PENALTY_TITLES,
    START,
    TITLES,
    UPSTREAM,
    Line,
)
from normstudy.byhand.reference import by_torch, penalties_by_torch, running_by_torch
from normstudy.byhand.steps import Chain, Example, Index, Source, Step

Torch = dict[str, tuple[str, Tensor]]  # by name of a step: what torch computed it with, and what


NOTES = """\
Numbers with a blue frame are inputs: change them, and everything below them follows. Every other \
number is computed in its cell by a live formula; column C shows the first of each line. Every \
input needs a number; only the momentum may be empty.
Cells of one colour share one mean and one variance. A statistic stands at the first of them.
Numbers in grey were computed by torch from the inputs as they were given. They do not follow your \
changes: after a change, the difference tells how far a result has moved.
Every line has a name, such as batch_mean or weights_w: type it into the box above column A.
#DIV/0! means that all values of one colour are equal while ε is 0. That is 0/0; torch gives nan.
""".splitlines()
FIRST = 3  # column of the first number, behind symbol, words and formula
ASIDE = FIRST + 5  # column of torch's numbers where there is room beside ours
BLUE, GREY = "#1A1AA6", "#595959"
NUMBER = {"align": "center"}
TINY = {**NUMBER, "num_format": "0.0E+00"}


def write(path: str | Path) -> Path:
    """Write the worked examples as a spreadsheet.

    Parameters
    ----------
    path
        Where to: a file that ends in ``.xlsx``. A file of that name is replaced, all at once.

    Returns
    -------
    Path
        The file. The same package and torch write the same bytes.

    Raises
    ------
    ValueError
        The name does not end in ``.xlsx``.
    OSError
        The file cannot be written there; then nothing is.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write(Path(folder) / "by-hand.xlsx").read_bytes()[:2]
    b'PK'
    """
    path = Path(path)
    if path.suffix != ".xlsx":
        raise ValueError(
            f"{path} does not end in .xlsx; the worksheet is an Excel file: "
            "give it a name such as by-hand.xlsx."
        )
    content = _workbook()
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(
            f"{path} cannot be written ({error.strerror}): give a file in a folder that exists "
            "and that you may write to, and close it in other programs."
        ) from error
    return path


@dataclass(slots=True)
class _Work:
    """A worked example on its way into the sheets."""

    key: str  # what the names of its lines begin with
    example: Example
    torch: Torch
    colors: dict[Index, str] = field(default_factory=dict)  # of each cell: that of its set
    places: dict[Source, tuple[str, int, int]] = field(default_factory=dict)  # sheet, row, column

    def color(self, cells: Iterable[Index]) -> str:
        """Colour of the set that these cells lie in; none if they lie in several."""
        found = {self.colors.get(cell, "") for cell in cells}
        return found.pop() if len(found) == 1 else ""


def _workbook() -> bytes:
    content = BytesIO()
    book = Workbook(content, {"in_memory": True})
    # a fixed date, so that the same numbers make the same bytes
    made = datetime(2026, 1, 1, tzinfo=UTC)
    book.set_properties({"title": "Normalization by hand", "created": made})
    start = book.add_worksheet("Start")
    sheets = list(_sheets(book))
    look = {"text_wrap": True, "valign": "top"}
    plain, bold = book.add_format(look), book.add_format({**look, "bold": True})
    tiny = book.add_format({**TINY, **look})
    start.hide_gridlines(2)
    start.set_landscape()
    start.fit_to_pages(1, 1)
    for column, width in enumerate((30, 76, 28, 18)):
        start.set_column(column, column, width)
    start.write(0, 0, "Normalization by hand", book.add_format({"bold": True, "font_size": 16}))
    for row, note in enumerate(NOTES, start=1):
        start.merge_range(row, 0, row, 3, note, plain)
        start.set_row(row, 32)
    top = len(NOTES) + 2
    heads = ("sheet", "what it computes", "in torch", "largest difference")
    start.write_row(top, 0, heads, bold)
    for row, sheet in enumerate(sheets, start=top + 1):
        start.write_url(row, 0, f"internal:{quote_sheetname(sheet.title)}!A1", string=sheet.title)
        start.write_row(row, 1, (sheet.about, sheet.torch), plain)
        largest = f"=MAX({','.join(sheet.differences)})"
        start.write_formula(row, 3, largest, tiny, max(sheet.differences.values()))
    book.close()
    return content.getvalue()


def _sheets(book: Workbook) -> Iterator["_Sheet"]:
    """Write all sheets but the first."""
    works = {norm: _norm(norm) for norm in TITLES}
    for norm, (title, sets, layer) in TITLES.items():
        sheet = _Sheet(book, title, f"One mean and one variance for {sets}.", layer, wide=True)
        sheet.lines(works[norm], FORWARD)
        yield sheet

    about = "The gradient G of the loss, taken back through every norm."
    sheet = _Sheet(book, "Backward", about, "autograd", wide=True)
    upstream = _Work("backward", works["batch"].example, {})
    sheet.lines(upstream, [UPSTREAM])
    for norm, (title, _, layer) in TITLES.items():
        sheet.section(f"{title}: γ, x̂ and s are those of its sheet; torch's {layer}")
        works[norm].places |= upstream.places
        sheet.lines(works[norm], BACKWARD)
    yield sheet

    about = "Batch norm of one feature over three batches in training, then in evaluation."
    sheet = _Sheet(book, "Running statistics", about, "BatchNorm1d(1)", wide=False)
    work = _running()
    sheet.lines(work, START)
    for t in range(1, len(BATCHES) + 1):
        sheet.section(f"Batch {t}")
        numbered = [(word.replace("{t}", str(t)) for word in line) for line in BATCH]
        sheet.lines(work, [Line(*words) for words in numbered])
    sheet.section("Evaluation")
    sheet.lines(work, EVALUATION)
    yield sheet

    about = "Two penalties on four weights, and one step of gradient descent with each."
    sheet = _Sheet(book, "L1 and L2", about, "autograd and SGD", wide=False)
    sheet.lines(_penalties(), PENALTIES)
    yield sheet


class _Sheet:
    """A sheet that is written from the top downwards."""

    def __init__(self, book: Workbook, title: str, about: str, torch: str, *, wide: bool) -> None:
        self.book, self.title, self.about, self.torch, self.wide = book, title, about, torch, wide
        self.sheet = book.add_worksheet(title)
        self.differences: dict[str, float] = {}
        self.formats: dict[str, Any] = {}
        self.inputs: set[tuple[int, int]] = set()  # row, column
        self.row = 4
        sheet, quiet = self.sheet, self.format(font_color=GREY, italic=True)
        sheet.write(0, 0, title, self.format(bold=True, font_size=14))
        sheet.write(1, 0, f"{about} Change the numbers in blue frames.")
        sheet.set_column(0, 0, 9)
        sheet.set_column(1, 1, 36 if wide else 46)
        sheet.set_column(2, 2, 26 if wide else 52)
        sheet.set_column(FIRST, FIRST + 20, 8)
        sheet.write(3, 2, "formula of the first cell", quiet)
        if wide:
            images, channels = SHAPE[:2]
            for n in range(images):
                left = self.column((n, 0, 0, 0))
                if n:
                    sheet.set_column(left - 1, left - 1, 2)  # parts it from the image before
                sheet.write(2, left, f"image n = {n}", self.format(bold=True))
                for c in range(channels):
                    sheet.write(3, self.column((n, c, 0, 0)), f"c = {c}", quiet)
        else:
            sheet.write(3, ASIDE, "torch, of the inputs as given", quiet)
            sheet.write(3, ASIDE + 5, "largest difference, and what torch computed it with", quiet)
        sheet.freeze_panes(4, FIRST)
        sheet.hide_gridlines(2)
        sheet.ignore_errors({"formula_differs": "A1:Z999", "formula_range": "A1:Z999"})
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.print_row_col_headers()

    def format(self, **look: Any) -> Any:
        """Each format once, as the file keeps them."""
        key = str(look)
        if key not in self.formats:
            self.formats[key] = self.book.add_format(look)
        return self.formats[key]

    def column(self, cell: Index) -> int:
        """Column of a cell; a blank one parts the images."""
        if len(cell) == 1:
            return FIRST + cell[0]
        _, channels, _, width = SHAPE
        n, c, _, w = cell
        return FIRST + n * (channels * width + 1) + c * width + w

    def section(self, title: str) -> None:
        """Leave a line blank and begin with a title."""
        self.sheet.write(self.row + 1, 0, title, self.format(bold=True))
        self.row += 2

    def lines(self, work: _Work, lines: Sequence[Line]) -> None:
        """Write lines, and torch's numbers beside or below those that torch has."""
        for line in lines:
            step = work.example[line.name]
            area = self._line(work, line, step)
            if line.name in work.torch:
                self._compare(work, step, area)

    def _line(self, work: _Work, line: Line, step: Step) -> tuple[int, int, int, int]:
        """Write one line and return its first row and column and its last."""
        sheet, top = self.sheet, self.row
        taken = []
        for k, index in enumerate(step.indices):
            row, column = self._place(step, k, top)
            taken.append((row, column))
            work.places[line.name, index] = (self.title, row, column)
            color = work.color(step.cells[k])
            look: dict[str, Any] = {**NUMBER, "bg_color": color} if color else dict(NUMBER)
            value = float(step.values[k])
            if line.formula:
                if (row - 1, column) in self.inputs:  # white lines would hide its frame
                    look |= {"top": 2, "top_color": BLUE, "bottom": 1, "bottom_color": "#FFFFFF"}
                else:
                    look |= {"border": 1, "border_color": "#FFFFFF"}
                formula = self._formula(work, line, step.sources[k])
                sheet.write_formula(row, column, formula, self.format(**look), value)
            else:
                look |= {"border": 2, "border_color": BLUE, "font_color": BLUE, "bold": True}
                sheet.write_number(row, column, value, self.format(**look))
                self.inputs.add((row, column))
        area = (*taken[0], max(row for row, _ in taken), max(column for _, column in taken))
        sheet.write(top, 0, line.symbol, self.format(bold=True))
        sheet.write(top, 1, line.words)
        if line.formula:
            first = self._formula(work, line, step.sources[0])
            shown = f"=_xlfn.FORMULATEXT({xl_rowcol_to_cell(*taken[0])})"
            sheet.write_formula(top, 2, shown, self.format(font_color=GREY, italic=True), first)
        else:
            low, high = LIMITS.get(line.name, (-1e9, 1e9))
            rule = {"validate": "decimal", "criteria": "between", "minimum": low, "maximum": high}
            rule["error_message"] = f"Type a number from {low:g} to {high:g}."
            rule["ignore_blank"] = line.name == "momentum"  # where empty means None
            sheet.data_validation(*area, rule)
        self._name(f"{work.key}_{line.name}", area)
        self.row = area[2] + 1
        return area

    def _place(self, step: Step, k: int, top: int) -> tuple[int, int]:
        """Row and column of value k: those of the first cell that it belongs to."""
        cell = step.cells[k][0]
        return top + (cell[2] if "h" in step.letters else 0), self.column(cell)

    def _formula(self, work: _Work, line: Line, sources: Sequence[Source]) -> str:
        places = [work.places[source] for source in sources]
        cells = [xl_rowcol_to_cell(row, column) for _, row, column in places]
        addresses = [
            cell if sheet == self.title else f"{quote_sheetname(sheet)}!{cell}"
            for cell, (sheet, _, _) in zip(cells, places, strict=True)
        ]
        ranges = _ranges((row, column) for _, row, column in places)
        return f"={line.formula.format(*addresses, all=ranges)}"

    def _compare(self, work: _Work, step: Step, ours: tuple[int, int, int, int]) -> None:
        """Write torch's numbers, and the largest difference from ours."""
        what, tensor = work.torch[step.name]
        grey = self.format(font_color=GREY, **NUMBER)
        down, right = (ours[2] - ours[0] + 1, 0) if self.wide else (0, ASIDE - FIRST)
        for k, value in enumerate(tensor.flatten().tolist()):
            row, column = self._place(step, k, ours[0] + down)
            self.sheet.write_number(row, column + right, value, grey)
        theirs = (ours[0] + down, ours[1] + right, ours[2] + down, ours[3] + right)
        row, column = (theirs[2] + 1, FIRST) if self.wide else (ours[0], ASIDE + 5)
        formula = f"{{=MAX(ABS({xl_range(*ours)}-{xl_range(*theirs)}))}}"
        largest = float((step.tensor - tensor.reshape(step.tensor.shape)).abs().max())
        place, look = (row, column, row, column), self.format(bold=True, **TINY)
        self.sheet.write_array_formula(*place, formula, look, largest)
        if self.wide:
            self.sheet.write(row - down, 1, f"torch's {what}, of the inputs as given")
            self.sheet.write(row, 1, "largest difference")
            self.row = row + 1
        else:
            self.sheet.write(row, column + 1, what)
        name = f"{work.key}_{step.name}"
        self._name(f"{name}_torch", theirs)
        self._name(f"{name}_difference", place)
        self.differences[f"{name}_difference"] = largest

    def _name(self, name: str, area: tuple[int, int, int, int]) -> None:
        self.book.define_name(name, f"={quote_sheetname(self.title)}!{xl_range_abs(*area)}")


def _ranges(cells: Iterable[tuple[int, int]]) -> str:
    """Write cells, given as (row, column), as rectangles: ``D5:E6,M5:N6``."""
    columns: dict[int, list[int]] = defaultdict(list)
    for row, column in sorted(cells):
        columns[row].append(column)
    rows: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, found in columns.items():
        for run in _runs(found):
            rows[run].append(row)
    return ",".join(
        xl_range(top, first, bottom, last)
        for (first, last), found in rows.items()
        for top, bottom in _runs(found)
    )


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    for _, pairs in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in pairs]
        yield run[0], run[-1]


def _norm(norm: str) -> _Work:
    """Norm X by hand and by torch."""
    example = by_hand(norm)
    given = (example[name].tensor for name in ("x", "gamma", "beta", "grad_y"))
    theirs = {
        name: (TITLES[norm].torch if name == "y" else "autograd", tensor)
        for name, tensor in by_torch(norm, *given).items()
    }
    colors = {
        cell: CELL_COLORS[k % len(CELL_COLORS)]
        for k, cells in enumerate(example["mean"].cells)
        for cell in cells
    }
    return _Work(norm, example, theirs, colors)


def _running() -> _Work:
    """Running statistics by hand and by torch."""
    momentum = Fraction(1, 10)
    example = running_by_hand(momentum)
    given = Chain("i", ((0,),))
    given.give("momentum", "a", "", [momentum])
    batches = [example[f"x_{t}"].tensor for t in range(1, len(BATCHES) + 1)]
    theirs = {}
    for name, tensor in running_by_torch(batches, float(momentum)).items():
        kind, _, when = name.rpartition("_")
        if kind.startswith("running"):
            theirs[name] = (f"its {kind}", tensor)
        elif kind == "xhat":
            mode = "evaluation" if when == "eval" else "training"
            theirs[name] = (f"BatchNorm1d in {mode}", tensor)
    return _Work("batches", Example((*given.example().steps, *example.steps)), theirs)


def _penalties() -> _Work:
    """Penalties by hand and by torch."""
    example = penalties_by_hand()
    w, grad = (example[name].tensor for name in ("w", "grad"))
    strengths = {name: float(example[name].values[0]) for name in ("lr", "l1", "l2")}
    found = penalties_by_torch(w, grad, **strengths)
    theirs = {name: (PENALTY_TITLES[name], tensor) for name, tensor in found.items()}
    return _Work("weights", example, theirs)
