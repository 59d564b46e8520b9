"""Advice as data: when, what to take, by how much; never more than the runs decide."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from normstudy.study import contrasts
from normstudy.study.compare import Difference
from normstudy.study.responses import Points
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
    """File name of the page whose table supports it, without its ending."""
    runs: str = ""
    """What is to be known of the runs behind it, such as that they are short."""


def between(when: str, found: Difference, shown: str, *, runs: str = "") -> Advice:
    """Advise the arm that is ahead, and where nothing is decided, either.

    Parameters
    ----------
    when
        The reader's case.
    found
        The two arms to choose from.
    shown, runs
        As in :class:`Advice`.

    Examples
    --------
    Two arms whose interval holds zero lead to "either": the advice says what is not known.
    """
    first, second = found.pair
    take = in_sentence(found.ordered().pair[0])
    if not found.decided:
        equal = f"equal within {found.margin:g} points" if found.equal else "not decided"
        take = f"{in_sentence(first)} or {in_sentence(second)}: {equal}"
    evidence = f"{first} \N{MINUS SIGN} {in_sentence(second)}: {contrasts.size(found)}"
    return Advice(when=when, take=take, evidence=evidence, shown=shown, runs=runs)


def at_point(
    when: str,
    points: Points,
    arms: tuple[str, str],
    at: float,
    shown: str,
    *,
    family: int = 1,
    runs: str = "",
) -> Advice:
    """Advise one of two arms at a point of a sweep; one that was lost there is no choice.

    Parameters
    ----------
    when, shown, runs
        As in :class:`Advice`.
    points
        The sweep.
    arms
        The two to choose from.
    at
        The value of the swept setting.
    family
        Number of comparisons that the interval holds for, all together.

    Raises
    ------
    ValueError
        If both were lost.
    """
    lost = [arm for arm in arms if not points[arm][at]]
    if not lost:
        found = contrasts.between(points, (arms[0], at), (arms[1], at), family=family)
        advice = between(when, found, shown, runs=runs)
        if not found.decided and contrasts.is_near_chance(points, found):
            ahead = in_sentence(arms[0] if found.mean > 0 else arms[1])
            take = f"{ahead}, it seems; not decided, {contrasts.NEAR_CHANCE}"
            return replace(advice, take=take)
        return advice
    left = [arm for arm in arms if arm not in lost]
    if not left:
        msg = f"both {arms[0]!r} and {arms[1]!r} were lost at {at:g}; advise other arms"
        raise ValueError(msg)
    evidence = f"{in_sentence(lost[0])}: its loss stopped being finite"
    return Advice(when=when, take=in_sentence(left[0]), evidence=evidence, shown=shown, runs=runs)


def screen(advice: Sequence[Advice]) -> Table:
    """Show a decision list as a table."""
    rows = [
        (a.when, "; ".join(filter(None, (a.take, a.runs))), a.evidence, a.shown) for a in advice
    ]
    return Table(("if", "take", "here", "shown on"), tuple(rows))
