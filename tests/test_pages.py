"""Every page of the report runs alone, from any folder, and so do the answers to its exercises.

Here the pages show the embedded digits, and those of class reports and sweeps, which no digits
stand in for, made-up images and runs. Each of them is executed once.
"""

import ast
import re
import shutil
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

import answers
import matplotlib.pyplot as plt
import pytest
import torch
from made_up import make_up
from torch import Tensor

from normstudy.byhand.examples import NORMS, by_hand, penalties_by_hand, running_by_hand
from normstudy.byhand.typeset import Working
from normstudy.study import data, runs, timings
from normstudy.study.data import FACTS, ImageSet, Split
from normstudy.study.runs import run_all
from normstudy.study.studies import STUDIES

PAGES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))
BY_HAND = [page for page in PAGES if page.stem.startswith("plot_1")]
WORKED = [page for page in BY_HAND if "120" <= page.stem[5:8] <= "160"]
NAMED = {page: re.findall(r'STUDIES\["([\w-]+)"\]', page.read_text()) for page in PAGES}
MADE_UP = [  # reports and sweeps: what no digits stand in for
    page
    for page in PAGES
    if page.stem.startswith(("plot_3", "plot_4"))
    and not all(STUDIES[name].stands_in for name in NAMED[page])
]
MARKS = {page: [pytest.mark.processes] for page in PAGES if "together(" in page.read_text()}
each_page = pytest.mark.parametrize(
    "page", [pytest.param(page, marks=MARKS.get(page, []), id=page.stem) for page in PAGES]
)


@dataclass(slots=True)
class Ran:
    """What became of a page."""

    names: dict[str, Any] = field(default_factory=dict)  #: what it left behind, by name
    shown: list[Any] = field(default_factory=list)  #: the values of its lines that are calls
    figures: dict[int, dict[str, str]] = field(default_factory=dict)  #: name, caption, alt of each
    on_screen: set[int] = field(default_factory=set)  #: figures that plt.show was there to show
    files: list[Path] = field(default_factory=list)  #: what it wrote into the current folder
    error: Exception | None = None


@cache
def run(page: Path) -> Ran:
    """Execute a page in the current folder, the first time that it is asked for."""
    ran = Ran()
    ran.names |= {"__name__": "__main__", "__file__": str(page), "show_value": ran.shown.append}
    try:
        tree = ast.parse(page.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                node.value = ast.Call(ast.Name("show_value", ast.Load()), [node.value], [])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plt, "show", lambda: ran.on_screen.update(plt.get_fignums()))
            exec(compile(ast.fix_missing_locations(tree), page, "exec"), ran.names)
    except Exception as error:  # noqa: BLE001 - it is raised in the page's own test
        ran.error = error
    for number in plt.get_fignums():
        ran.figures[number] = getattr(plt.figure(number), "normstudy", {})
    ran.files += Path.cwd().iterdir()
    return ran


@pytest.fixture(scope="module")
def trained() -> None:
    """Train both studies on digits once; the pages find their runs in the store of the tests."""
    both = (STUDIES[name].recipes(data="digits") for name in ("cifar10", "main"))
    wanted = [recipe for arms in both for recipes in arms.values() for recipe in recipes]
    run_all(wanted, n_jobs=1, progress=False)  # the other cores have tests to run


