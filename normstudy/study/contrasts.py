"""Points of a sweep compared, by a spread of seeds that is pooled over the whole sweep."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from normstudy.study.compare import MARGINS, Difference
from normstudy.study.measures import CHANCE, Arms, Measure, summarize, welch
from normstudy.study.responses import Points, held
from normstudy.study.runs import Run
from normstudy.tables import LEVEL, Table, in_sentence, number

NEAR_CHANCE = "too few seeds so near chance"
"""Verdict where an arm has nearly failed, and its seeds scatter too much to say more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """How far seeds scatter around the mean of their point, over all points of a sweep together."""

    sd: float
    """Standard deviation in points of accuracy; NaN where no point has any spread."""
    freedom: int
    """Degrees of freedom: seeds less points."""
    left_out: int
    """Points that are not counted, since they are too near to chance."""
    least: float
    """Accuracy from which on a point counts, in percent."""

    def __str__(self) -> str:
        """Say it in a sentence."""
        out = f"; points near chance, left out: {self.left_out}" if self.left_out else ""
        return (
            f"Seeds of one point differ by a standard deviation of {number(self.sd, 2)} points, "
            f"pooled over the sweep ({self.freedom} degrees of freedom{out})."
        )


def pooled(points: Points, measure: Measure | str = "test_accuracy") -> Spread:
    """Pool the variance of the seeds over the points of a sweep.

    Two seeds know next to nothing of their own spread. All points together know it well, if it is
    much the same everywhere. It is not where a training fails, so points below the middle between
    chance and the best one do not count. The measure is an accuracy.
    """
    every = {id(runs): runs for of in points.values() for runs in held(of).values()}
    found = [summarize(runs, measure) for runs in every.values()]  # a shared point counts once
    least = (max(point.mean for point in found) + CHANCE) / 2
    kept = [point for point in found if point.mean >= least]
    freedom = sum(point.n - 1 for point in kept)
    squares = sum((point.n - 1) * point.sd**2 for point in kept if point.n > 1)
    sd = float(np.sqrt(squares / freedom)) if squares else float("nan")
    return Spread(sd=sd, freedom=freedom, left_out=len(found) - len(kept), least=least)


def between(
    points: Points,
    one: tuple[str, float],
    other: tuple[str, float],
    *,
    family: int = 1,
    measure: Measure | str = "test_accuracy",
) -> Difference:
    """Compare the accuracies of two points, each an arm and a value: the first minus the second.

    The interval is Student's, with the spread that is :func:`pooled` over the sweep. A point that
    the pool leaves out scatters otherwise, so then it is Welch's, from their own seeds alone. There
    is none where the spread is not known.

    Parameters
    ----------
    points
        The sweep.
    one, other
        Arm and value.
    family
        Number of comparisons that the interval holds for, all together (Bonferroni).
    measure
        Which accuracy.

    Raises
    ------
    ValueError
        If a point is compared with itself, or was lost.
    """
    labels = [arm if one[1] == other[1] else f"{arm} at {x:g}" for arm, x in (one, other)]
    if labels[0] == labels[1]:
        msg = f"{labels[0]!r} is compared with itself; give two points"
        raise ValueError(msg)
    runs = [points[arm][x] for arm, x in (one, other)]
    for (arm, x), of in zip((one, other), runs, strict=True):
        if not of:
            msg = f"{arm!r} was lost at {x:g}, so there is nothing to compare; give another point"
            raise ValueError(msg)
    first, second = (summarize(of, measure) for of in runs)
    spread, mean = pooled(points, measure), first.mean - second.mean
    if min(first.mean, second.mean) < spread.least:
        error, freedom = welch([first, second])
    else:
        error, freedom = spread.sd * np.sqrt(1 / first.n + 1 / second.n), spread.freedom
    half = error * float(stats.t.ppf(1 - LEVEL / (2 * family), freedom))
    alone = 2 * stats.t.sf(abs(mean) / error, freedom)
    return Difference(
        first=first,
        second=second,
        pair=(labels[0], labels[1]),
        low=mean - half,
        high=mean + half,
        p=float(np.minimum(1, family * alone)),
        family=family,
        margin=MARGINS[runs[0][0].recipe.data],
    )


