"""What the curves of runs are, before anybody draws them: values, axes, marks and words.

Each function takes ``arms``, a dict of arm to runs, one a seed, and returns a
:class:`normstudy.drawing.Graph`. ``figures`` draws it with matplotlib; the report also writes it as
a graph that readers can ask for values. Both show the same numbers, since both get them from here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from normstudy.drawing import Curve, Graph, airy
from normstudy.study.data import FACTS
from normstudy.study.design import Reference
from normstudy.study.measures import CHANCE, Arms, check_arms
from normstudy.study.recipes import NUM_CLASSES, Recipe
from normstudy.study.runs import Run

_LONG = 12  # epochs; of fewer, the twelfth that a graph may leave out is less than one
_FLATTENED = 1.1  # how many times as tall the rest must become before early epochs are left out
_TITLES = {
    "test_loss": "{} loss",
    "test_accuracy": "{} accuracy",
    "train_loss": "Training loss",
    "train_accuracy": "Training accuracy",
}


def history(
    arms: Arms, column: str, *, title: str = "", reference: Reference | None = None
) -> Graph:
    """Read one column of the histories of all arms over the epochs.

    Parameters
    ----------
    arms
        Runs by arm.
    column
        ``"test_loss"`` or ``"test_accuracy"``, or ``"train_loss"`` or ``"train_accuracy"``, which
        are measured during each epoch, with the augmentation of the recipe and without the penalty.
    title
        What the graph is called; by default what it shows.
    reference
        Numbers of somebody else to draw as dotted lines; for test accuracy only.

    Returns
    -------
    Graph
        One curve for each arm, losses in nats, accuracies in percent.

    Raises
    ------
    ValueError
        If the column is unknown.
    """
    check_arms(arms)
    if column not in _TITLES:
        msg = f"column={column!r} is unknown; accepted: {', '.join(_TITLES)}"
        raise ValueError(msg)
    is_loss = column.endswith("loss")
    scale, digits, unit = (1, 4, "") if is_loss else (100, 2, "%")
    curves = []
    for arm, runs in arms.items():
        values = scale * column_of(runs, column)
        number, end = last_values(values, digits, unit), float(values[:, -1].mean())
        seeds = tuple(run.recipe.seed for run in runs)
        curves.append(Curve(arm, epochs_of(runs), values, number, end, seeds))
    title = title or _TITLES[column].format(scored_on(arms).capitalize())
    labels = "Labels: last epoch"
    if any(len(runs) > 1 for runs in arms.values()):
        labels += ", mean ± standard deviation"
    if column.startswith("train"):
        labels += ". Measured while learning"
        if any(run.recipe.augments for runs in arms.values() for run in runs):
            labels += ", with augmentation"
    means = np.concatenate([curve.mean for curve in curves])
    wild = (0, 0.08) if is_loss else (0.08, 0)
    theirs = dict(reference.values) if reference else {}
    theirs = {arm: value for arm, value in theirs.items() if arm in arms}
    lasts = [float(value) for curve in curves for value in curve.values[:, -1]]
    low, high = airy([*core(curves, means, wild), *lasts, *theirs.values()])
    chance = math.log(NUM_CLASSES) if is_loss else CHANCE
    chance_text = f"chance: {chance:.2f} nats" if is_loss else f"chance: {chance:.0f}%"
    axis = "mean cross-entropy, nats" if is_loss else "accuracy, %"
    cut = [(c.x[i], y) for c in curves for i, y in enumerate(c.mean) if not low <= y <= high]
    hidden = ""
    if cut:
        last, verb = max(epoch for epoch, _ in cut), "is" if len(cut) == 1 else "are"
        hidden = (
            f"{len(cut)} of {len(means)} means, none after epoch {last:.0f}, {verb} off the axis."
        )
    caption = f"{title}. {setting(arms)} {labels}. {chance_text.capitalize()}. {hidden}".strip()
    if reference and theirs:
        caption += f" Dotted: {reference.label}. {reference.source}"
    moves = "; ".join(f"{c.label} from {c.mean[0]:.2f} to {c.mean[-1]:.2f}" for c in curves)
    return Graph(
        name=column.replace("_", "-"),
        title=title,
        note=f"{setting(arms)}\n{labels}.\n{hidden}".strip(),  # a picture may have no caption
        caption=caption,
        alt=f"Line chart of {axis}, from epoch 1 to {max(len(c.x) for c in curves)}: {moves}.",
        x_title="epoch",
        y_title=axis,
        low=low,
        high=high,
        digits=digits,
        curves=tuple(curves),
        chance=(chance, chance_text),
        published=theirs,
        published_title=f"{reference.label}, %" if reference else "",
    )


def sweep(
    arms: Arms,
    field: str,
    *,
    title: str,
    axis: str,
    diverged: Mapping[str, Sequence[Recipe]] | None = None,
    name: str = "sweep",
) -> Graph:
    """Read accuracy over one field of the recipe, for a log axis: what a sweep or a search found.

    Here the runs of an arm may differ in any field. A line joins only runs that differ in the swept
    field and the seed alone; a dot is the mean over the seeds.

    Parameters
    ----------
    arms
        Runs by arm.
    field
        Name of the field, whose values are positive numbers.
    title, axis
        What the graph and its horizontal axis are called.
    diverged
        Recipes that were tried and left no run, by arm; they are marked below the axis.
    name
        What the figure is called, with the field behind it; unique over the report.

    Returns
    -------
    Graph
        The best line of each arm as its curve, in percent, and every line as ``tried``.

    Raises
    ------
    ValueError
        If the field is not a number in all recipes.
    """
    single = {f"{arm} {i}": [run] for arm, runs in arms.items() for i, run in enumerate(runs)}
    check_arms(single)
    lines = {arm: _joined(runs, field) for arm, runs in arms.items() if runs}
    best = {arm: max(of_arm, key=lambda line: line[1].max()) for arm, of_arm in lines.items()}
    every = np.concatenate([y for of_arm in lines.values() for _, y in of_arm])
    lowest = min(float(y.max()) for _, y in best.values()) - 10  # points; worse has failed to learn
    hidden = int((every < lowest).sum())
    how = f"{len(single)} runs; a line joins settings that differ in nothing else."
    several = "setting" if hidden == 1 else "settings"
    cut = f" Not drawn: {hidden} {several} below {lowest:.0f}%." if hidden else ""
    low, high = airy(every[every >= lowest].tolist())
    curves = []
    for arm, (x, y) in best.items():
        text = f"{y.max():.2f}% at {x[y.argmax()]:g}"
        curves.append(Curve(arm, x, y[None], text, float(y[-1])))
    failed = {
        arm: sorted({float(getattr(recipe, field)) for recipe in recipes})
        for arm, recipes in (diverged or {}).items()
    }
    words = "".join(
        f" A cross marks {arm} at {', '.join(f'{place:g}' for place in places)}, where "
        "the loss of a seed, or of all, stopped being finite."
        for arm, places in failed.items()
    )
    scored = scored_on(arms)
    return Graph(
        name=f"{name}-{field.replace('_', '-')}",
        title=title,
        note=f"{data_title(arms)}. {how}\nLabels: best of each arm.{cut}",
        caption=f"{title}: {scored} accuracy. {how}{cut}{words}",
        alt=f"{scored.capitalize()} accuracy over {axis}. Best: {listed(curves)}.",
        x_title=f"{axis} (log scale)",
        y_title=f"{scored} accuracy, %",
        low=low,
        high=high,
        digits=2,
        curves=tuple(curves),
        tried=lines,
        diverged=failed,
    )


def _joined(
    runs: Sequence[Run], field: str
) -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Group runs into lines: values of the field, and mean accuracy over the seeds, in percent."""
    groups: dict[Recipe, dict[float, list[float]]] = {}
    for run in runs:
        value = getattr(run.recipe, field)
        if isinstance(value, bool) or not isinstance(value, int | float):
            msg = f"the field {field} is {value!r}; accepted: a field whose values are numbers"
            raise ValueError(msg)
        same: dict[str, Any] = {"seed": 0, field: getattr(runs[0].recipe, field)}
        rest = replace(run.recipe, **same)
        groups.setdefault(rest, {}).setdefault(float(value), []).append(100 * run.accuracy)
    found = []
    for points in groups.values():
        x = np.array(sorted(points))
        found.append((x, np.array([np.mean(points[value]) for value in sorted(points)])))
    return found


