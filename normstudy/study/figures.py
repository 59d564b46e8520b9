"""Plots of the runs of a study. Each is a matplotlib figure with its caption and alt text.

The figures are pyplot's, so scripts show them with ``plt.show()`` and the gallery finds them,
except within :func:`normstudy.drawing.for_files`; nothing here writes to disk. All numbers in
captions and labels are computed from the runs. ``arms`` is a dict of arm to runs, one a seed; arms
that must not be set beside each other raise a ValueError, as
:func:`normstudy.study.measures.check_arms` says.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from normstudy.drawing import (
    DOTS,
    QUIET,
    Curve,
    Row,
    describe,
    draw,
    finish,
    forest,
    in_own_style,
    limit,
    panel,
    style,
)
from normstudy.study import curves as graphs
from normstudy.study.compare import differences
from normstudy.study.curves import (
    column_of,
    core,
    data_title,
    epochs_of,
    last_values,
    listed,
    scored_on,
    setting,
)
from normstudy.study.design import Reference
from normstudy.study.measures import (
    SMALL_WEIGHT,
    Arms,
    check_arms,
    penalty_share,
    small_weights,
    summarize,
)
from normstudy.study.recipes import Recipe


@in_own_style
def history(
    arms: Arms, column: str, *, title: str = "", reference: Reference | None = None
) -> Figure:
    """Draw one column of the histories of all arms over the epochs.

    Parameters, results and errors are those of :func:`normstudy.study.curves.history`.
    """
    return draw(graphs.history(arms, column, title=title, reference=reference))


@in_own_style
def sweep(
    arms: Arms,
    field: str,
    *,
    title: str,
    axis: str,
    diverged: Mapping[str, Sequence[Recipe]] | None = None,
    name: str = "sweep",
) -> Figure:
    """Draw accuracy over one field of the recipe, on a log axis: what a sweep or a search found.

    Parameters, results and errors are those of :func:`normstudy.study.curves.sweep`.
    """
    return draw(graphs.sweep(arms, field, title=title, axis=axis, diverged=diverged, name=name))


@in_own_style
def gap(arms: Arms) -> Figure:
    """Draw training minus test accuracy; the diamond behind the last epoch is measured afterwards.

    During an epoch the network learns, and sees augmented images, while it is scored, which makes
    its training accuracy too low. The diamond is free of that.
    """
    check_arms(arms)
    scored, curves = scored_on(arms), []
    for label, runs in arms.items():
        train, test = (column_of(runs, f"{part}_accuracy") for part in ("train", "test"))
        clean = summarize(runs, "gap")
        curves.append(Curve(label, epochs_of(runs), 100 * (train - test), str(clean), clean.mean))
    finals = listed(curves)
    after = "all training images after the last epoch, without augmentation"
    title = f"Gap between training and {scored} accuracy"
    fig, ax = panel(title, f"{setting(arms)}\nDiamonds and labels: {after}.")
    ax.axhline(0, color=QUIET, linewidth=1)
    every = np.concatenate([curve.values.ravel() for curve in curves])
    shown = core(curves, every, (0.04, 0.04))
    limit(ax, [*shown, *(curve.end for curve in curves), 0])
    finish(ax, curves, "epoch", f"training minus {scored} accuracy, points")
    for curve in curves:
        color = style(curve.label, list(arms))[0]
        ax.plot(curve.x[-1], curve.end, "D", color=color, markersize=7, clip_on=False)
    caption = (
        f"{title}. {setting(arms)} The lines use the training accuracy measured during the epoch, "
        f"with augmentation; diamonds and labels use {after}."
    )
    alt = f"Line chart of the gap in points over the epochs. After the last epoch: {finals} points."
    return describe(fig, name="gap", caption=caption, alt=alt)


@in_own_style
def schedule(arms: Arms) -> Figure:
    """Draw the learning rate at the start of each epoch."""
    check_arms(arms)
    curves = []
    for label, runs in arms.items():
        lr = column_of(runs[:1], "lr")  # the seeds of an arm share their schedule
        peak = f"peak {runs[0].recipe.lr:g}"
        curves.append(Curve(label, epochs_of(runs), lr, peak, float(lr[0, -1])))
    title, note = "Learning rate at the start of each epoch", "Arms of equal peak coincide."
    fig, ax = panel(title, f"{data_title(arms)}. {note}")
    limit(ax, [0, *(float(curve.values.max()) for curve in curves)])
    finish(ax, curves, "epoch", "learning rate")
    alt = f"Line chart of the learning rate over the epochs: {listed(curves)}."
    return describe(fig, name="schedule", caption=f"{title}. {data_title(arms)}. {note}", alt=alt)


@in_own_style
def penalty(arms: Arms) -> Figure:
    """Draw the share of the L1 penalty in the training loss, for the arms that have a penalty."""
    check_arms(arms)
    curves = []
    for label, runs in arms.items():
        if runs[0].recipe.l1 > 0:
            share = 100 * np.stack([penalty_share(run) for run in runs])
            last = float(share[:, -1].mean())
            curves.append(Curve(label, epochs_of(runs), share, last_values(share, 1, "%"), last))
    if not curves:
        msg = f"no arm has an L1 penalty ({', '.join(arms)}); give at least one with l1 > 0"
        raise ValueError(msg)
    title = "Share of the L1 penalty in the loss"
    about = setting({curve.label: arms[curve.label] for curve in curves})
    fig, ax = panel(title, about, height=3.6)
    limit(ax, [0, *(float(curve.values.max()) for curve in curves)])
    finish(ax, curves, "epoch", "penalty / (penalty + cross-entropy), %")
    ends = "; ".join(
        f"{c.label} (lambda = {arms[c.label][0].recipe.l1:g}) from {c.mean[0]:.1f}% in the first "
        f"epoch to {c.mean[-1]:.1f}% in the last"
        for c in curves
    )
    strengths = sorted({runs[0].recipe.l1 for runs in arms.values()} - {0.0})
    caption = f"{title}, lambda = {', '.join(f'{l1:g}' for l1 in strengths)}. {about}"
    alt = f"Line chart over the epochs: {ends}."
    return describe(fig, name="penalty-share", caption=caption, alt=alt)


@in_own_style
def weight_magnitudes(arms: Arms) -> Figure:
    """Draw the sorted magnitudes of convolution and linear weights, on a log axis."""
    check_arms(arms)
    curves = []
    for label, runs in arms.items():
        values = np.stack([run.weight_quantiles for run in runs]).astype(np.float64)
        small = 100 * np.mean([small_weights(run) for run in runs])
        text = f"{small:.1f}% below {SMALL_WEIGHT:g}"
        places = np.linspace(0, 100, values.shape[1])
        curves.append(Curve(label, places, values, text, float(values[:, -1].mean())))
    title = "Magnitude of the weights after the last epoch"
    fig, ax = panel(title, setting(arms))
    ax.set_yscale("log")
    lowest = min(SMALL_WEIGHT, *(float(np.median(curve.values)) for curve in curves)) / 30
    ax.set_ylim(lowest, 2 * max(curve.end for curve in curves))
    ax.axhline(SMALL_WEIGHT, color=QUIET, linewidth=1.2, dashes=DOTS)
    finish(ax, curves, "weights, sorted by magnitude, %", "magnitude of a weight (log scale)")
    found = listed(curves)
    caption = (
        f"{title}, of convolutions and linear layers. Dotted line: {SMALL_WEIGHT:g}. "
        f"{setting(arms)} What is smaller than {lowest:.1g} is not drawn."
    )
    alt = f"Sorted weight magnitudes on a logarithmic axis: {found}."
    return describe(fig, name="weight-magnitudes", caption=caption, alt=alt)


@in_own_style
def accuracy_intervals(arms: Arms) -> Figure:
    """Draw the last-epoch accuracy of every arm: seeds, mean and 95% interval."""
    check_arms(arms)
    rows = []
    for label, runs in arms.items():
        s = summarize(runs)
        rows.append(Row(label, label, list(s.values.values()), s.mean, s.low, s.high, f"{s}%"))
    axis = f"{scored_on(arms)} accuracy, %"
    title = f"{scored_on(arms).capitalize()} accuracy after the last epoch"
    how = "Small dots: seeds; large marks and bars: mean and 95% interval."
    if max(map(len, arms.values())) == 1:
        how = "One seed (n = 1), so no interval."
    return _intervals(rows, title, axis, arms, name="accuracy-intervals", how=how)


@in_own_style
def difference_intervals(arms: Arms) -> Figure:
    """Draw the differences in accuracy of all pairs, with simultaneous 95% intervals."""
    rows, found = [], differences(arms)
    margin = found[0].margin
    for d in found:
        text = f"{d.measure.text(d.mean, sign=True)}, {d.verdict}"
        rows.append(Row(d.title, d.pair[0], [], d.mean, d.low, d.high, text))
    axis = f"difference in {scored_on(arms)} accuracy, points"
    title = "Differences between the arms"
    how = f"Marks and bars: mean and 95% interval, which holds for all {len(found)} pairs at once."
    if all(math.isnan(d.low) for d in found):
        how = "One seed (n = 1), so no interval."
    note = f"Ahead: clear of zero. Equal: inside the grey band of ± {margin:g}. Open: neither."
    fig = _intervals(rows, title, axis, arms, name="difference-intervals", how=how, note=note)
    fig.axes[0].axvline(0, color=QUIET, linewidth=1)
    fig.axes[0].axvspan(-margin, margin, color=QUIET, alpha=0.15, linewidth=0)
    return fig


def _intervals(
    rows: list[Row], title: str, axis: str, arms: Arms, *, name: str, how: str, note: str = ""
) -> Figure:
    """Draw intervals and describe them."""
    fig = forest(rows, title, f"{data_title(arms)}. {how}\n{note}".strip(), axis)
    found = "; ".join(f"{row.name} {row.text}" for row in rows)
    caption = f"{title}. {data_title(arms)}. {how} {note}".strip()
    return describe(fig, name=name, caption=caption, alt=f"Intervals of {axis}: {found}.")
