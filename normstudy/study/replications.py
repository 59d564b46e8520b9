"""A class report beside runs of ours: its settings, its numbers, what became of its findings.

The numbers of a report are one seed each; ours are means over seeds, and their standard deviation
says how far one seed may lie from another.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from normstudy.study.compare import Difference, differences
from normstudy.study.design import Study
from normstudy.study.measures import CHANCE, Arms, check_arms, mean_interval, summarize
from normstudy.study.originals import Finding, Original
from normstudy.study.recipes import Recipe
from normstudy.study.runs import Run
from normstudy.tables import NORM_NAMES, Table, in_sentence, interval, number, p_equals, p_value

FAR = 3.0  # standard deviations of our seeds; what is further away asks for a reason
RECENT = 5  # epochs; how far accuracies move from one to the next

_SILENT = {"data", "net", "seed", "validation", "precision"}
"""Settings that the words around a table give, or that no report chose."""


def settings(study: Study) -> Table:
    """Tabulate the settings of the arms, a row each; what no arm reads or uses is left out."""
    recipes = {arm: tried[0] for arm, tried in study.arms.items()}
    rows = []
    for f in fields(Recipe):
        cells = [_setting(recipe, f.name) for recipe in recipes.values()]
        if f.name not in _SILENT and any(cells):
            rows.append((f.name.replace("_", " "), *(cell or "\N{EN DASH}" for cell in cells)))
    rows.append(("seeds", *[", ".join(map(str, study.seeds))] * len(recipes)))
    return Table(("setting", *recipes), tuple(rows))


def _setting(recipe: Recipe, name: str) -> str:
    """Write a setting, or nothing for one that is off or decides nothing."""
    value = getattr(recipe, name)
    if name in recipe.unread or not value:
        return ""
    if name == "norm":
        return NORM_NAMES[recipe.norm]
    if value is True:
        return "yes"
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """One arm: what a report printed, and what our seeds gave, in percent of the test images."""

    arm: str
    printed: float
    """After the report's last epoch."""
    printed_best: float
    """At the report's best epoch on the test images."""
    values: tuple[float, ...]
    """Ours after the last epoch, a seed each."""
    bests: tuple[float, ...]
    """Ours at the best epoch of each seed."""
    recent: tuple[float, ...] = ()
    """Ours after each of the last ``RECENT`` epochs, of all seeds, less the mean of the epoch."""

    @property
    def mean(self) -> float:
        """Mean of our seeds, last epoch."""
        return float(np.mean(self.values))

    @property
    def sd(self) -> float:
        """Sample standard deviation of our seeds, last epoch."""
        return float(np.std(self.values, ddof=1))

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95% t-interval of our mean."""
        return mean_interval(self.values)

    @property
    def distance(self) -> float:
        """Printed number minus our mean, last epochs, in our standard deviations."""
        apart = self.printed - self.mean
        return apart / self.sd if self.sd else math.copysign(math.inf, apart) if apart else 0.0

    @property
    def p(self) -> float:
        """Probability that another seed of ours would lie as far from our mean, or further.

        From Student's t: neither the mean nor the deviation of our few seeds is known exactly.
        """
        n = len(self.values)
        return float(2 * stats.t.sf(abs(self.distance) / math.sqrt(1 + 1 / n), n - 1))

    @property
    def far(self) -> bool:
        """Whether the printed number lies so far away that a reason is asked for."""
        return abs(self.distance) > FAR

    def __str__(self) -> str:
        """Say in one sentence where the printed number lies."""
        side = "above" if self.distance > 0 else "below"
        told = (
            f"{self.arm}: the report printed {self.printed:.2f}%, {abs(self.distance):.1f} "
            f"standard deviations {side} our mean of {self.mean:.2f}%"
            f"{', which asks for a reason' if self.far else ''} ({p_equals(self.p)} that another "
            "seed of ours would be as far away)."
        )
        if self.far and self.recent:
            told += (
                f" Over the last {RECENT} epochs, {self.as_far} of {len(self.recent)} accuracies "
                "of our seeds are as far from the mean of their epoch, on that side."
            )
        return told

    @property
    def as_far(self) -> int:
        """Number of recent accuracies as far from their mean as the printed one is from ours.

        A learning rate that never falls brings no curve to rest, and then seeds that end alike by
        chance have a smaller standard deviation than one training over its last epochs.
        """
        apart = self.printed - self.mean
        return sum(value >= apart if apart > 0 else value <= apart for value in self.recent)


def beside(original: Original, arms: Arms) -> list[Beside]:
    """Set what a report printed beside runs of ours, arm by arm.

    Raises
    ------
    ValueError
        If the runs must not be set beside each other, or an arm has fewer than two seeds.
    KeyError
        If an arm of the report has no runs.
    """
    check_arms(arms)
    found = []
    for arm, printed in original.last.items():
        runs = arms[arm]
        if len(runs) < 2:
            msg = f"the arm {arm!r} has one seed, and no spread to judge by; give two or more"
            raise ValueError(msg)
        found.append(
            Beside(
                arm=arm,
                printed=printed,
                printed_best=original.best[arm],
                values=tuple(summarize(runs).values.values()),
                bests=tuple(best_of(run) for run in runs),
                recent=tuple(_apart(runs).ravel().tolist()),
            )
        )
    return found


def _apart(runs: Sequence[Run]) -> npt.NDArray[np.float64]:
    """Recent accuracies less the mean of their epoch over the seeds, shape (S, E), in points."""
    recent = np.array([run.history["test_accuracy"][-RECENT:] for run in runs], dtype=np.float64)
    return np.asarray(100 * (recent - recent.mean(0)))


def best_of(run: Run) -> float:
    """Look up the test accuracy of the epoch that was best on the test images, in percent."""
    return 100 * max(run.history["test_accuracy"])


def results(rows: Sequence[Beside]) -> Table:
    """Tabulate printed numbers beside ours: last epochs with their distance, and best epochs."""
    header = (
        *("arm", "seeds", "printed, last epoch, %", "here, last epoch, %", "95% interval"),
        *("distance, standard deviations", "p, another seed"),
        *("printed, best epoch, %", "here, best epoch, %"),
    )
    cells = []
    for row in rows:
        best = f"{np.mean(row.bests):.2f} ± {np.std(row.bests, ddof=1):.2f}"
        cells.append(
            (
                *(row.arm, str(len(row.values)), f"{row.printed:.2f}"),
                *(f"{row.mean:.2f} ± {row.sd:.2f}", interval(*row.interval, 2)),
                *(number(row.distance, 1, sign=True), p_value(row.p)),
                *(f"{row.printed_best:.2f}", best),
            )
        )
    return Table(header, tuple(cells))


Fate = Literal["confirmed", "refuted", "open"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A finding of a report, and what our runs say to it."""

    finding: Finding
    printed: float
    """How far the one arm was ahead in the report, in points, at the best epochs of both."""
    printed_last: float
    """The same after its last epochs, where the order may be another one."""
    ours: Difference
    """The same difference here, with an interval that holds for all pairs of arms at once."""

    @property
    def fate(self) -> Fate:
        """Confirmed or refuted where the interval excludes zero, and open where it does not."""
        if not self.ours.decided:
            return "open"
        return "confirmed" if self.ours.mean > 0 else "refuted"


