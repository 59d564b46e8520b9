"""Controls: by how much the distance between two arms changes when something else does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import stats

from normstudy.study.compare import differences
from normstudy.study.measures import Arms, Summary, summarize
from normstudy.study.recipes import Recipe
from normstudy.study.runs import Run
from normstudy.tables import LEVEL, Table, number


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """The distance between two arms, in points of test accuracy, in a study and in its control."""

    pair: tuple[str, str]
    """Labels of the two arms; distances are the first minus the second."""
    before: float
    """In the study."""
    after: float
    """In the control."""
    low: float
    """Lower end of the 95 % interval of the change, ``after - before``, for all pairs at once."""
    high: float
    """Upper end; both are NaN where an arm has a single seed or no arm has any spread."""

    @property
    def size(self) -> float:
        """Points by which the distance grew, or below zero shrank or turned round."""
        return self.after - self.before

    @property
    def decided(self) -> bool:
        """Whether chance alone does not explain the change: zero is outside the interval."""
        return bool(self.low > 0 or self.high < 0)

    @property
    def turned(self) -> bool:
        """Whether the arm that was behind is ahead in the control."""
        return self.before * self.after < 0

    @property
    def title(self) -> str:
        """First minus second, as text."""
        return " \N{MINUS SIGN} ".join(self.pair)

    @property
    def interval(self) -> str:
        """The interval of the change as text."""
        known = not np.isnan(self.low)
        return f"{number(self.low, 2)} to {number(self.high, 2)}" if known else "none"


def changes(study: Arms, control: Arms) -> list[Change]:
    """Compare the distances between arms in a control with those in the study.

    Each change is a contrast of independent means, with Welch's interval (variances that need not
    be equal, degrees of freedom by Satterthwaite), corrected by Bonferroni for the pairs of the
    control. An arm that is the same in both, seeds aside, changes nothing and adds no variance.

    Parameters
    ----------
    study, control
        Runs by arm. The arms of the control are named as those of the study that they repeat.

    Raises
    ------
    ValueError
        If the control has fewer than two arms, or one that the study lacks.

    References
    ----------
    B. L. Welch, The generalization of 'Student's' problem when several different population
    variances are involved, 1947, https://doi.org/10.1093/biomet/34.1-2.28
    """
    if len(control) < 2 or not control.keys() <= study.keys():
        msg = (
            f"a control repeats two or more arms of the study ({', '.join(study)}); "
            f"given: {', '.join(control) or 'none'}"
        )
        raise ValueError(msg)
    pairs = list(combinations(control, 2))
    same = {arm for arm, runs in control.items() if _setting(runs) == _setting(study[arm])}
    found = []
    for pair in pairs:
        before = [summarize(study[arm]) for arm in pair]
        after = [summarize(study[arm] if arm in same else control[arm]) for arm in pair]
        moving = [
            m for arm, *of in zip(pair, before, after, strict=True) if arm not in same for m in of
        ]
        distances = [one.mean - other.mean for one, other in (before, after)]
        size, half = distances[1] - distances[0], _half_width(moving, LEVEL / len(pairs))
        found.append(
            Change(
                pair=pair,
                before=distances[0],
                after=distances[1],
                low=size - half,
                high=size + half,
            )
        )
    return found


def _setting(runs: Sequence[Run]) -> Recipe:
    return replace(runs[0].recipe, seed=0)


def _half_width(means: Sequence[Summary], level: float) -> float:
    """Half of Welch's interval for a sum or difference of independent means, NaN if unknown."""
    if not means or min(mean.n for mean in means) < 2:
        return float("nan")
    variances = np.array([mean.sd**2 / mean.n for mean in means])
    if not (total := variances.sum()):
        return float("nan")
    freedom = total**2 / (variances**2 / [mean.n - 1 for mean in means]).sum()
    return float(stats.t.ppf(1 - level / 2, freedom) * np.sqrt(total))


def table(found: Sequence[Change]) -> Table:
    """Tabulate distances in the study and in the control, and by how much they changed."""
    rows = []
    for c in found:
        distances = (number(x, 2, sign=True) for x in (c.before, c.after, c.size))
        rows.append((c.title, *distances, c.interval))
    header = ("pair, points", "main study", "control", "change", "95 % interval of the change")
    return Table(header, tuple(rows))


def answer(study: Arms, control: Arms) -> str:
    """Say in two sentences whether the order holds in the control, and which distances changed."""
    found = changes(study, control)
    decided = sum(d.decided for d in differences(control))
    turned = "; ".join(f"{c.title} {_from_to(c)}" for c in found if c.turned)
    order = f"Another order: {turned}" if turned else "The order is that of the main study"
    moved = "; ".join(
        f"{c.title} {_from_to(c)} (95 % interval of the change {c.interval})"
        for c in found
        if c.decided
    )
    return (
        f"{order}; {decided} of {len(found)} pairs are decided. "
        f"Changed by more than chance: {moved or 'no distance'}."
    )


def _from_to(change: Change) -> str:
    ends = (number(x, 2, sign=True) for x in (change.before, change.after))
    return f"from {' to '.join(ends)} points"
