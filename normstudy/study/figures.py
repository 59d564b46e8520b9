"""Every plot of runs. Each function returns a matplotlib figure with its caption and alt text.

The figures are pyplot's, so scripts show them with ``plt.show()`` and the gallery finds them;
nothing here writes to disk. All numbers in captions and labels are computed from the runs. ``arms``
is a dict of arm to runs, one a seed; arms that must not be set beside each other raise a
ValueError, as :func:`normstudy.study.measures.check_arms` says.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from normstudy.drawing import (
    DOTS,
    QUIET,
    Curve,
    Row,
    describe,
    finish,
    forest,
    limit,
    mark_chance,
    mark_reference,
    panel,
    style,
)
from normstudy.study.compare import MARGIN, differences
from normstudy.study.data import FACTS
from normstudy.study.measures import (
    SMALL_WEIGHT,
    Arms,
    check_arms,
    penalty_share,
    small_weights,
    summarize,
)
from normstudy.study.recipes import Recipe
from normstudy.study.runs import Run
from normstudy.study.studies import Reference

_NUM_CLASSES = 10  # in each of the three data sets
_TITLES = {
    "test_loss": "{} loss",
    "test_accuracy": "{} accuracy",
    "train_loss": "Training loss",
    "train_accuracy": "Training accuracy",
}


def history(
    arms: Arms, column: str, *, title: str = "", reference: Reference | None = None
) -> Figure:
    """Draw one column of the histories of all arms over the epochs.

    Parameters
    ----------
    arms
        Runs by arm.
    column
        ``"test_loss"`` or ``"test_accuracy"``, or ``"train_loss"`` or ``"train_accuracy"``, which
        are measured during each epoch, with augmentation and without the penalty.
    title
        What the figure is called; by default what it shows.
    reference
        Numbers of somebody else to draw as dotted lines; for test accuracy only.

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
    scale, digits, unit = (1, 4, "") if is_loss else (100, 2, " %")
    curves = []
    for arm, runs in arms.items():
        values = scale * _column(runs, column)
        number = _number(values, digits, unit)
        curves.append(Curve(arm, _epochs(runs), values, number, float(values[:, -1].mean())))
    title, labels = (
        title or _TITLES[column].format(_scored(arms).capitalize()),
        "Labels: last epoch",
    )
    if any(len(runs) > 1 for runs in arms.values()):
        labels += ", mean ± standard deviation"
    if column.startswith("train"):
        labels += ". Measured while learning, with augmentation"
    fig, ax = panel(title, f"{_setting(arms)}\n{labels}.")
    means = np.concatenate([curve.mean for curve in curves])
    theirs = dict(reference.values) if reference else {}
    theirs = {arm: value for arm, value in theirs.items() if arm in arms}
    # the wildest twelfth of all means, in the first epochs, must not flatten the rest
    core = np.quantile(means, [0, 0.92] if is_loss else [0.08, 1])
    lasts = [float(value) for curve in curves for value in curve.values[:, -1]]
    limit(ax, [*core, *lasts, *theirs.values()])
    chance = math.log(_NUM_CLASSES) if is_loss else 100 / _NUM_CLASSES
    chance_text = f"chance: {chance:.2f} nats" if is_loss else f"chance: {chance:.0f} %"
    mark_chance(ax, chance, chance_text)
    if reference and theirs:
        mark_reference(ax, theirs, f"{reference.label}, %")
    axis = "mean cross-entropy, nats" if is_loss else "accuracy, %"
    finish(ax, curves, "epoch", axis)
    caption = f"{title}. {_setting(arms)} {labels}. {chance_text.capitalize()}."
    low, high = ax.get_ylim()
    cut = [(c.x[i], y) for c in curves for i, y in enumerate(c.mean) if not low <= y <= high]
    if cut:
        last = max(epoch for epoch, _ in cut)
        caption += (
            f" {len(cut)} of {len(means)} means, none after epoch {last:.0f}, are off the axis."
        )
    if reference and theirs:
        caption += f" Dotted: {reference.label}. {reference.source}"
    moves = "; ".join(f"{c.label} from {c.mean[0]:.2f} to {c.mean[-1]:.2f}" for c in curves)
    alt = f"Line chart of {axis}, from epoch 1 to {max(len(c.x) for c in curves)}: {moves}."
    return describe(fig, name=column.replace("_", "-"), caption=caption, alt=alt)


