"""The worksheet: its cells and formulas, and what LibreOffice computes with changed inputs."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openpyxl
import pytest
import torch
from openpyxl.cell import Cell
from openpyxl.utils import range_boundaries
from openpyxl.workbook import Workbook
from openpyxl.worksheet.formula import ArrayFormula
from torch import Tensor

from normstudy import __main__ as command
from normstudy.byhand.examples import (
    BATCHES,
    NORMS,
    by_hand,
    penalties_by_hand,
    running_by_hand,
)
from normstudy.byhand.formulas import TITLES
from normstudy.byhand.reference import (
    assert_close,
    by_torch,
    penalties_by_torch,
    running_by_torch,
)
from normstudy.byhand.steps import Example, Step
from normstudy.byhand.worksheet import BLUE, write

SIZES = {"n": 2, "c": 4, "g": 2, "h": 2, "w": 2, "i": 4}
EXAMPLES: dict[str, Example] = {norm: by_hand(norm) for norm in NORMS}
EXAMPLES |= {"batches": running_by_hand(), "weights": penalties_by_hand()}
INPUTS = [f"{norm}_{name}" for norm in NORMS for name in ("x", "gamma", "beta", "eps")]
INPUTS += ["backward_grad_y", "batches_momentum", "batches_running_mean_0", "batches_running_var_0"]
INPUTS += [f"batches_x_{t}" for t in range(1, len(BATCHES) + 1)]
INPUTS += [f"weights_{name}" for name in ("w", "grad", "lr", "l1", "l2")]
OLD_FUNCTIONS = {"ABS", "AVERAGE", "COUNT", "IF", "ISNUMBER", "MAX", "SIGN", "SQRT", "SUM"}
YOUNGER_THAN_2007 = {"_xlfn.FORMULATEXT"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("worksheet") / "given.xlsx")


@pytest.fixture(scope="module")
def book(file: Path) -> Workbook:
    """Its formulas."""
    return openpyxl.load_workbook(file)


@pytest.fixture(scope="module")
def shown(file: Path) -> Workbook:
    """What it shows before a spreadsheet program has calculated."""
    return openpyxl.load_workbook(file, data_only=True)


def area(book: Workbook, name: str) -> list[Cell]:
    """Return the cells behind a name that are not blank, row by row."""
    title, corners = book.defined_names[name].attr_text.rsplit("!", 1)
    left, top, right, bottom = range_boundaries(corners.replace("$", ""))
    rows = book[title.strip("'")].iter_rows(top, bottom, left, right)
    return [cell for row in rows for cell in row if cell.value is not None]


def cells(book: Workbook, name: str, letters: str) -> list[Cell]:
    """Return the cells behind a name in the order of a step with these letters."""
    grid = [letter for letter in "hngcwi" if letter in letters]  # how a sheet is laid out
    array = np.array(area(book, name), dtype=object).reshape([SIZES[letter] for letter in grid])
    return list(array.transpose([grid.index(letter) for letter in letters]).flat)


def values(book: Workbook, name: str, letters: str) -> Tensor:
    """Return the values behind a name with one dimension for each letter."""
    flat = [cell.value for cell in cells(book, name, letters)]
    return torch.tensor(flat, dtype=torch.double).reshape([SIZES[letter] for letter in letters])


def lines() -> Iterator[tuple[str, str, Step]]:
    """Yield the name of each line, the key of its example, and its step."""
    yield "backward_grad_y", "batch", EXAMPLES["batch"]["grad_y"]
    for key, example in EXAMPLES.items():
        for step in example.steps:
            if key not in NORMS or step.name != "grad_y":
                yield f"{key}_{step.name}", key, step


def place(cell: Cell) -> tuple[str, str]:
    return cell.parent.title, cell.coordinate


# -- the file ------------------------------------------------------------------------------------


def test_there_is_a_sheet_for_each_norm_and_each_other_example(book: Workbook) -> None:
    titles = [title.sheet for title in TITLES.values()]
    assert book.sheetnames == ["Start", *titles, "Backward", "Running statistics", "L1 and L2"]


def test_every_step_of_the_worked_examples_stands_in_the_sheets(shown: Workbook) -> None:
    for name, _, step in lines():
        assert torch.equal(values(shown, name, step.letters), step.tensor), name


def test_torch_stands_beside_the_results_with_no_difference(shown: Workbook) -> None:
    names = {name.removesuffix("_difference") for name in shown.defined_names if "_diff" in name}
    assert {f"{norm}_{name}" for norm in NORMS for name in ("y", "grad_x")} <= names
    assert {"batches_running_var_3", "batches_xhat_eval", "weights_proximal"} <= names
    for name in names:
        (difference,) = area(shown, f"{name}_difference")
        assert 0 <= difference.value < 1e-12
        assert len(area(shown, f"{name}_torch")) == len(area(shown, name))


def test_every_formula_uses_the_cells_that_its_value_comes_from(book: Workbook) -> None:
    at = {}
    for name, key, step in lines():
        for index, cell in zip(step.indices, cells(book, name, step.letters), strict=True):
            sharing = NORMS if step.name == "grad_y" else [key]
            at |= {(other, step.name, index): place(cell) for other in sharing}
    for name, key, step in lines():
        for cell, sources in zip(cells(book, name, step.letters), step.sources, strict=True):
            if sources:
                assert precedents(cell) == {at[key, *source] for source in sources}, name


def precedents(cell: Cell) -> set[tuple[str, str]]:
    """Return the cells that a formula refers to."""
    found = set()
    for title, corners in re.findall(r"(?:'([^']+)'!)?\b([A-Z]+\d+(?::[A-Z]+\d+)?)\b", cell.value):
        left, top, right, bottom = range_boundaries(corners)
        sheet = cell.parent.parent[title or cell.parent.title]
        found |= {place(c) for row in sheet.iter_rows(top, bottom, left, right) for c in row}
    return found


def test_every_number_is_a_marked_input_or_torchs_or_a_formula(book: Workbook) -> None:
    inputs = {place(cell) for name in INPUTS for cell in area(book, name)}
    torchs = {place(c) for name in book.defined_names if "_torch" in name for c in area(book, name)}
    numbers, marked = set(), set()
    for cell in (cell for sheet in book for row in sheet.iter_rows() for cell in row):
        if isinstance(cell.value, int | float):
            numbers.add(place(cell))
        if cell.border.left.color is not None and cell.border.left.color.rgb == f"FF{BLUE[1:]}":
            marked.add(place(cell))
    assert marked == inputs
    assert numbers == inputs | torchs


def test_only_the_momentum_may_be_empty(book: Workbook) -> None:
    rules = {
        (sheet.title, coordinate): rule
        for sheet in book
        for rule in sheet.data_validations.dataValidation
        for corners in str(rule.sqref).split()
        for row in sheet[corners if ":" in corners else f"{corners}:{corners}"]
        for coordinate in (cell.coordinate for cell in row)
    }
    for name in INPUTS:
        for cell in area(book, name):
            assert bool(rules[place(cell)].allow_blank) == (name == "batches_momentum"), name


def test_no_line_of_a_result_hides_the_frame_of_an_input(book: Workbook) -> None:
    for name in INPUTS:
        for cell in area(book, name):
            below = cell.offset(1)
            assert below.value is None or below.border.top.color == cell.border.bottom.color, name


def test_functions_are_known_to_every_spreadsheet_and_none_is_volatile(book: Workbook) -> None:
    texts = [
        cell.value.text if isinstance(cell.value, ArrayFormula) else str(cell.value)
        for sheet in book
        for row in sheet.iter_rows()
        for cell in row
        if cell.data_type == "f"
    ]
    calls = [re.findall(r"([\w.]+)\(", re.sub(r"'[^']*'", "", text)) for text in texts]
    used = {name for found in calls for name in found}
    assert used == OLD_FUNCTIONS | YOUNGER_THAN_2007


def test_the_same_numbers_make_the_same_bytes(file: Path, tmp_path: Path) -> None:
    assert write(tmp_path / "again.xlsx").read_bytes() == file.read_bytes()


# -- what can go wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sheet.xls", "sheet", "sheet.xlsx.txt"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} does not end in .xlsx; .* such as by-hand.xlsx"):
        write(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"cannot be written \(No such file .* folder that exists"):
        write(tmp_path / "missing" / "sheet.xlsx")
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_way_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "sheet.xlsx").mkdir()
    with pytest.raises(OSError, match=r"sheet.xlsx cannot be written \(Is a directory\)"):
        write(tmp_path / "sheet.xlsx")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.xlsx"]


def test_a_full_disk_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "sheet.xlsx"
    old.write_bytes(b"old")

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as stream:
            stream.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left on device"):
        write(old)
    assert old.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [old]


def test_the_command_writes_the_file_or_says_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "sheet.xlsx"
    monkeypatch.setattr(sys, "argv", ["normstudy", "worksheet", str(target)])
    command.main()
    assert capsys.readouterr().out == f"{target}\n"
    assert openpyxl.load_workbook(target).sheetnames[0] == "Start"

    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["normstudy", "worksheet", "~/at_home.xlsx"])
    command.main()
    assert (tmp_path / "at_home.xlsx").read_bytes() == target.read_bytes()

    for wrong, why in (("sheet.ods", "does not end"), ("missing/sheet.xlsx", "cannot be written")):
        monkeypatch.setattr(sys, "argv", ["normstudy", "worksheet", str(tmp_path / wrong)])
        with pytest.raises(SystemExit, match=rf"^normstudy: .*{why}"):
            command.main()


# -- recalculated in LibreOffice: nox's session worksheet ----------------------------------------

VARIANTS = ("given", "changed", "large eps", "plain average")


@pytest.fixture(scope="module")
def recalculated(file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workbook]:
    """Each variant of the inputs, calculated by LibreOffice."""
    if shutil.which("soffice") is None:
        pytest.fail(
            "These tests recalculate the worksheet in LibreOffice, whose program soffice is not on "
            "the PATH: apt-get install libreoffice-calc, or an installer from libreoffice.org."
        )
    folder = tmp_path_factory.mktemp("libreoffice")
    for variant in VARIANTS:
        book = openpyxl.load_workbook(file)
        change(book, variant)
        book.save(folder / f"{variant}.xlsx")  # with formulas only: openpyxl keeps no results
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    convert = ["soffice", profile, "--headless", "--convert-to", "xlsx", "--outdir", folder / "out"]
    files = [folder / f"{variant}.xlsx" for variant in VARIANTS]
    subprocess.run([*convert, *files], check=True, timeout=540)
    return {
        variant: openpyxl.load_workbook(folder / "out" / f"{variant}.xlsx", data_only=True)
        for variant in VARIANTS
    }


def change(book: Workbook, variant: str) -> None:
    """Type other numbers into every input."""
    if variant == "given":
        return
    random = np.random.default_rng(VARIANTS.index(variant))
    for name in INPUTS:
        for cell in area(book, name):
            cell.value = float(random.normal(0, 3))
    settings = {"batches_momentum": 0.3, "weights_lr": 0.03, "weights_l1": 7.0, "weights_l2": 0.7}
    settings["batches_running_var_0"] = 2.5
    settings |= {f"{norm}_eps": 0.5 if variant == "large eps" else 1e-5 for norm in NORMS}
    for name, value in settings.items():
        (cell,) = area(book, name)
        cell.value = None if name.endswith("momentum") and variant == "plain average" else value
    area(book, "weights_w")[2].value = 0


def check(book: Workbook, key: str, expected: dict[str, Tensor]) -> None:
    """Compare what LibreOffice computed with torch."""
    for name, theirs in expected.items():
        letters = EXAMPLES[key][name].letters
        ours = values(book, f"{key}_{name}", letters)
        assert_close(ours, theirs, atol=1e-9, name=f"{key}_{name}")


@pytest.mark.libreoffice
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("norm", NORMS)
def test_a_norm_is_that_of_torch(
    recalculated: dict[str, Workbook], norm: str, variant: str
) -> None:
    book = recalculated[variant]
    example = EXAMPLES[norm]
    x, gamma, beta, eps = (
        values(book, f"{norm}_{name}", example[name].letters)
        for name in ("x", "gamma", "beta", "eps")
    )
    upstream = values(book, "backward_grad_y", "nchw")
    check(book, norm, by_torch(norm, x, gamma, beta, upstream, eps=eps.item()))


@pytest.mark.libreoffice
@pytest.mark.parametrize("variant", VARIANTS)
def test_running_statistics_are_those_of_torch(
    recalculated: dict[str, Workbook], variant: str
) -> None:
    book = recalculated[variant]
    momentum = [cell.value for cell in area(book, "batches_momentum")]
    assert (momentum == []) == (variant == "plain average")
    batches = [values(book, f"batches_x_{t}", "i") for t in range(1, len(BATCHES) + 1)]
    mean, var = (values(book, f"batches_running_{name}_0", "").item() for name in ("mean", "var"))
    check(book, "batches", running_by_torch(batches, *(momentum or [None]), mean=mean, var=var))


@pytest.mark.libreoffice
@pytest.mark.parametrize("variant", VARIANTS)
def test_penalties_are_those_of_torch(recalculated: dict[str, Workbook], variant: str) -> None:
    book = recalculated[variant]
    w, grad = (values(book, f"weights_{name}", "i") for name in ("w", "grad"))
    strengths = {name: values(book, f"weights_{name}", "").item() for name in ("lr", "l1", "l2")}
    check(book, "weights", penalties_by_torch(w, grad, **strengths))


@pytest.mark.libreoffice
@pytest.mark.parametrize("variant", VARIANTS)
def test_differences_are_from_torchs_results_for_the_given_inputs(
    recalculated: dict[str, Workbook], shown: Workbook, variant: str
) -> None:
    book = recalculated[variant]
    compared = [name for name in book.defined_names if name.endswith("_difference")]
    assert compared
    for name in (name.removesuffix("_difference") for name in compared):
        ours, theirs, given = (
            [cell.value for cell in area(workbook, f"{name}{suffix}")]
            for workbook, suffix in ((book, ""), (book, "_torch"), (shown, "_torch"))
        )
        assert theirs == pytest.approx(given, abs=1e-9), name
        (cell,) = area(book, f"{name}_difference")
        largest = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
        assert cell.value == pytest.approx(largest, abs=1e-9), name
        assert (cell.value < 1e-9) == (variant == "given"), name
