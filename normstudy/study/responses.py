"""What a sweep found: a measure over the values of one setting, as table, figure and sentences.

``Points`` are runs by arm and by value of the setting; the runs of one point differ in the seed
alone, and a point that was lost, since its loss stopped being finite, has none. Whatever else
differs between the points of an arm, as a learning rate that was chosen for each, the page says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from normstudy.drawing import (
    Curve,
    describe,
    finish,
    in_own_style,
    limit,
    mark_chance,
    mark_lost,
    panel,
)
from normstudy.study.compare import choose
from normstudy.study.curves import data_title, listed
from normstudy.study.measures import Arms, Measure, Summary, check_arms, measure_of, summarize
from normstudy.study.recipes import Recipe, Recipes
from normstudy.study.runs import Run
from normstudy.tables import Table, number

Points = Mapping[str, Mapping[float, Sequence[Run]]]


def joined(*studies: Arms) -> dict[str, list[Run]]:
    """Put the runs of several studies together, arm by arm, for the arms that all of them have."""
    shared = [arm for arm in studies[0] if all(arm in arms for arms in studies)]
    return {arm: [run for arms in studies for run in arms[arm]] for arm in shared}


def cells(arms: Arms, setting: Callable[[Recipe], float]) -> Points:
    """Sort the runs of each arm by the value of one setting, whatever else differs."""
    points: dict[str, dict[float, list[Run]]] = {}
    for arm, runs in arms.items():
        for run in sorted(runs, key=lambda run: setting(run.recipe)):
            points.setdefault(arm, {}).setdefault(setting(run.recipe), []).append(run)
    return points


def by(
    arms: Arms,
    setting: Callable[[Recipe], float],
    diverged: Recipes | None = None,
    *,
    only: Callable[[Recipe], bool] = lambda _: True,
) -> Points:
    """Sort the runs of each arm by the value of a setting, lowest first.

    Parameters
    ----------
    arms
        Runs by arm.
    setting
        Reads the value from a recipe.
    diverged
        Recipes that left no run with some seed, by arm: their points are lost with every seed,
        since the seeds that are left would flatter them.
    only
        Which recipes count; by default all.

    Raises
    ------
    ValueError
        If the runs of one value differ in more than the seed.
    """
    gone = {arm: [r for r in of if only(r)] for arm, of in (diverged or {}).items()}
    lost = {replace(recipe, seed=0) for of in gone.values() for recipe in of}
    kept = {
        arm: [r for r in of if only(r.recipe) and replace(r.recipe, seed=0) not in lost]
        for arm, of in arms.items()
    }
    points: dict[str, dict[float, Sequence[Run]]] = {
        arm: dict(of) for arm, of in cells(kept, setting).items()
    }
    check_arms({f"{arm}, {x:g}": runs for arm, of in points.items() for x, runs in of.items()})
    for arm in arms:
        of = points.setdefault(arm, {})
        for recipe in gone.get(arm, ()):
            of.setdefault(setting(recipe), ())
        points[arm] = dict(sorted(of.items()))
    return points


def losses(arms: Arms, diverged: Recipes, setting: Callable[[Recipe], str]) -> str:
    """Say which settings were lost with which seeds, and what the other seeds of them reached.

    Parameters
    ----------
    arms
        The runs that are there, by arm.
    diverged
        Recipes that left no run, by arm.
    setting
        What a recipe is called in a sentence.
    """
    told = []
    for arm, recipes in diverged.items():
        seeds: dict[Recipe, list[int]] = {}
        for recipe in recipes:
            seeds.setdefault(replace(recipe, seed=0), []).append(recipe.seed)
        for recipe, lost in seeds.items():
            words = [f"not finite with seed{'s' * (len(lost) > 1)} {' and '.join(map(str, lost))}"]
            words += [
                f"{100 * run.accuracy:.2f}% with seed {run.recipe.seed}"
                for run in arms[arm]
                if replace(run.recipe, seed=0) == recipe
            ]
            told.append(f"{arm}, {setting(recipe)}: {', '.join(words)}")
    return "\n".join(told)


def held(of: Mapping[float, Sequence[Run]]) -> dict[float, Sequence[Run]]:
    """Leave out the points of an arm that were lost."""
    return {x: runs for x, runs in of.items() if runs}


def _some(points: Points) -> Sequence[Run]:
    return next(runs for of in points.values() for runs in held(of).values())


def probe_of(
    column: str,
    title: str,
    *,
    unit: str = "",
    digits: int = 2,
    better: Literal["higher", "lower"] = "lower",
    scale: float = 1.0,
) -> Measure:
    """Make a measure of a column that a probe filled, after the last epoch.

    Parameters
    ----------
    column
        Of :data:`normstudy.study.probes.PROBES`.
    title, unit, digits, better
        As in :class:`normstudy.study.measures.Measure`.
    scale
        What the number is multiplied with, as 100 for percent.
    """
    return Measure(title, unit, digits, better, lambda run: scale * run.probed[column][-1])


def said(runs: Sequence[Run], measure: Measure | str = "test_accuracy") -> str:
    """Write mean ± standard deviation, or the single value."""
    found = summarize(runs, measure)
    return str(found) if found.n > 1 else found.measure.text(found.mean)


def _cell(runs: Sequence[Run] | None, measure: Measure | str) -> str:
    if runs is None:
        return "\N{EN DASH}"
    return said(runs, measure) if runs else "lost"


def table(points: Points, axis: str, measure: Measure | str = "test_accuracy") -> Table:
    """Tabulate a measure: a row for each value of the setting, a column for each arm.

    A dash stands where nothing was trained, and "lost" where a loss stopped being finite.
    """
    places = sorted({x for of in points.values() for x in of})
    rows = [(f"{x:g}", *(_cell(of.get(x), measure) for of in points.values())) for x in places]
    read = measure_of(measure, _some(points))
    unit = f", {read.unit}" if read.unit else ""
    return Table((f"{axis}: {read.title}{unit}", *points), tuple(rows))


@in_own_style
def figure(
    points: Points,
    axis: str,
    measure: Measure | str = "test_accuracy",
    *,
    name: str,
    title: str,
    note: str = "",
) -> Figure:
    """Draw a measure over a setting, on a log axis: means and bands over the seeds.

    Parameters
    ----------
    points
        Runs by arm and value; values above 0.
    axis
        What the setting is called.
    measure
        What is drawn.
    name, title
        Of the figure.
    note
        What else the caption says.
    """
    some = _some(points)
    read = measure_of(measure, some)
    top_word = {"higher": "highest", "lower": "lowest"}[read.better]
    word = "best" if read.chance is not None else top_word
    curves = []
    for arm, of in ((arm, held(of)) for arm, of in points.items() if held(of)):
        seeds = max(map(len, of.values()))
        drawn = np.array([_filled(summarize(runs, read), seeds) for runs in of.values()]).T
        x: npt.NDArray[np.float64] = np.array(list(of), dtype=np.float64)
        means = drawn.mean(0)
        top = int(means.argmax() if read.better == "higher" else means.argmin())
        label = f"{word} {read.text(float(means[top]))} at {x[top]:g}"
        curves.append(Curve(arm, x, drawn, label, float(means[-1])))
    counts = sorted({len(runs) for of in points.values() for runs in held(of).values()})
    seeds_said = "1 seed" if counts == [1] else f"{' or '.join(map(str, counts))} seeds a point"
    about = f"{data_title({'all': some})}, {some[0].recipe.scored} images. {seeds_said}."
    lost = {
        arm: xs for arm, of in points.items() if (xs := [x for x, runs in of.items() if not runs])
    }
    crosses = " Crosses: lost." if lost else ""
    fig, ax = panel(title, f"{about}\nLabels: the {word} point of each line.{crosses}")
    ax.set_xscale("log")
    limit(ax, np.concatenate([curve.values.ravel() for curve in curves]).tolist())
    unit = f", {read.unit}" if read.unit else ""
    if read.chance is not None:
        mark_chance(ax, read.chance, f"chance: {read.chance:.0f}%")
    mark_lost(ax, lost, list(points))
    finish(ax, curves, f"{axis} (log scale)", f"{read.title}{unit}")
    ax.set_xlabel(ax.get_xlabel(), loc="left")  # the level of chance may stand on its right
    if lost:
        told = "; ".join(f"{arm} at {', '.join(f'{x:g}' for x in xs)}" for arm, xs in lost.items())
        note = f"Crosses: lost, since a loss stopped being finite ({told}). {note}"
    places = sorted({float(x) for of in points.values() for x in of})
    ax.set_xticks(places, [f"{x:g}" for x in places])
    ax.minorticks_off()
    ax.set_xlim(places[0] / 1.15, places[-1] * 1.05)
    end = "" if title.endswith("?") else "."
    caption = f"{title}{end} {about} Lines: means; bands: lowest to highest seed. {note}".strip()
    alt = f"{read.title.capitalize()} over {axis}: {listed(curves)}."
    return describe(fig, name=name, caption=caption, alt=alt)


def _filled(found: Summary, length: int) -> list[float]:
    """Lengthen values by their mean, which changes neither it nor the lowest and highest one."""
    return [*found.values.values(), *[found.mean] * (length - found.n)]


def choices(points: Points, diverged: Recipes | None = None) -> Table:
    """Tabulate the learning rate that ``compare.choose`` names at each value, for each arm.

    Parameters
    ----------
    points
        Runs by arm and value; those of one value differ in the rate too, so that they are not made
        with :func:`by`, but with :func:`cells`.
    diverged
        Recipes that left no run, by arm.
    """
    places = sorted({x for of in points.values() for x in of})
    rows = []
    for x in places:
        cells_of_x = []
        for arm, of in points.items():
            if x not in of:
                cells_of_x.append("\N{EN DASH}")
                continue
            lost = (diverged or {}).get(arm, ())
            best = choose(of[x], lost).lr
            tried = sorted({r.lr for r in _alike([r.recipe for r in of[x]], lost)})
            where = "lowest" if best == tried[0] else "highest" if best == tried[-1] else ""
            cells_of_x.append(f"{best:.2g}" + f" ({where})" * bool(where and len(tried) > 1))
        rows.append((f"{x:g}", *cells_of_x))
    return Table(("chosen lr", *points), tuple(rows))


def _alike(recipes: Sequence[Recipe], lost: Sequence[Recipe]) -> list[Recipe]:
    """Add those lost recipes that differ from the first one in learning rate and seed alone."""
    like = recipes[0]
    return [*recipes, *(r for r in lost if replace(r, seed=like.seed, lr=like.lr) == like)]


def tolerance(points: Points, within: float) -> Mapping[str, tuple[float, float]]:
    """Find the range of values around the best in which an arm stays within so many points of it.

    Parameters
    ----------
    points
        Runs by arm and value.
    within
        Points of accuracy.

    Returns
    -------
    mapping
        Lowest and highest value of an unbroken range that holds the best, by arm. A point that was
        lost breaks it; an arm that was lost everywhere has none.
    """
    found = {}
    for arm, of in ((arm, of) for arm, of in points.items() if held(of)):
        means = {x: summarize(runs).mean if runs else -np.inf for x, runs in of.items()}
        places = sorted(means)
        low = high = places.index(max(means, key=means.__getitem__))
        least = max(means.values()) - within
        while low > 0 and means[places[low - 1]] >= least:
            low -= 1
        while high < len(places) - 1 and means[places[high + 1]] >= least:
            high += 1
        found[arm] = (places[low], places[high])
    return found


def tolerances(points: Points, withins: Sequence[float]) -> Table:
    """Tabulate :func:`tolerance` for several distances from the best, as ranges."""
    found = [tolerance(points, within) for within in withins]
    rows = []
    for arm in points:
        ranges = [of[arm] for of in found if arm in of]
        cells_of_arm = [
            f"{low:g} to {high:g} (×\N{NO-BREAK SPACE}{high / low:g})" for low, high in ranges
        ]
        rows.append((arm, *(cells_of_arm or ["lost"] * len(found))))
    header = (
        "arm",
        *(f"within {w:g} point{'s' * (w != 1)} of its best" for w in withins),
    )
    return Table(header, tuple(rows))


def highest(points: Points) -> dict[str, float]:
    """Find the highest value of each arm up to which no seed was lost; 0 where there is none."""
    found = {}
    for arm, of in points.items():
        lost = min((x for x, runs in of.items() if not runs), default=np.inf)
        found[arm] = max((x for x in held(of) if x < lost), default=0.0)
    return found


def ceilings(points: Points, axis: str) -> Table:
    """Tabulate the best value of each arm, and beside it what :func:`highest` finds."""
    top = max(x for of in points.values() for x in of)
    rows = []
    for arm, last in highest(points).items():
        if not last:
            rows.append((arm, *["lost"] * 3))
            continue
        means = {x: summarize(runs).mean for x, runs in held(points[arm]).items()}
        best = max(means, key=means.__getitem__)
        end = f"{last:g}" + " (none higher tried)" * (last == top)
        cost = number(means[last] - means[best], 1, sign=True) if last != best else "it is the best"
        rows.append((arm, f"{best:g}", end, cost))
    header = (
        "arm",
        f"best {axis}",
        "highest that no seed was lost at",
        "points there, less the best",
    )
    return Table(header, tuple(rows))
