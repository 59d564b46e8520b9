"""Steps of a worked example: numbers, the LaTeX of how they came about, and where from.

An `Example` is a chain of steps held as frozen data, and `Chain` computes one. The numbers are
fractions, exact until a root is not whole.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import product

import torch
from torch import Tensor

Number = Fraction | float
Index = tuple[int, ...]
Source = tuple[str, Index]  # a value that another is computed from: name of its step, index there


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One line of a worked example: a quantity, its formula and all its values.

    The five tuples run in parallel, with one entry for each value.
    """

    name: str  #: such as "mean"
    symbol: str  #: LaTeX for the quantity
    letters: str  #: what the values are numbered by, from 0: "ng" is by image and group
    formula: str  #: LaTeX, in symbols; empty where the values are given
    indices: tuple[Index, ...]
    values: tuple[Number, ...]
    worked: tuple[str, ...]  #: LaTeX, the formula with its numbers; empty where they are given
    sources: tuple[tuple[Source, ...], ...]  #: the values that each one is computed from
    cells: tuple[tuple[Index, ...], ...]  #: the cells that each one belongs to

    @property
    def tensor(self) -> Tensor:
        """The values in float64, with one dimension for each letter."""
        shape = [1 + max(column) for column in zip(*self.indices, strict=True)]
        return torch.tensor([float(v) for v in self.values], dtype=torch.double).reshape(shape)

    def label(self, index: Index) -> str:
        """LaTeX for the name of one value."""
        return f"{self.symbol}_{{{','.join(map(str, index))}}}" if index else self.symbol


@dataclass(frozen=True, slots=True)
class Example:
    r"""A chain of steps, in order and by name.

    Examples
    --------
    >>> from normstudy.byhand.examples import by_hand
    >>> step = by_hand("group")["mean"]
    >>> step.label((0, 1)), step.worked[1], str(step.values[1])
    ('\\mu_{0,1}', '\\frac{2 + 0 + 2 + 8 + 6 + 6 + 8 + 8}{8}', '5')
    """

    steps: tuple[Step, ...]

    def __getitem__(self, name: str) -> Step:
        return {step.name: step for step in self.steps}[name]


def latex(value: Number) -> str:
    r"""Typeset a whole number, a fraction, or 8 digits of what is neither.

    Examples
    --------
    >>> latex(Fraction(4)), latex(Fraction(-3, 2)), latex(2.5e-6)
    ('4', '-\\frac{3}{2}', '2.5 \\cdot 10^{-6}')
    """
    if isinstance(value, float):
        digits, _, exponent = f"{value:.8g}".partition("e")
        return rf"{digits} \cdot 10^{{{int(exponent)}}}" if exponent else digits
    if value.denominator == 1:
        return str(value)
    sign = "-" if value < 0 else ""
    return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


class Term:
    r"""A number, and the LaTeX of how it came about: one expression makes both.

    Examples
    --------
    >>> x, mu, s = (Term(Fraction(n)) for n in (0, 1, -2))
    >>> y = (x - mu) / s
    >>> y.text, str(y.value), (mu + s).text
    ('\\frac{0 - 1}{-2}', '1/2', '1 + (-2)')
    """

    def __init__(self, value: Number, text: str = "", binds: int = 2) -> None:
        self.value = value
        self.text = text or latex(value)
        whole = isinstance(value, float) or value.denominator == 1
        self.binds = binds if text else 0 if value < 0 else 1 + whole

    def inside(self, binds: int) -> str:
        """The text, in parentheses where it binds too weakly: a sum 0, a product 1, a number 2."""
        left, right = (r"\left(", r"\right)") if "frac" in self.text else "()"
        return self.text if self.binds >= binds else left + self.text + right

    def __add__(self, other: "Term") -> "Term":
        return Term(self.value + other.value, f"{self.text} + {other.inside(1)}", 0)

    def __sub__(self, other: "Term") -> "Term":
        return Term(self.value - other.value, f"{self.text} - {other.inside(1)}", 0)

    def __mul__(self, other: "Term") -> "Term":
        text = rf"{self.inside(1)} \cdot {other.inside(1)}"
        return Term(self.value * other.value, text, 1)

    def __truediv__(self, other: "Term") -> "Term":
        return Term(self.value / other.value, rf"\frac{{{self.text}}}{{{other.text}}}", 1)

    def __abs__(self) -> "Term":
        return Term(max(self.value, -self.value), rf"\left|{self.text}\right|", 2)

    def squared(self) -> "Term":
        """Square, written with an exponent."""
        return Term(self.value**2, f"{self.inside(2)}^2", 1)

    def root(self) -> "Term":
        """Square root: a fraction where the number is the square of one."""
        root = math.sqrt(self.value)
        exact = Fraction(root).limit_denominator(10**6)
        whole = isinstance(self.value, Fraction) and exact**2 == self.value
        return Term(exact if whole else root, rf"\sqrt{{{self.text}}}", 2)

    def sign(self) -> "Term":
        """Sign: -1, 0 or 1."""
        value = Fraction((self.value > 0) - (self.value < 0))
        return Term(value, rf"\operatorname{{sign}}({self.text})", 2)

    def positive(self) -> "Term":
        """The number, or 0 where it is negative."""
        return Term(max(self.value, Fraction(0)), rf"\max({self.text}, 0)", 2)