@cache
def made_up_images(name: str) -> ImageSet:
    """Make up as many test images as a data set has, and few training images."""
    facts, draw = FACTS[name], torch.Generator().manual_seed(0)
    size, channels = (32, 3) if name == "cifar10" else (28, 1)

    def split(num: int) -> Split:
        shape = (num, size, size, channels)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=draw)
        return Split(images, torch.arange(num) % len(facts.classes))

    mean, std = torch.full((2, channels), 127.5)
    return ImageSet(name, split(1_000), split(facts.num_test), facts.classes, mean, std)


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make up all runs that the pages of the class reports show, in a store of their own."""
    folder = tmp_path_factory.mktemp("made-up")
    named = dict.fromkeys(name for page in MADE_UP for name in NAMED[page])
    arms = (arm for name in named for arm in STUDIES[name].recipes().values())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "train", make_up)
        patch.setattr(runs, "PUBLISHED", folder)
        patch.setattr(data, "load", made_up_images)
        wanted = [recipe for arm in arms for recipe in arm]
        run_all(wanted, n_jobs=1, folder=folder, progress=False)
    return folder


@pytest.fixture
def ran(
    page: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Ran:
    """Return what became of the page, or an error that is told in its own test."""
    monkeypatch.setenv("NORMSTUDY_REPORT", "digits")
    monkeypatch.chdir(tmp_path)
    if page in MADE_UP:
        monkeypatch.setenv("NORMSTUDY_STORE", str(request.getfixturevalue("made_up")))
        monkeypatch.setattr(data, "load", made_up_images)
    elif page not in BY_HAND:
        request.getfixturevalue("trained")
    return run(page)


@pytest.fixture(scope="module")
def compared() -> set[object]:
    """Return all steps that other tests compare with torch value by value (test_typeset)."""
    examples = [by_hand(norm, eps) for norm in NORMS for eps in (Fraction(0), 1e-5)]
    examples += [running_by_hand(), running_by_hand(None), penalties_by_hand()]
    return {step for example in examples for step in example.steps}


@each_page
def test_a_page_runs_alone(page: Path, ran: Ran) -> None:
    if ran.error:
        raise ran.error
    assert ran.files == [], "a page writes no files"
    assert ran.on_screen == ran.figures.keys(), "a script that draws ends with plt.show()"
    for words in ran.figures.values():
        assert all(words.get(key) for key in ("name", "caption", "alt")), words


@pytest.mark.parametrize("page", BY_HAND, ids=lambda page: page.stem)
def test_what_a_page_shows_is_a_step_that_was_compared_with_torch(
    page: Path, ran: Ran, compared: set[object]
) -> None:
    assert {value.step for value in ran.shown if isinstance(value, Working)} <= compared


@pytest.mark.parametrize("page", WORKED, ids=lambda page: page.stem)
def test_a_worked_page_shows_its_steps_and_compares_them_with_torch(page: Path) -> None:
    text = page.read_text()
    assert text.count("\nworking(") >= 5
    assert re.search(r"^ *assert_close\(", text, re.MULTILINE)


# -- exercises -----------------------------------------------------------------------------------


def exercises(page: Path) -> tuple[list[str], dict[str, str]]:
    """Return the numbers of a page's exercises, and the text of each answer by its number."""
    section = r"^# Exercises\n# -+\n(.*?)(?=^# Where to go next$|\Z)"
    found = re.search(section, page.read_text(), re.MULTILINE | re.DOTALL)
    prose = re.sub("^# ?", "", found[1] if found else "", flags=re.MULTILINE)
    asked, *told = re.split(r"^\.\. dropdown:: (?=Answer to )", prose, flags=re.MULTILINE)
    titled = (answer.partition("\n") for answer in told)
    return (
        re.findall(r"^(\d+)\. ", asked, re.MULTILINE),
        {title.removeprefix("Answer to "): dedent(text) for title, _, text in titled},
    )


ANSWERS = [(page, number) for page in PAGES for number in answers.codes(page)]


@each_page
def test_every_exercise_has_an_answer(page: Path) -> None:
    asked, told = exercises(page)
    assert asked == [str(number) for number in range(1, len(asked) + 1)]
    assert asked, "a page closes with exercises"
    codes = answers.codes(page)
    assert list(told) == list(codes) == asked
    for number, answer in told.items():
        says = re.search(r"\b(?:assert|print)", codes[number])
        assert says, f"the code of answer {number} asserts what it claims, or prints what it found"
        prose = answer.rstrip().splitlines()[-1]
        assert re.match(r"\S", prose), f"answer {number} ends in words"


@each_page
def test_the_mark_between_two_cells_stands_alone(page: Path) -> None:
    """Sphinx-Gallery swallows what follows it on its line."""
    marks = [line for line in page.read_text("utf-8").splitlines() if line.startswith("# %%")]
    assert marks
    assert set(marks) == {"# %%"}


@pytest.mark.parametrize(
    ("page", "number"),
    [
        pytest.param(page, number, marks=MARKS.get(page, []), id=f"{page.stem}-{number}")
        for page, number in ANSWERS
    ],
)
def test_an_exercise_runs_as_it_is_asked(page: Path, number: str, ran: Ran) -> None:
    """Its code runs after the page, and leaves the page's tensors as they are for the next one."""
    if ran.error:
        pytest.fail(f"the page itself fails: {ran.error}")
    tensors = {name: value for name, value in ran.names.items() if isinstance(value, Tensor)}
    versions = {name: tensor._version for name, tensor in tensors.items()}
    names = dict(ran.names)
    answers.execute(answers.codes(page)[number], names)
    changed = [name for name in tensors if names[name] is not tensors[name]]
    changed += [name for name, version in versions.items() if tensors[name]._version != version]
    assert not changed, f"{changed} are other tensors now: give them new names"


def test_the_page_of_costs_shows_a_gpu_where_one_was_timed(monkeypatch, tmp_path, capsys):
    (page,) = (page for page in PAGES if page.stem == "plot_510_costs")
    for record in timings.TIMINGS.glob("*.json"):
        shutil.copy(record, tmp_path)
    monkeypatch.setattr(timings, "TIMINGS", tmp_path)
    replace(
        timings.read(tmp_path / "cluster.json"),
        name="gpu",
        seconds={("60 runs, from cold", "all arms"): [110.0]},
        environment={"device": "NVIDIA H100"},
        accuracy={"on the GPU": {"Batch norm": [0.91, 0.93]}},
    ).save(tmp_path)
    assert run.__wrapped__(page).error is None
    shown = capsys.readouterr().out
    assert re.search(r"60 runs, from cold +all arms +110\.0 +110\.0 to 110\.0", shown)
    assert re.search(r"Batch norm +92\.00 ± 1\.41% \(2\)", shown)
    assert "Nobody has timed it" not in shown