def pairs(arms: Arms, measure: Measure | str = "test_accuracy") -> list[Difference]:
    """Compare each arm with each other one as points of one sweep, for all pairs at once."""
    points = {arm: {0.0: runs} for arm, runs in arms.items()}
    found = list(combinations(points, 2))
    return [
        between(points, (one, 0.0), (other, 0.0), family=len(found), measure=measure)
        for one, other in found
    ]


def ahead(found: Sequence[Difference]) -> str:
    """Say which pairs are decided, the arm that is ahead first, and by how much."""
    told = [
        f"{in_sentence(d.pair[0])} ahead of {in_sentence(d.pair[1])} by {size(d).removeprefix('+')}"
        for d in (d.ordered() for d in found if d.decided)
    ]
    return "; ".join(told) or "no pair"


def is_near_chance(points: Points, found: Difference) -> bool:
    """Tell a comparison of a point that the pool leaves out: few seeds decide next to nothing."""
    return min(found.first.mean, found.second.mean) < pooled(points, found.measure).least


def compared(points: Points, one: tuple[str, float], other: tuple[str, float]) -> str:
    """Say how far a point is ahead of another, or which of the two was lost."""
    lost = [
        f"{in_sentence(arm)} was lost at {x:g}" for arm, x in (one, other) if not points[arm][x]
    ]
    return " and ".join(lost) or size(between(points, one, other))


def _at_each(points: Points, one: str, other: str) -> dict[float, Difference | None]:
    """Compare two arms at each value that both were trained with; None where one was lost.

    The intervals hold for all values at once.
    """
    places = sorted(points[one].keys() & points[other].keys())
    both = [x for x in places if points[one][x] and points[other][x]]
    found = {x: between(points, (one, x), (other, x), family=len(both)) for x in both}
    return {x: found.get(x) for x in places}


def against(points: Points, one: str, other: str, axis: str) -> Table:
    """Tabulate how far one arm is ahead of another at each value that both were trained with.

    The intervals hold for all rows at once.
    """
    rows = []
    for x, found in _at_each(points, one, other).items():
        if found is None:
            lost = [in_sentence(arm) for arm in (one, other) if not points[arm][x]]
            rows.append((f"{x:g}", *["\N{EN DASH}"] * 2, f"lost: {' and '.join(lost)}"))
            continue
        ahead = f"ahead: {in_sentence(found.ordered().pair[0])}"
        interval, verdict = found.interval, ahead if found.decided else found.verdict
        if is_near_chance(points, found) and not found.decided:
            interval, verdict = "\N{EN DASH}", NEAR_CHANCE
        rows.append((f"{x:g}", found.measure.text(found.mean, sign=True), interval, verdict))
    header = (f"{axis}: {one} \N{MINUS SIGN} {in_sentence(other)}", "points", "95% interval")
    return Table((*header, "verdict"), tuple(rows))


def size(found: Difference) -> str:
    """Write a difference and its interval: how many points the first is ahead, or behind."""
    interval = "" if np.isnan(found.low) else f" (95% interval {found.interval})"
    return f"{found.measure.text(found.mean, sign=True)} {found.unit}{interval}"


def _to_best(of: Points, arm: str) -> tuple[float, dict[float, Difference]]:
    """Compare each point of an arm with its best one, with intervals for all of them at once."""
    there = held(of[arm])
    if not there:
        msg = f"{arm!r} was lost everywhere, so it has no best value; leave it out"
        raise ValueError(msg)
    means = {x: summarize(runs).mean for x, runs in there.items()}
    best = max(means, key=means.__getitem__)
    # the best is picked from all, so the intervals allow for every pair
    family = len(there) * (len(there) - 1) // 2
    return best, {x: between(of, (arm, x), (arm, best), family=family) for x in there if x != best}


