"""Nothing measured is typed into prose: pages, captions and tables compute it from records.

``typed`` reads the prose of a file and returns the numbers in it that look measured: shares, points
of accuracy, losses, times, memory, ratios, counts of mistakes, statistics, in digits or in words.
Not typed by us is what stands in the braces of an f-string, between the marks of README.md, or in a
sentence that cites somebody. Questions claim nothing; formulas and code are no prose.
"""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
CITED = ("literature.py", "originals.py", "reports.py")  # what others measured, with its source
DATED = ("plan.rst",)  # written before the runs, and kept as it was
PROSE = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *(path for path in sorted((ROOT / "docs").glob("*.rst")) if path.name not in DATED),
    *sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")),
    *sorted((ROOT / "examples").glob("plot_*.py")),
    *sorted((ROOT / "docs").glob("*.py")),
    *(path for path in sorted((ROOT / "normstudy").rglob("*.py")) if path.name not in CITED),
]

# -- what looks measured -------------------------------------------------------------------------

WORDS = (
    "half|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|"
    "forty|fifty|sixty|seventy|eighty|ninety|an? hundred|hundred|thousand|million|dozen|"
    "(?:a |an )?(?:half|third|quarter|fifth|sixth|seventh|eighth|ninth|tenth|hundredth)s?"
)
DIGITS = r"(?<![\w.,{/^\"=-])[+−±~≈<>-]?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?"
SPELLED = rf"\b(?:{WORDS})(?:[ -](?:and a )?(?:{WORDS}))*(?: of)?(?: an?)?"
NUMBER = rf"(?:{DIGITS}|{SPELLED})"
LOOKS_MEASURED = re.compile(
    "|".join(
        (
            rf"{NUMBER}[ -]?(?:%|per ?cent\b)",
            rf"{NUMBER} (?:percentage )?points?\b",
            r"\b(?:about|nearly|almost|roughly|over|by) a point\b|\ba point and a half\b",
            rf"{NUMBER} nats?\b",
            rf"{NUMBER}[ -](?:(?:milli|micro|nano)?seconds?|minutes?|hours?|ms|s)\b",
            r"\b(?:thousand|million)ths of a second\b|\b(?:some|a few|several) m\w+seconds\b",
            rf"{NUMBER}[ -]?(?:[kKMGT]i?B|(?:kilo|mega|giga)bytes?)\b",
            rf"(?:{NUMBER} times|\btwice|\bthrice|\bseveral times) (?:as|more|less|\w+er)\b",
            rf"{NUMBER} (?:faster|slower|longer|better|worse|dearer)\b",
            rf"(?:{DIGITS}-?|\b(?:{WORDS}))fold\b",
            rf"{SPELLED} (?:its|their) (?:length|size|time|speed|accuracy|lead)\b",
            rf"{NUMBER} (?:times )?(?:in|out of) (?:{WORDS}|\d+)\b",
            rf"{NUMBER} (?:(?!for|of)\w+ )?(?:mistakes|errors|wrong|misclassified images)\b",
            rf"\b(?:accuracy|loss|kappa|correlation|gap) (?:of|at|is|was|to) {DIGITS}",
            rf"\bbetween {SPELLED} and {SPELLED}\b",
            rf"\bp (?:=|<|>|≈|is|of) ?{DIGITS}",
            rf"{DIGITS} ?± ?\d",
            rf"\b(?:about|nearly|almost|roughly|some) {DIGITS}|\bnear {SPELLED}\b",
            r"(?<![\w.,{/-])\d\d\.\d{1,2}(?!\w|[.,]\d)",  # an accuracy without its unit
        )
    ),
    re.IGNORECASE,
)
NOT_OURS = re.compile(
    r":(?:foot)?cite\w*:|https?://(?!normstudy\.)"  # a role, a link to somebody else
    r"|\bet al\.|[A-Z]\w+,? \(?(?:19\d\d|20[01]\d|202[0-5])\b"  # or a year before our runs
    r"|\?$"
)


class Allowed(NamedTuple):
    """Numbers that may be typed although they look measured."""

    words: str
    """That hold the number, as a pattern."""
    why: str
    beside: str = ""
    """What else the sentence must hold, as a pattern."""
    pages: str = "*"
    """The names of the files, as a pattern of pathlib."""