def judge(original: Original, arms: Arms) -> list[Judged]:
    """Ask our runs for every finding of a report whether it holds, after the last epoch.

    Raises
    ------
    ValueError
        If the runs must not be set beside each other.
    """
    found = {d.pair: d for d in differences({arm: arms[arm] for arm in original.best})}
    found |= {pair[::-1]: -d for pair, d in found.items()}
    return [
        Judged(
            finding=finding,
            printed=original.best[finding.ahead] - original.best[finding.behind],
            printed_last=original.last[finding.ahead] - original.last[finding.behind],
            ours=found[finding.ahead, finding.behind],
        )
        for finding in original.findings
    ]


def findings(judged: Sequence[Judged]) -> Table:
    """Tabulate the findings of a report, what was printed, what we measure, and their fate."""
    header = (
        *("finding", "in the report", "there, best epoch, points", "there, last epoch, points"),
        *("here, last epoch, points", "95% interval", "verdict"),
    )
    rows = []
    for one in judged:
        said = f"in words: {one.finding.written}" if one.finding.written else "in its numbers"
        ours = one.ours
        rows.append(
            (
                f"{one.finding.ahead} ahead of {in_sentence(one.finding.behind)}",
                *(said, number(one.printed, 2, sign=True)),
                *(number(one.printed_last, 2, sign=True), number(ours.mean, 2, sign=True)),
                *(ours.interval, one.fate),
            )
        )
    return Table(header, tuple(rows))