def to_best(points: Points, arm: str, axis: str) -> Table:
    """Tabulate how far each value of an arm is behind its best one.

    The best one is picked by the same runs, so the intervals hold for all pairs of values at once.
    """
    best, found = _to_best(points, arm)
    rows = [
        (
            *(f"{x:g}", d.measure.text(d.mean, sign=True), d.interval),
            "behind" if d.decided else d.verdict,
        )
        for x, d in found.items()
    ]
    header = (f"{axis}, against {best:g}", "points", "95% interval", "verdict")
    return Table(header, tuple(rows))


def to_one(points: Points, reference: tuple[str, Sequence[Run]], axis: str) -> Table:
    """Tabulate how far every point is from one more, of another arm; for all of them at once.

    A point near chance has no interval: it has its own few seeds alone, which scatter otherwise.

    Parameters
    ----------
    points
        The sweep.
    reference
        Label and runs of what all points are compared with.
    axis
        What the setting is called.
    """
    label, runs = reference
    every = {**points, label: {0.0: runs}}
    family = sum(len(held(of)) for of in points.values())
    rows = []
    for x in sorted({x for of in points.values() for x in of}):
        cells = []
        for arm, of in points.items():
            if not of.get(x):
                cells.append("lost" if x in of else "\N{EN DASH}")
                continue
            d = between(every, (arm, x), (label, 0.0), family=family)
            ends = "near chance" if is_near_chance(every, d) else d.interval
            cells.append(f"{d.measure.text(d.mean, sign=True)} ({ends})")
        rows.append((f"{x:g}", *cells))
    return Table((f"{axis}: points, beside {in_sentence(label)}", *points), tuple(rows))


def unbeaten(points: Points, arm: str) -> list[float]:
    """List the best value of an arm, and those that the runs do not tell apart from it."""
    best, found = _to_best(points, arm)
    return [best, *(x for x, d in found.items() if not d.decided)]


def behind_best(points: Points, arm: str) -> str:
    """Say which value of an arm is best, which are behind it, and which are left open."""
    if not held(points[arm]):
        return "lost everywhere"
    best, found = _to_best(points, arm)
    behind = [f"{x:g} ({d.measure.text(d.mean, sign=True)})" for x, d in found.items() if d.decided]
    open_ones = [f"{x:g}" for x, d in found.items() if not d.decided]
    parts = [f"{best:g} is best"]
    if behind:
        parts.append(f"behind it: {', '.join(behind)}")
    if open_ones:
        parts.append(f"left open: {', '.join(open_ones)}")
    lost = [f"{x:g}" for x, runs in points[arm].items() if not runs]
    if lost:
        parts.append(f"lost: {', '.join(lost)}")
    return "; ".join(parts)


def in_short(points: Points, one: str, other: str) -> str:
    """Say at which values an arm is ahead of another, where it is behind, and where that is open.

    The intervals behind it are those of :func:`against`.
    """
    found = _at_each(points, one, other)
    undecided = {x: d for x, d in found.items() if d and not d.decided}
    groups = {
        "ahead": [x for x, d in found.items() if d and d.low > 0],
        "behind": [x for x, d in found.items() if d and d.high < 0],
        "not decided": [x for x in undecided if not is_near_chance(points, undecided[x])],
        f"{NEAR_CHANCE},": [x for x in undecided if is_near_chance(points, undecided[x])],
    }
    for x in (x for x, d in found.items() if d is None):
        lost = " and ".join(in_sentence(arm) for arm in (one, other) if not points[arm][x])
        groups.setdefault(f"{lost} lost", []).append(x)
    parts = [
        f"{word} at {', '.join(f'{x:g}' for x in where)}" for word, where in groups.items() if where
    ]
    return f"{one} against {in_sentence(other)}: {'; '.join(parts)}."