def sweep(
    arms: Arms,
    field: str,
    *,
    title: str,
    axis: str,
    diverged: Mapping[str, Sequence[Recipe]] | None = None,
) -> Figure:
    """Draw accuracy over one field of the recipe, on a log axis: what a sweep or a search found.

    Here the runs of an arm may differ in any field. A line joins only runs that differ in the swept
    field and the seed alone; a dot is the mean over the seeds.

    Parameters
    ----------
    arms
        Runs by arm.
    field
        Name of the field, whose values are positive numbers.
    title, axis
        What the figure and its horizontal axis are called.
    diverged
        Recipes that were tried and left no run, by arm; they are marked below the axis.

    Raises
    ------
    ValueError
        If the field is not a number in all recipes.
    """
    single = {f"{arm} {i}": [run] for arm, runs in arms.items() for i, run in enumerate(runs)}
    check_arms(single)
    lines = {arm: _joined(runs, field) for arm, runs in arms.items()}
    best = {arm: max(of_arm, key=lambda line: line[1].max()) for arm, of_arm in lines.items()}
    every = np.concatenate([y for of_arm in lines.values() for _, y in of_arm])
    lowest = min(float(y.max()) for _, y in best.values()) - 10  # points; worse has failed to learn
    hidden = int((every < lowest).sum())
    how = f"{len(single)} runs; a line joins settings that differ in nothing else."
    cut = f" Not drawn: {hidden} below {lowest:.0f} %." if hidden else ""
    fig, ax = panel(title, f"{_data(arms)}. {how}\nLabels: best of each arm.{cut}")
    ax.set_xscale("log")
    limit(ax, every[every >= lowest].tolist())
    curves = []
    for arm, (x, y) in best.items():
        text = f"{y.max():.2f} % at {x[y.argmax()]:g}"
        curves.append(Curve(arm, x, y[None], text, float(y[-1])))
    finish(ax, curves, f"{axis} (log scale)", f"{_scored(arms)} accuracy, %")
    for leader in [line for line in ax.lines if line.get_color() == QUIET]:
        leader.remove()  # it runs on to values that were not tried
    for arm, of_arm in lines.items():
        color, dashes, marker = style(arm, list(arms))
        for x, y in of_arm:
            (line,) = ax.plot(x, y, ".", color=color, markersize=5, linestyle="-", linewidth=0.8)
            line.set_dashes(dashes)
        x, y = best[arm]
        ax.plot(x[y.argmax()], y.max(), marker, color=color, markersize=9)
    failed = diverged or {}
    for arm, recipes in failed.items():
        color = style(arm, list(arms))[0]
        places = [float(getattr(recipe, field)) for recipe in recipes]
        low = ax.get_ylim()[0]
        ax.plot(places, [low] * len(places), "x", color=color, markersize=8, clip_on=False)
    every_x = [float(x) for of_arm in lines.values() for xs, _ in of_arm for x in xs]
    every_x += [float(getattr(r, field)) for recipes in failed.values() for r in recipes]
    ticks = sorted(set(every_x))
    ax.set_xlim(min(ticks) / 1.15, max(ticks) * 1.05)
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    words = "".join(
        f" A cross marks {arm} at {', '.join(f'{getattr(r, field):g}' for r in recipes)}, whose "
        "loss stopped being finite."
        for arm, recipes in failed.items()
    )
    caption = f"{title}: {_scored(arms)} accuracy. {how}{cut}{words}"
    alt = f"{_scored(arms).capitalize()} accuracy over {axis}. Best: {_list(curves)}."
    return describe(fig, name=f"sweep-{field.replace('_', '-')}", caption=caption, alt=alt)


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
        same: dict[str, Any] = {"seed": 0, field: type(value)(1)}
        rest = replace(run.recipe, **same)
        groups.setdefault(rest, {}).setdefault(float(value), []).append(100 * run.accuracy)
    found = []
    for points in groups.values():
        x = np.array(sorted(points))
        found.append((x, np.array([np.mean(points[value]) for value in sorted(points)])))
    return found