ALLOWED = (
    # levels, margins and rules that the study has set
    Allowed(r"95 ?%", "the level of every interval", "interval|quantile|probability"),
    Allowed(
        r"\b5 ?%|one in twenty", "the level of every test", "level|probability|by chance|Bonferroni"
    ),
    Allowed(r"half a point|0\.5 points", "the margin of equality", "equal|margin|interval"),
    Allowed(r"0\.05 points", "the margin of equality on MNIST", "equal", pages="CHANGELOG.md"),
    Allowed(r"within 0\.3 points", "the margin of the rule that chooses"),
    Allowed(
        r"within (?:2|two) points(?= of an arm's own best| where fewer)",
        "how near is near, of a question and of a comparison of machines",
    ),
    Allowed(r"40%", "how much of a page is prose", pages="contributing.rst"),
    # what follows from the numbers of classes and images
    Allowed(
        r"accuracy of 10%|\b[129]0 ?%|loss of 2\.303|2\.303 nats",
        "what a guess gets",
        "chance|guess|ten classes",
    ),
    Allowed(r"100 ?%", "all there is"),
    Allowed(r"^0%", "no image at all, as the answer asserts", pages="plot_210*"),
    Allowed(r"0\.0?1 points", "one test image of 10,000, or ten", "image|them"),
    Allowed(r"half a point", "the binomial's, with 5,000 images", "standard error"),
    # settings, and sizes that others have set
    Allowed(r"(?:ten|twenty) (?:wrong|(?:\w+ )?(?:mistakes|errors))", "what a picture shows"),
    Allowed(
        r"(?:three|ten|a hundred) times as (?:much|large|strong)|below 99%|four in five",
        "settings of the runs, and shares of parameters",
        pages="plot_[34]*",
    ),
    Allowed(r"more than five points", "what the page asserts", pages="plot_540*"),
    Allowed(r"hundredfold in size", "of ResNet-50, beside the network here", pages="plot_490*"),
    Allowed(
        r"(?:[\w.]+ times|twice) as many",
        "what can be counted before any training",
        "^(?!.*(?:mistakes|errors|wrong|right|zeros))",
    ),
    Allowed(r"170 MB|4 KiB", "a download, a page of memory"),
    # ways of speaking
    Allowed(r"an accuracy of 85%|say 50%|confidence of 80%|nine times in ten", "examples"),
    Allowed(
        r"(?:at|about) 99%|99% sure|98\.5 to 99\.5%|one in a hundred",
        "which answers a column is about, and how many of them should be wrong",
        "confiden|sure|should be",
    ),
    Allowed(
        r"(?:one|two|three) points?(?= an epoch| of the first line| of these| differ|, each|$)",
        "points of a curve",
    ),
    # pages that show no runs: what they say of their numbers is worked before the reader's eyes
    Allowed(
        r".+",
        "worked by hand",
        r"^(?!.*(?:accurac|points|nats|error|second|right on\b|% right|wrong))",
        "plot_1[0-9]*",
    ),
    Allowed(
        r".+",
        "worked by hand",
        r"^(?!.*(?:accurac|points|nats|second|right on\b|% right|wrong))",
        "plot_5[2356]0*",
    ),
    Allowed(r"2\d\.\d ?%?", "Wu and He's", "In their wide|the same paper", "plot_130*"),
)


def found_in(sentence: str, name: str = "page.rst") -> Iterator[tuple[str, Allowed | None]]:
    """Find the numbers that look measured in a sentence of a file, and what allows each of them."""
    if NOT_OURS.search(sentence):
        return
    allowed = [(place, entry) for entry in ALLOWED for place in places(entry, sentence, name)]
    for found in LOOKS_MEASURED.finditer(sentence):
        entries = [
            entry
            for (first, last), entry in allowed
            if first < found.end() and found.start() < last
        ]
        yield found[0], next(iter(entries), None)


def places(entry: Allowed, sentence: str, name: str) -> list[tuple[int, int]]:
    """Find where an entry allows numbers."""
    if not Path(name).match(entry.pages) or not re.search(entry.beside, sentence, re.IGNORECASE):
        return []
    return [found.span() for found in re.finditer(entry.words, sentence, re.IGNORECASE)]


# -- what is prose -------------------------------------------------------------------------------

Paragraphs = Iterator[tuple[int, str]]  # with the number of their first line
RULE = r"\s*[=\-~^]{3,}\s*$"
BEGINS = re.compile(r"\s*(?:\.\. |:[\w-]+: |[-*+] |\d+\. |#\. )|\s*(?:%%)?$|" + RULE)
MARK = re.compile(r"^\s*(?:\.\. [\w-]+::|:[\w-]+: |%%(?: |$))")
UNREAD = re.compile(r"``.*?``|:math:`.*?`")