def in_short(rows: Sequence[Beside], judged: Sequence[Judged]) -> str:
    """Say in two sentences how many printed numbers were met, and what became of the findings."""
    near = [row for row in rows if not row.far]
    of = {fate: [one for one in judged if one.fate == fate] for fate in ("confirmed", "refuted")}
    told = [f"{fate}: {_listed(found)}" for fate, found in of.items() if found]
    left = len(judged) - sum(map(len, of.values()))
    if left:
        told.append(f"left open: {left}")
    return (
        f"{len(near)} of its {len(rows)} accuracies {'is' if len(near) == 1 else 'are'} within "
        f"{FAR:g} standard deviations of our seeds. Of the {len(judged)} differences between its "
        f"arms, {'; '.join(told)}."
    )


def _listed(judged: Sequence[Judged]) -> str:
    """Name findings, each with the difference that we measure."""
    return ", ".join(
        f"{in_sentence(one.finding.ahead)} ahead of {in_sentence(one.finding.behind)} "
        f"(here {number(one.ours.mean, 2, sign=True)} points)"
        for one in judged
    )


def towards(goal: float, arm: str, before: Sequence[Run], after: Sequence[Run], change: str) -> str:
    """Say which part of the way from an arm to a goal one change makes up, or which seeds it loses.

    Parameters
    ----------
    goal
        Test accuracy in percent, above that of ``before``.
    arm
        Its label.
    before, after
        Its runs without the change, and with it.
    change
        The change in a word or two.
    """
    gap = goal - summarize(before).mean
    below = f"{number(gap, 2)} points" if gap > 0 else "not"
    start = f"{arm}: {below} below {goal:g}%"
    held = [run for run in after if 100 * run.accuracy > 2 * CHANCE]
    if len(held) < len(after):  # no interval fits seeds of two kinds
        others = f"; the mean of the others is {summarize(held).mean:.2f}%" if held else ""
        gone = len(after) - len(held)
        lost = f"{gone} of {len(after)} seeds {'ends' if gone == 1 else 'end'} at chance"
        return f"{start}; with {change}, {lost}{others}."
    gained = differences({"after": after, "before": before})[0]
    size = f"{number(gained.mean, 2, sign=True)} points, 95% interval {gained.interval}"
    if gap <= 0:
        return f"{start}; {change} changes it by {size}."
    if not gained.decided:
        return f"{start}; whether {change} changes anything is open ({size})."
    if gained.mean < 0:
        return f"{start}; {change} makes it worse ({size})."
    part = "all of it" if gained.mean >= gap else f"{gained.mean / gap:.0%} of it"
    return f"{start}; {change} makes up {part} ({size})."


def chance_of_range(values: Sequence[float], printed: Sequence[float]) -> float:
    """Compute how likely runs of one network lie as far apart as numbers that were printed.

    That is the upper tail of the studentized range: numbers of one normal distribution, whose
    standard deviation is known from our seeds only.

    Parameters
    ----------
    values
        What our seeds of that network gave.
    printed
        Numbers that are said to be of different networks.

    Returns
    -------
    float
        Probability of a range of at least ``max(printed) - min(printed)``.

    Examples
    --------
    >>> bool(chance_of_range([1.0, 2.0, 3.0, 4.0], [0.0, 9.0]) < 0.05)
    True
    """
    width = max(printed) - min(printed)
    spread = float(np.std(values, ddof=1))
    return float(stats.studentized_range.sf(width / spread, len(printed), len(values) - 1))


def as_far_apart(values: Sequence[float], printed: Sequence[float]) -> tuple[int, int]:
    """Count the choices of as many of our seeds that lie as far apart, and all choices."""
    width = max(printed) - min(printed)
    ranges = [max(some) - min(some) for some in combinations(values, len(printed))]
    return sum(wide >= width for wide in ranges), len(ranges)
