"""Controls: by how much the distance between two arms changes when something else does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeVar

import numpy as np
from scipy import stats

from normstudy.study.compare import differences
from normstudy.study.measures import CHANCE, Arms, summarize, welch
from normstudy.study.recipes import Recipe, Recipes
from normstudy.study.runs import Run
from normstudy.tables import LEVEL, Table, in_sentence, interval, number

_T = TypeVar("_T")
WIDE = 3  # standard deviations in a control above this many of the study's are said


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
    """Lower end of the 95% interval of the change, ``after - before``, for all pairs at once."""
    high: float
    """Upper end; both are NaN where an arm has a single seed or no arm has any spread."""

    @property
    def size(self) -> float:
        """The distance in the control less that in the study."""
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
        return interval(self.low, self.high, 2)


def by_setting(arms: Mapping[str, _T]) -> dict[str, dict[str, _T]]:
    """Take a control of several settings apart: by setting, the arms under their plain names.

    Parameters
    ----------
    arms
        Anything by arm, where the name of an arm is followed by a comma and its setting.

    Raises
    ------
    ValueError
        If a name has no setting.

    Examples
    --------
    >>> by_setting({"Batch norm, slow": 1, "Batch norm, fast": 2})
    {'slow': {'Batch norm': 1}, 'fast': {'Batch norm': 2}}
    """
    found: dict[str, dict[str, _T]] = {}
    for name, value in arms.items():
        arm, comma, setting = name.partition(", ")
        if not comma:
            msg = f"the arm {name!r} names no setting; write it as 'Batch norm, twice the rate'"
            raise ValueError(msg)
        found.setdefault(setting, {})[arm] = value
    return found


def changes(study: Arms, control: Arms) -> list[Change]:
    """Compare the distances between arms in a control with those in the study.

    Each change is a contrast of means, with the interval of
    :func:`normstudy.study.measures.welch`, corrected by Bonferroni for the pairs of the control.
    The means count as independent although their seeds are shared: results of one seed hardly move
    together. An arm that is the same in both, seeds aside, has the runs of the study in both; it
    changes nothing and adds no variance.

    Parameters
    ----------
    study, control
        Runs by arm. The arms of the control are named as those of the study that they repeat.

    Raises
    ------
    ValueError
        If the control has fewer than two arms, or one that the study lacks.
    """
    both = compared(study, control)
    pairs = list(combinations(both, 2))
    found = []
    for pair in pairs:
        before, after = ([summarize(of[arm]) for arm in pair] for of in (study, both))
        moved = [arm for arm in pair if both[arm] is not study[arm]]
        means = [summarize(of[arm]) for arm in moved for of in (study, both)]
        distances = [one.mean - other.mean for one, other in (before, after)]
        size, (error, freedom) = distances[1] - distances[0], welch(means)
        half = error * float(stats.t.ppf(1 - LEVEL / (2 * len(pairs)), freedom))
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


def compared(study: Arms, control: Arms) -> Arms:
    """Collect the runs of a control; where it repeats a recipe of the study, all of the study's.

    Raises
    ------
    ValueError
        As in :func:`changes`.
    """
    if len(control) < 2 or not control.keys() <= study.keys():
        msg = (
            f"a control repeats two or more arms of the study ({', '.join(study)}); "
            f"given: {', '.join(control) or 'none'}"
        )
        raise ValueError(msg)
    return {
        arm: study[arm] if _setting(runs) == _setting(study[arm]) else runs
        for arm, runs in control.items()
    }


def _setting(runs: Sequence[Run]) -> Recipe:
    return replace(runs[0].recipe, seed=0)


def table(found: Sequence[Change], names: tuple[str, str] = ("main study", "control")) -> Table:
    """Tabulate distances in a study and in its control, and by how much they changed.

    Parameters
    ----------
    found
        What :func:`changes` returned.
    names
        Of the study and of the control.
    """
    rows = []
    for c in found:
        distances = (number(x, 2, sign=True) for x in (c.before, c.after, c.size))
        rows.append((c.title, *distances, c.interval))
    header = ("pair, points", *names, "change", "95% interval of the change")
    return Table(header, tuple(rows))


def answer(study: Arms, control: Arms, diverged: Recipes | None = None) -> str:
    """Say which distances changed in the control, and whether the means keep their order.

    Parameters
    ----------
    study, control
        As in :func:`changes`.
    diverged
        What left no run in the control, by arm; said first, with the arms that scatter widely. The
        order is given without it and, where that makes a difference, with it counted as chance.
    """
    gone, both, found = diverged or {}, compared(study, control), changes(study, control)
    means = {arm: _with_lost(runs, _lost(runs, gone.get(arm, ()))) for arm, runs in both.items()}
    counted = [replace(c, after=means[c.pair[0]] - means[c.pair[1]]) for c in found]
    ahead = [pair.ordered().pair for pair in differences(both) if pair.decided]
    sure = [c for c in found if c.turned and c.decided and {c.pair, c.pair[::-1]} & {*ahead}]
    order = {
        "Turned round": [_moved(c) for c in sure],
        "In another order, though the turn may be chance": [
            _moved(c) for c in found if c.turned and c not in sure
        ],
        "In another order once what diverged is counted as chance": [
            _moved(now)
            for c, now in zip(found, counted, strict=True)
            if now.turned and not c.turned
        ],
    }
    changed = [f"{_moved(c)} (95% interval of the change {c.interval})" for c in found if c.decided]
    decided = "; ".join(f"{first} ahead of {in_sentence(second)}" for first, second in ahead)
    parts = [
        lost(gone, control) if gone else "",
        *(_scattered(arm, study[arm], runs) for arm, runs in control.items()),
        f"Changed by more than chance: {'; '.join(changed)}." if changed else _no_change(found),
        *(f"{how}: {'; '.join(which)}." for how, which in order.items() if which),
        "" if any(order.values()) else "The means stand in the same order.",
        f"Decided here: {len(ahead)} of {len(found)} pairs ({decided})."
        if ahead
        else "No pair is decided here.",
    ]
    return " ".join(part for part in parts if part)


def _no_change(found: Sequence[Change]) -> str:
    """Say that no change is decided, and how large one these runs could have missed."""
    ends = [abs(end) for c in found for end in (c.low, c.high) if not np.isnan(end)]
    reach = f"; the intervals reach {number(max(ends), 1)} points" if ends else ""
    return f"These runs show no change of a distance beyond chance{reach}."


def sentence(change: Change, setting: str) -> str:
    """Say what becomes of one distance in a setting, and how sure its change is."""
    before, after = (number(x, 2, sign=True) for x in (change.before, change.after))
    return (
        f"{change.title} is {after} points {setting} and {before} without "
        f"(95% interval of the change {change.interval})."
    )


def _scattered(arm: str, study: Sequence[Run], control: Sequence[Run]) -> str:
    """Give the ends of an arm that scatters far more widely than it does in the study."""
    before, after = summarize(study), summarize(control)
    if not after.sd > WIDE * before.sd:  # nor where an arm of one seed has no spread
        return ""
    ends = (number(end(after.values.values()), 2) for end in (min, max))
    return f"{arm} scatters from {' to '.join(ends)}%."


def lost(diverged: Recipes, control: Arms) -> str:
    """Say which trainings diverged, and what the means become with these counted as chance.

    Parameters
    ----------
    diverged
        What left no run, by arm, as in a study.
    control
        Runs by arm.
    """
    parts = []
    for arm, recipes in diverged.items():
        runs = control[arm]
        if not (num := _lost(runs, recipes)):
            continue
        parts.append(
            f"{arm}: {num} of {num + len(runs)} trainings diverged and left no run. Counted as "
            f"chance, {CHANCE:g}%, {'it makes' if num == 1 else 'they make'} its mean "
            f"{number(_with_lost(runs, num), 2)}%."
        )
    return " ".join(parts) or "Every training reached its end."


def _lost(runs: Sequence[Run], recipes: Sequence[Recipe]) -> int:
    """Count what left no run, but for what is of other images, as in a report on digits."""
    return sum(recipe.data == runs[0].recipe.data for recipe in recipes)


def _with_lost(runs: Sequence[Run], num: int) -> float:
    """Mean accuracy in percent, with as many lost runs counted as chance, as docs/plan.rst says."""
    return float(np.mean([*summarize(runs).values.values(), *[CHANCE] * num]))


def _moved(change: Change) -> str:
    ends = (number(x, 2, sign=True) for x in (change.before, change.after))
    return f"{change.title} from {' to '.join(ends)} points"