def of_rst(lines: Iterable[tuple[int, str]]) -> Paragraphs:
    """Read paragraphs, cells and captions, but not code and formulas."""
    paragraph: list[str] = []
    start, inside = 0, -1
    for number, line in [*lines, (0, "")]:
        if inside >= 0 and (not line.strip() or len(line) - len(line.lstrip()) > inside):
            continue
        inside = -1
        if BEGINS.match(line) and paragraph:
            yield start, UNREAD.sub("", " ".join(paragraph))
            paragraph = []
        if block := re.match(r"(\s*)\.\. (?:code-block|math)::", line):
            inside = len(block[1])
        elif line.strip() and not re.match(RULE, line):
            start = start if paragraph else number
            paragraph.append(MARK.sub("", line).strip())


def of_python(text: str) -> Paragraphs:
    """Read the comments that stand alone, and the strings; what an f-string computes is ``{}``."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [
        (token.start[0], token.string.removeprefix("#").removeprefix(" "))
        for token in tokens
        if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip()
    ]
    for _, block in groupby(enumerate(comments), lambda pair: pair[1][0] - pair[0]):
        yield from of_rst(comment for _, comment in block)
    for line, string in strings(ast.parse(text)):
        yield from of_rst(enumerate(dedent(string).splitlines(), line))


def strings(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Read the strings below a node, an f-string as one."""
    match node:
        case ast.Constant(value=str(text)):
            yield node.lineno, text
        case ast.JoinedStr():
            parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield node.lineno, "".join(map(str, parts))
        case _:
            for child in ast.iter_child_nodes(node):
                yield from strings(child)


def of_markdown(text: str) -> Paragraphs:
    """Read what stands outside of code, and outside of the marks between which it is written."""
    for hidden in (r"<!-- begin: (\S+) -->.*?<!-- end: \1 -->", r"```.*?```", r"\$\$?[^$]*\$"):
        blank = lambda found: "\n" * found[0].count("\n")  # noqa: E731
        text = re.sub(hidden, blank, text, flags=re.DOTALL)
    yield from of_rst(enumerate(text.splitlines(), 1))


def of_notebook(text: str) -> Paragraphs:
    """Read the cells; a line is that of the cell."""
    for cell in json.loads(text)["cells"]:
        source = "".join(line for line in cell["source"] if not line.startswith("%"))
        yield from (of_markdown if cell["cell_type"] == "markdown" else of_python)(source)


def of_restructured_text(text: str) -> Paragraphs:
    """Read a page of docs."""
    yield from of_rst(enumerate(text.splitlines(), 1))


READ = {
    ".py": of_python,
    ".rst": of_restructured_text,
    ".md": of_markdown,
    ".ipynb": of_notebook,
}


class Found(NamedTuple):
    """A number that looks measured."""

    where: str
    number: str
    sentence: str
    allowed: Allowed | None


@cache
def found_on(path: Path) -> list[Found]:
    """Find the numbers in the prose of a file that look measured."""
    return [
        Found(f"{path.name}:{line}", number, sentence, allowed)
        for line, paragraph in READ[path.suffix](path.read_text(encoding="utf-8"))
        for sentence in re.split(r"(?<=[.!?])(?<!\bal\.)\s+(?=[^a-z])", paragraph)
        for number, allowed in found_in(sentence, path.name)
    ]


# -- the tests -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_measured_is_typed(path):
    told = [f"{f.where}: {f.number!r} in {f.sentence!r}" for f in found_on(path) if not f.allowed]
    assert not told, "compute it from records, or say in ALLOWED why it may be typed"


def test_whatever_is_allowed_is_still_there():
    used = {found.allowed for path in PROSE for found in found_on(path)}
    assert [entry for entry in ALLOWED if entry not in used] == []