def gap(arms: Arms) -> Figure:
    """Draw training minus test accuracy; the diamond behind the last epoch is measured afterwards.

    During an epoch the network learns, and sees augmented images, while it is scored, which makes
    its training accuracy too low. The diamond is free of that.
    """
    check_arms(arms)
    scored, curves = _scored(arms), []
    for label, runs in arms.items():
        train, test = (_column(runs, f"{part}_accuracy") for part in ("train", "test"))
        clean = summarize(runs, "gap")
        curves.append(Curve(label, _epochs(runs), 100 * (train - test), str(clean), clean.mean))
    finals = _list(curves)
    after = "all training images after the last epoch, without augmentation"
    title = f"Gap between training and {scored} accuracy"
    fig, ax = panel(title, f"{_setting(arms)}\nDiamonds and labels: {after}.")
    ax.axhline(0, color=QUIET, linewidth=1)
    every = np.concatenate([curve.values.ravel() for curve in curves])
    limit(ax, [*np.quantile(every, [0.04, 0.96]), *(curve.end for curve in curves), 0])
    finish(ax, curves, "epoch", f"training minus {scored} accuracy, points")
    for curve in curves:
        color = style(curve.label, list(arms))[0]
        ax.plot(curve.x[-1], curve.end, "D", color=color, markersize=7, clip_on=False)
    caption = (
        f"{title}. {_setting(arms)} The lines use the training accuracy measured during the epoch, "
        f"with augmentation; diamonds and labels use {after}."
    )
    alt = f"Line chart of the gap in points over the epochs. After the last epoch: {finals} points."
    return describe(fig, name="gap", caption=caption, alt=alt)


def schedule(arms: Arms) -> Figure:
    """Draw the learning rate at the start of each epoch."""
    check_arms(arms)
    curves = []
    for label, runs in arms.items():
        lr = _column(runs[:1], "lr")  # the seeds of an arm share their schedule
        peak = f"peak {runs[0].recipe.lr:g}"
        curves.append(Curve(label, _epochs(runs), lr, peak, float(lr[0, -1])))
    title, note = "Learning rate at the start of each epoch", "Arms of equal peak coincide."
    fig, ax = panel(title, f"{_data(arms)}. {note}")
    limit(ax, [0, *(float(curve.values.max()) for curve in curves)])
    finish(ax, curves, "epoch", "learning rate")
    alt = f"Line chart of the learning rate over the epochs: {_list(curves)}."
    return describe(fig, name="schedule", caption=f"{title}. {_data(arms)}. {note}", alt=alt)


def penalty(arms: Arms) -> Figure:
    """Draw the share of the L1 penalty in the training loss, for the arms that have a penalty."""
    check_arms(arms)
    curves = []
    for label, runs in arms.items():
        if runs[0].recipe.l1 > 0:
            share = 100 * np.stack([penalty_share(run) for run in runs])
            last = float(share[:, -1].mean())
            curves.append(Curve(label, _epochs(runs), share, _number(share, 1, " %"), last))
    if not curves:
        msg = f"no arm has an L1 penalty ({', '.join(arms)}); give at least one with l1 > 0"
        raise ValueError(msg)
    title = "Share of the L1 penalty in the loss"
    fig, ax = panel(title, _setting(arms), height=3.6)
    limit(ax, [0, *(float(curve.values.max()) for curve in curves)])
    finish(ax, curves, "epoch", "penalty / (penalty + cross-entropy), %")
    ends = "; ".join(
        f"{c.label} (lambda = {arms[c.label][0].recipe.l1:g}) from {c.mean[0]:.1f} % in the first "
        f"epoch to {c.mean[-1]:.1f} % in the last"
        for c in curves
    )
    strengths = sorted({runs[0].recipe.l1 for runs in arms.values()} - {0.0})
    caption = f"{title}, lambda = {', '.join(f'{l1:g}' for l1 in strengths)}. {_setting(arms)}"
    alt = f"Line chart over the epochs: {ends}."
    return describe(fig, name="penalty-share", caption=caption, alt=alt)


def weight_magnitudes(arms: Arms) -> Figure:
    """Draw the sorted magnitudes of the weights that the L1 penalty acts on, on a log axis."""
    check_arms(arms)
    curves = []
    for label, runs in arms.items():
        values = np.stack([run.weight_quantiles for run in runs]).astype(np.float64)
        small = 100 * np.mean([small_weights(run) for run in runs])
        text = f"{small:.1f} % below {SMALL_WEIGHT:g}"
        places = np.linspace(0, 100, values.shape[1])
        curves.append(Curve(label, places, values, text, float(values[:, -1].mean())))
    title = "Magnitude of the weights after the last epoch"
    fig, ax = panel(title, _setting(arms))
    ax.set_yscale("log")
    lowest = min(SMALL_WEIGHT, *(float(np.median(curve.values)) for curve in curves)) / 30
    ax.set_ylim(lowest, 2 * max(curve.end for curve in curves))
    ax.axhline(SMALL_WEIGHT, color=QUIET, linewidth=1.2, dashes=DOTS)
    finish(ax, curves, "weights, sorted by magnitude, %", "magnitude of a weight (log scale)")
    found = _list(curves)
    caption = (
        f"{title}, of convolutions and the linear layer. Dotted line: {SMALL_WEIGHT:g}. "
        f"{_setting(arms)} What is smaller than {lowest:.1g} is not drawn."
    )
    alt = f"Sorted weight magnitudes on a logarithmic axis: {found}."
    return describe(fig, name="weight-magnitudes", caption=caption, alt=alt)


