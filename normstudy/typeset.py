"""Worked examples as typeset mathematics, for notebooks and for the report."""

import html
from dataclasses import dataclass

from normstudy.steps import Index, Step, latex


@dataclass(frozen=True, slots=True)
class Working:
    """A step's formula, then one line for each chosen value: its numbers put in, and the result.

    A notebook and the report show it as mathematics.
    """

    step: Step
    indices: tuple[Index, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """LaTeX of each line, with an ampersand before its first sign of equality."""
        step = self.step
        lines = [f"{step.symbol} &= {step.formula}"] if step.formula else []
        for index in self.indices:
            place = step.indices.index(index)
            value, worked = step.values[place], step.worked[place]
            sign = r"\approx" if isinstance(value, float) else "="
            middle = f"= {worked} {sign}" if worked else sign
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
    >>> from normstudy.byhand import by_hand
    >>> for line in working(by_hand("batch")["std"], (1,), (2,)).lines:
    ...     print(line)
    s &= \sqrt{\sigma^2 + \epsilon}
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