@pytest.mark.parametrize(
    ("sentence", "numbers"),
    [
        ("Batch norm gets 87.3 % of the test images right.", ["87.3 %"]),
        ("It is right on eighty-five percent.", ["eighty-five percent"]),
        ("Group norm is 1.80 points behind.", ["1.80 points"]),
        ("Without a norm it is about a point and a half worse.", ["about a point", "a half worse"]),
        ("That costs a quarter of a point.", ["a quarter of a point"]),
        ("The test loss ends at 0.37 nats.", ["0.37 nats"]),
        ("It ends with a loss of 0.37.", ["loss of 0.37"]),
        ("An epoch takes 45 to 60 seconds.", ["60 seconds"]),
        ("A training takes twenty minutes.", ["twenty minutes"]),
        ("A training takes 1.5 GB.", ["1.5 GB"]),
        ("A step takes 1.4 times as long.", ["1.4 times as"]),
        ("It is twice as fast, and three times slower there.", ["twice as", "three times slower"]),
        ("The errors rise fivefold.", ["fivefold"]),
        ("It makes 1,283 mistakes.", ["1,283 mistakes"]),
        ("The pair is open (p = 0.049).", ["p = 0.049"]),
        ("The two have a kappa of 0.45.", ["kappa of 0.45"]),
        ("Batch norm: 87.33 ± 0.40.", ["87.33 ± 0"]),
        ("Batch norm reached 87.33, group norm 85.53.", ["87.33", "85.53"]),
        ("Nine in ten are right.", ["Nine in ten"]),
        ("The gradient is off by a tenth of its length.", ["a tenth of its length"]),
        ("A guess gets 10 %, batch norm 87 %.", ["87 %"]),
        ("In November 2026 the gap was 1.80 points.", ["gap was 1.80"]),
    ],
)
def test_what_looks_measured_is_found(sentence, numbers):
    assert [number for number, allowed in found_in(sentence) if not allowed] == numbers


@pytest.mark.parametrize(
    "sentence",
    [
        "Batches of 128 images, 20 epochs, 45,000 images, filters of 3x3, a lambda of 0.00003.",
        "The intervals are 95 % intervals, and a guess gets 10 % right.",
        "Two arms are equal where the interval lies within half a point of zero.",
        "Guo et al. found 3 to 5 points.",
        "Wu and He (2018) lose 10.6 points with two images.",
        "It lost 10.6 points :cite:p:`wu2018group`, or see https://example.org for 10.6 points.",
        "How large is a difference of 0.3 points?",
        "Batch norm is {} points ahead, {:.2f} ± {:.2f} %, in {} seconds.",
        "Version 2.15.0 came on 2026-11-25; the rates are 0.1, 0.2 and 1e-5, on pages 12-14.",
        "One of the ten classes comes twice, and five of the runs are shown.",
    ],
)
def test_what_is_no_measurement_is_not_found(sentence):
    assert [number for number, allowed in found_in(sentence) if not allowed] == []


def numbers_in(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    return [found.number for found in found_on(path)]


def test_comments_docstrings_and_strings_of_a_page_are_read_and_its_code_is_not(tmp_path):
    page = '''"""
Title
=====

It gains 1.25
points.
"""
# %%
# It loses 2.5
# points, :math:`9.5 %`, ``9.5 %``.
#
# .. math:: 9.5 \\%
#
# .. code-block:: python
#
#    assert 9.5 > 9.25  # 9.5 points
#
# And 3.5 points.
lr = 87.33  # 87.33
print(f"{lr:.2f} points " f"and 4.5 points, {lr} %")
figure(caption="5.5 % are right")
'''
    expected = ["2.5 points", "3.5 points", "1.25 points", "4.5 points", "5.5 %"]
    assert numbers_in(tmp_path / "plot_999.py", page) == expected


def test_cells_and_options_of_a_page_in_restructured_text_are_read(tmp_path):
    page = """\
.. figure:: a.png
   :width: 700px
   :alt: A line that ends at
         1.5 %.

   A caption of 2.5 %.

.. list-table::

   * - 3.5
     - 4.5 %
"""
    assert numbers_in(tmp_path / "page.rst", page) == ["1.5 %", "2.5 %", "4.5 %"]


def test_what_is_written_into_the_readme_is_not_typed(tmp_path):
    page = "Typed 1.5 %.\n\n<!-- begin: x -->\n\n2.5 %\n\n<!-- end: x -->\n\n```\n3.5 %\n```\n"
    assert numbers_in(tmp_path / "README.md", page) == ["1.5 %"]


def test_cells_of_a_notebook_are_read(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["Typed 1.5 %\n", "and 2.5 %."]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "print('3.5 %')"]},
    ]
    text = json.dumps({"cells": cells})
    assert numbers_in(tmp_path / "a.ipynb", text) == ["1.5 %", "2.5 %", "3.5 %"]
