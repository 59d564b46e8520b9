"""Advice as data: when, what to take, by how much; never more than the runs decide."""

from collections.abc import Sequence
from dataclasses import dataclass

from normstudy.study.compare import Difference
from normstudy.study.responses import size
from normstudy.tables import Table, in_sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """One line of a decision list."""

    when: str
    """The reader's case."""
    take: str
    """What to do then."""
    evidence: str
    """By how much, with an interval where there is one."""
    shown: str
    """Title of the page whose table supports it."""


def between(when: str, found: Difference, shown: str) -> Advice:
    """Advise the arm that is ahead, and where nothing is decided, either.

    Parameters
    ----------
    when
        The reader's case.
    found
        The two arms to choose from.
    shown
        Title of the page.

    Examples
    --------
    Two arms whose interval holds zero lead to "either": the advice says what is not known.
    """
    first, second = (arm.partition(" at ")[0] for arm in found.pair)
    take = in_sentence(found.ordered().pair[0].partition(" at ")[0])
    if not found.decided:
        equal = f"equal within {found.margin:g} points" if found.equal else "not decided"
        take = f"{in_sentence(first)} or {in_sentence(second)}: {equal}"
    evidence = f"{first} \N{MINUS SIGN} {in_sentence(second)}: {size(found)}"
    return Advice(when=when, take=take, evidence=evidence, shown=shown)


def screen(advice: Sequence[Advice]) -> Table:
    """Show a decision list as a table, numbered."""
    rows = [(f"{n}. {a.when}", a.take, a.evidence, a.shown) for n, a in enumerate(advice, 1)]
    return Table(("if", "take", "here", "shown on"), tuple(rows))