def total(*terms: Term) -> Term:
    """Sum of one or more terms."""
    return reduce(Term.__add__, terms)


def average(*terms: Term) -> Term:
    """Mean of one or more terms."""
    return total(*terms) / Term(Fraction(len(terms)))


class Chain:
    """Computes steps from earlier steps over the same cells.

    Cells are numbered by `letters`, and every step by some of these, or by "g" for groups of
    `group_size` channels "c". A value is computed from all
    values of the named earlier steps that share a cell with it: the mean of an image from all cells
    of the image, a standardized cell from its own deviation and from the root of its set.
    """

    def __init__(self, letters: str, cells: Iterable[Index], group_size: int = 1) -> None:
        self.letters = letters
        self.group_size = group_size
        self.cells = tuple(cells)
        self.steps: dict[str, Step] = {}
        self.values: dict[Source, Number] = {}

    def at(self, cell: Index, letters: str) -> Index:
        """Number of the value that the cell belongs to, in a step with these letters."""
        part = dict(zip(self.letters, cell, strict=True))
        if "c" in part:
            part["g"] = part["c"] // self.group_size
        return tuple(part[letter] for letter in letters)

    def give(self, name: str, symbol: str, letters: str, values: Iterable[Number]) -> None:
        """Begin with given values, one for each cell; cells that share a value repeat it."""
        given = {self.at(c, letters): v for c, v in zip(self.cells, values, strict=True)}
        exact = {i: v if isinstance(v, float) else Fraction(v) for i, v in given.items()}
        self._record(name, symbol, letters, "", {i: (v, "", ()) for i, v in exact.items()})

    def add(
        self,
        name: str,
        symbol: str,
        letters: str,
        formula: str,
        names: Sequence[str],
        compute: Callable[..., Term],
    ) -> None:
        """Compute a step from the values of the named steps, in the order of these names."""
        sources: dict[Index, dict[Source, Term]] = defaultdict(dict)
        for earlier, cell in product(names, self.cells):
            source = earlier, self.at(cell, self.steps[earlier].letters)
            sources[self.at(cell, letters)][source] = Term(self.values[source])
        terms = {index: compute(*used.values()) for index, used in sources.items()}
        rows = {i: (term.value, term.text, tuple(sources[i])) for i, term in terms.items()}
        self._record(name, symbol, letters, formula, rows)

    def _record(
        self,
        name: str,
        symbol: str,
        letters: str,
        formula: str,
        rows: dict[Index, tuple[Number, str, tuple[Source, ...]]],
    ) -> None:
        self.values |= {(name, index): row[0] for index, row in rows.items()}
        sharing: dict[Index, list[Index]] = defaultdict(list)
        for cell in self.cells:
            sharing[self.at(cell, letters)].append(cell)
        self.steps[name] = Step(
            name=name,
            symbol=symbol,
            letters=letters,
            formula=formula,
            indices=tuple(rows),
            values=tuple(row[0] for row in rows.values()),
            worked=tuple(row[1] for row in rows.values()),
            sources=tuple(row[2] for row in rows.values()),
            cells=tuple(tuple(sharing[index]) for index in rows),
        )

    def example(self) -> Example:
        """All steps so far."""
        return Example(tuple(self.steps.values()))