def accuracy_intervals(arms: Arms) -> Figure:
    """Draw the last-epoch accuracy of every arm: seeds, mean and 95 % interval."""
    check_arms(arms)
    rows = []
    for label, runs in arms.items():
        s = summarize(runs)
        rows.append(Row(label, label, list(s.values.values()), s.mean, s.low, s.high, f"{s} %"))
    axis = f"{_scored(arms)} accuracy, %"
    title = f"{_scored(arms).capitalize()} accuracy after the last epoch"
    how = "Small dots: seeds; large marks and bars: mean and 95 % interval."
    if max(map(len, arms.values())) == 1:
        how = "One seed (n = 1), so no interval."
    return _intervals(rows, title, axis, arms, name="accuracy-intervals", how=how)


def difference_intervals(arms: Arms) -> Figure:
    """Draw the differences in accuracy of all pairs, with simultaneous 95 % intervals."""
    rows, found = [], differences(arms)
    for d in found:
        text = f"{d.measure.text(d.mean, sign=True)}, {d.verdict}"
        rows.append(Row(d.title, d.pair[0], [], d.mean, d.low, d.high, text))
    axis = f"difference in {_scored(arms)} accuracy, points"
    title = "Differences between the arms"
    how = f"Marks and bars: mean and 95 % interval, which holds for all {len(found)} pairs at once."
    if all(math.isnan(d.low) for d in found):
        how = "One seed (n = 1), so no interval."
    note = f"Ahead: clear of zero. Equal: inside the grey band of ± {MARGIN:g}. Open: neither."
    fig = _intervals(rows, title, axis, arms, name="difference-intervals", how=how, note=note)
    fig.axes[0].axvline(0, color=QUIET, linewidth=1)
    fig.axes[0].axvspan(-MARGIN, MARGIN, color=QUIET, alpha=0.15, linewidth=0)
    return fig


def _intervals(
    rows: list[Row], title: str, axis: str, arms: Arms, *, name: str, how: str, note: str = ""
) -> Figure:
    """Draw intervals and describe them."""
    fig = forest(rows, title, f"{_data(arms)}. {how}\n{note}".strip(), axis)
    found = "; ".join(f"{row.name} {row.text}" for row in rows)
    caption = f"{title}. {_data(arms)}. {how} {note}".strip()
    return describe(fig, name=name, caption=caption, alt=f"Intervals of {axis}: {found}.")


def _column(runs: Sequence[Run], name: str) -> npt.NDArray[np.float64]:
    return np.array([run.history[name] for run in runs], dtype=np.float64)


def _epochs(runs: Sequence[Run]) -> npt.NDArray[np.float64]:
    return np.array(runs[0].history["epoch"], dtype=np.float64)


def _number(values: npt.NDArray[np.float64], digits: int, unit: str) -> str:
    """Write the last place's mean ± standard deviation over the seeds, or its one value."""
    last = values[:, -1]
    if len(last) == 1:
        return f"{last[0]:.{digits}f}{unit} (n = 1)"
    return f"{last.mean():.{digits}f} ± {last.std(ddof=1):.{digits}f}{unit}"


def _list(curves: Sequence[Curve]) -> str:
    return "; ".join(f"{curve.label} {curve.number}" for curve in curves)


def _scored(arms: Arms) -> str:
    return next(iter(arms.values()))[0].recipe.scored


def _data(arms: Arms) -> str:
    return FACTS[next(iter(arms.values()))[0].recipe.data].title


def _setting(arms: Arms) -> str:
    """Name the data set and say what lines and bands are."""
    counts = sorted({len(runs) for runs in arms.values()})
    if counts[-1] == 1:
        return f"{_data(arms)}. One seed (n = 1), so no band."
    seeds = f"{counts[0]} seeds" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    return f"{_data(arms)}. Lines: mean of {seeds}; bands: lowest to highest seed."
