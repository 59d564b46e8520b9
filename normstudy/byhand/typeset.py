"""Worked examples as typeset mathematics, for notebooks and for the report."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from normstudy.byhand.steps import Index, Step, latex

TERMS = 4  # of a sum in a line: the cells of one map of the worked batch, and what a phone shows


@dataclass(frozen=True, slots=True)
class Working:
    """A step's formula, then one line for each chosen value: its numbers put in, and the result.

    A notebook and the report show it as mathematics.
    """

    step: Step
    indices: tuple[Index, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """LaTeX of each line, with an ampersand before its first sign of equality.

        A sum of more than `TERMS` terms is broken after every so many.
        """
        step = self.step
        lines = [f"{step.symbol} &= {step.formula}"] if step.formula else []
        for index in self.indices:
            place = step.indices.index(index)
            value, worked = step.values[place], step.worked[place]
            sign = r"\approx" if isinstance(value, float) else "="
            middle = f"= {_broken(worked)} {sign}" if worked else sign
            lines.append(f"{step.label(index)} &{middle} {latex(value)}")
        return tuple(lines)

    def _repr_latex_(self) -> str:
        return rf"$$\begin{{aligned}} {self._rows()} \end{{aligned}}$$"

    def _repr_html_(self) -> str:
        """Show mathematics where only elements of the class math are searched for it."""
        text = html.escape(rf"\[\begin{{aligned}} {self._rows()} \end{{aligned}}\]", quote=False)
        return f'<div class="math notranslate nohighlight">\n{text}\n</div>'

    def _rows(self) -> str:
        return r" \\[0.4em] ".join(self.lines)


def _broken(worked: str) -> str:
    r"""Break a long sum, or the long sum above a fraction's bar, into lines of `TERMS` terms.

    Examples
    --------
    >>> print(_broken("1 + 2 + (-3) + 4 + 5"))
    \textstyle 1 + 2 + (-3) + 4 \\ &\quad \textstyle {} + 5
    >>> print(_broken(r"\frac{1 + 2 + (-3) + 4 + 5}{5}"))
    \frac{\begin{array}{r} 1 + 2 + (-3) + 4 \\[-0.1em] {} + 5 \end{array}}{5}
    """
    terms = _terms(worked)
    if len(terms) > TERMS:  # in text style a fraction among the terms is no higher than its line
        return r"\textstyle " + r" \\ &\quad \textstyle {} + ".join(_rows(terms))
    fraction = re.fullmatch(r"\\frac\{(.*)\}\{(\d+)\}", worked)
    if fraction and len(terms := _terms(fraction[1])) > TERMS:
        rows = r" \\[-0.1em] {} + ".join(_rows(terms))
        return rf"\frac{{\begin{{array}}{{r}} {rows} \end{{array}}}}{{{fraction[2]}}}"
    return worked


def _terms(text: str) -> list[str]:
    """Split a sum at the plus signs that stand inside no bracket."""
    terms: list[str] = []
    depth = 0
    for part in text.split(" + "):
        terms = [*terms[:-1], f"{terms[-1]} + {part}"] if depth else [*terms, part]
        depth += sum(part.count(c) for c in "({") - sum(part.count(c) for c in ")}")
    return terms


def _rows(terms: Sequence[str]) -> list[str]:
    return [" + ".join(terms[start : start + TERMS]) for start in range(0, len(terms), TERMS)]


def working(step: Step, *indices: Index) -> Working:
    r"""Typeset a step of a worked example.

    Parameters
    ----------
    step
        Of an `Example`.
    indices
        Which of its values to show, such as ``(0, 1)`` for image 0 and group 1; all by default.

    Raises
    ------
    ValueError
        If the step has no value of such an index.

    Examples
    --------
    >>> from normstudy.byhand.examples import by_hand
    >>> for line in working(by_hand("batch")["std"], (1,), (2,)).lines:
    ...     print(line)
    s &= \sqrt{\sigma^2 + \varepsilon}
    s_{1} &= \sqrt{9 + 0} = 3
    s_{2} &= \sqrt{25 + 0} = 5
    """
    for index in indices:
        if index not in step.indices:
            raise ValueError(
                f"step {step.name} has no value {index}; its indices run from {step.indices[0]} to "
                f"{step.indices[-1]}."
            )
    return Working(step, indices or step.indices)