def core(
    curves: Sequence[Curve], values: npt.NDArray[np.float64], wild: tuple[float, float]
) -> tuple[float, float]:
    """Choose between which values a vertical axis must reach to show curves over epochs.

    The wildest values of a long run, in its first epochs, must not flatten the rest; where they do
    not, nothing is left out. A short run is shown whole, with all of its seeds.

    Parameters
    ----------
    curves
        The curves, of all seeds.
    values
        What is drawn of a long run.
    wild
        The fractions of ``values`` that may lie below and above the axis.
    """
    long = max(len(curve.x) for curve in curves) >= _LONG
    if long:
        low, high = np.quantile(values, [wild[0], 1 - wild[1]])
        if np.ptp(values) > _FLATTENED * (high - low):
            return float(low), float(high)
    every = values if long else np.concatenate([curve.values.ravel() for curve in curves])
    return float(every.min()), float(every.max())


def column_of(runs: Sequence[Run], name: str) -> npt.NDArray[np.float64]:
    """Read one column of the histories, shape (S, E) for S seeds and E epochs."""
    return np.array([run.history[name] for run in runs], dtype=np.float64)


def epochs_of(runs: Sequence[Run]) -> npt.NDArray[np.float64]:
    """Read the epochs that the runs of an arm share, shape (E,)."""
    return np.array(runs[0].history["epoch"], dtype=np.float64)


def last_values(values: npt.NDArray[np.float64], digits: int, unit: str) -> str:
    """Write the last place's mean ± standard deviation over the seeds, or its one value."""
    last = values[:, -1]
    if len(last) == 1:
        return f"{last[0]:.{digits}f}{unit} (n = 1)"
    return f"{last.mean():.{digits}f} ± {last.std(ddof=1):.{digits}f}{unit}"


def listed(curves: Sequence[Curve]) -> str:
    """Name the curves with the numbers of their labels, for an alternative text."""
    return "; ".join(f"{curve.label} {curve.number}" for curve in curves)


def scored_on(arms: Arms) -> str:
    """Say which images the arms are scored on: "test" or "validation"."""
    return next(iter(arms.values()))[0].recipe.scored


def data_title(arms: Arms) -> str:
    """Name the data set of the arms."""
    return FACTS[next(iter(arms.values()))[0].recipe.data].title


def setting(arms: Arms) -> str:
    """Name the data set and say what lines and bands are."""
    counts = sorted({len(runs) for runs in arms.values()})
    if counts[-1] == 1:
        return f"{data_title(arms)}. One seed (n = 1), so no band."
    seeds = f"{counts[0]} seeds" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    return f"{data_title(arms)}. Lines: mean of {seeds}; bands: lowest to highest seed."
