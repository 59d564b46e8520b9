"""Every plot of runs. Each function returns a matplotlib figure with its caption and alt text.

The figures are pyplot's, so scripts show them with ``plt.show()`` and the gallery finds them;
nothing here writes to disk. All numbers in captions and labels are computed from the runs. ``arms``
is a dict of arm label to runs, one a seed; arms that must not be set beside each other raise a
ValueError, as :func:`normstudy.study.compare.check_arms` says.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from normstudy.drawing import (
    COLORS,
    DOTS,
    QUIET,
    WIDTH,
    Curve,
    Row,
    describe,
    finish,
    forest,
    limit,
    mark_chance,
    mark_published,
    mosaic,
    panel,
    style,
)
from normstudy.study.compare import (
    SMALL_WEIGHT,
    Arms,
    check_arms,
    differences,
    penalty_share,
    small_weights,
    summarize,
)
from normstudy.study.data import ImageSet, to_display
from normstudy.study.mistakes import Order, find_mistakes, is_wrong
from normstudy.study.runs import Run

__all__ = [
    "BEST_PUBLISHED",
    "COLORS",
    "accuracy_intervals",
    "describe",
    "difference_intervals",
    "gap",
    "mistake_grid",
    "penalty",
    "samples",
    "schedule",
    "search",
    "test_accuracy",
    "test_loss",
    "train_accuracy",
    "train_loss",
    "weight_magnitudes",
]

BEST_PUBLISHED = {
    "cifar10": {"Batch norm": 81.67, "Group norm": 78.84, "Layer norm": 77.04},
    "mnist": {"Batch norm": 99.57, "Batch norm + L1": 99.47, "Group norm": 99.52,
              "Layer norm": 99.55},
}  # fmt: skip
"""Highest test accuracy, %, among about 45 public reports of the same study: at most 20 epochs, one
seed, fewer than 50,000 (CIFAR-10) or 10,000 parameters (MNIST), best of all epochs as picked on the
test images. Nobody published Batch norm + L1 on CIFAR-10."""

__test__: dict[str, str] = {}  # for pytest: test_loss and test_accuracy are no tests
_TITLES = {"cifar10": "CIFAR-10", "mnist": "MNIST", "digits": "Digits"}
_NUM_CLASSES = 10  # in each of the three data sets


def test_loss(arms: Arms) -> Figure:
    """Draw Graph 1: test loss of all arms over the epochs."""
    return _history(arms, "test_loss", "Graph 1: {} loss")


def test_accuracy(arms: Arms) -> Figure:
    """Draw Graph 2: test accuracy of all arms over the epochs, and the best published numbers."""
    return _history(arms, "test_accuracy", "Graph 2: {} accuracy")


def train_loss(arms: Arms) -> Figure:
    """Draw the training loss of all arms as measured during each epoch, penalty not included."""
    return _history(arms, "train_loss", "Training loss")


def train_accuracy(arms: Arms) -> Figure:
    """Draw the training accuracy of all arms as measured during each epoch."""
    return _history(arms, "train_accuracy", "Training accuracy")


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
        f"with augmentation; diamonds and labels use {after}: {finals} points."
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
    return describe(fig, name="schedule", caption=f"{title}: {_list(curves)}. {note}", alt=alt)


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
    caption, alt = f"{title}: {ends}. {_setting(arms)}", f"Line chart over the epochs: {ends}."
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
    caption = f"{title}, convolution and linear weights: {found} (dotted line). {_setting(arms)}"
    caption += f" What is smaller than {lowest:.1g} is not drawn."
    alt = f"Sorted weight magnitudes on a logarithmic axis: {found}."
    return describe(fig, name="weight-magnitudes", caption=caption, alt=alt)


def search(arms: Arms) -> Figure:
    """Draw what a search found: accuracy over the learning rate, for the best other settings.

    Here the runs of an arm may differ in any setting, as in :func:`normstudy.study.compare.by_arm`.
    """
    check_arms({f"{key} {i}": [run] for key, runs in arms.items() for i, run in enumerate(runs)})
    curves, dots = [], {}
    for label, runs in arms.items():
        dots[label] = np.array([(run.recipe.lr, 100 * run.accuracy) for run in runs])
        rates = np.unique(dots[label][:, 0])
        best = np.array([[dots[label][dots[label][:, 0] == rate, 1].max() for rate in rates]])
        text = f"{best.max():.2f} % at {rates[best.argmax()]:g}"
        curves.append(Curve(label, rates, best, text, float(best[0, -1])))
    every = np.concatenate([points[:, 1] for points in dots.values()])
    lowest = min(float(curve.values.max()) for curve in curves) - 10  # points; worse has diverged
    scored, hidden = _scored(arms), int((every < lowest).sum())
    title = "Search for the learning rate"
    how = f"{len(every)} runs, a dot each; lines: best of the other settings."
    cut = f" Not drawn: {hidden} below {lowest:.0f} %." if hidden else ""
    fig, ax = panel(title, f"{_data(arms)}. {how}\nLabels: best of each arm.{cut}")
    ax.set_xscale("log")
    limit(ax, every[every >= lowest].tolist())
    x_title = "highest learning rate of the schedule (log scale)"
    finish(ax, curves, x_title, f"{scored} accuracy, %")
    for curve in curves:
        color, _, marker = style(curve.label, list(arms))
        ax.plot(*dots[curve.label].T, ".", color=color, markersize=5, alpha=0.7)
        ax.plot(curve.x[curve.mean.argmax()], curve.mean.max(), marker, color=color, markersize=9)
    ticks = sorted({float(x) for curve in curves for x in curve.x})
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    caption = f"{title}: {scored} accuracy, {how}{cut} Best of each arm: {_list(curves)}."
    alt = f"{scored.capitalize()} accuracy over the learning rate. Best: {_list(curves)}."
    return describe(fig, name="search", caption=caption, alt=alt)


def accuracy_intervals(arms: Arms) -> Figure:
    """Draw the last-epoch accuracy of every arm: seeds, mean and 95 % interval."""
    check_arms(arms)
    rows = []
    for label, runs in arms.items():
        seeds, s = [100 * run.accuracy for run in runs], summarize(runs)
        rows.append(Row(label, label, seeds, s.mean, s.low, s.high, f"{s} %"))
    axis = f"{_scored(arms)} accuracy, %"
    title = f"{_scored(arms).capitalize()} accuracy after the last epoch"
    return _intervals(rows, title, axis, arms, name="accuracy-intervals")


def difference_intervals(arms: Arms, pairs: Sequence[tuple[str, str]] | None = None) -> Figure:
    """Draw the paired differences in accuracy with 95 % intervals, by default of all pairs."""
    rows, found = [], differences(arms, pairs=pairs)
    for d in found:
        a, b = ({r.recipe.seed: r.accuracy for r in arms[key]} for key in (d.first, d.second))
        seeds = [100 * (a[seed] - b[seed]) for seed in sorted(a.keys() & b.keys())]
        text = f"{d.measure.text(d.mean, sign=True)}, {'decided' if d.decided else 'undecided'}"
        pair = f"{d.first} \N{MINUS SIGN} {d.second}"
        rows.append(Row(pair, d.first, seeds, d.mean, d.low, d.high, text))
    axis = f"difference in {_scored(arms)} accuracy, points"
    title = "Differences between the arms, paired by seed"
    note = f"Decided: p below 0.05 after Holm's correction for {len(found)} pairs."
    fig = _intervals(rows, title, axis, arms, name="difference-intervals", note=note)
    fig.axes[0].axvline(0, color=QUIET, linewidth=1)
    return fig


def samples(images: ImageSet, per_class: int = 10) -> Figure:
    """Draw the first training images of every class, one class a row.

    Raises
    ------
    ValueError
        If ``per_class`` is below 1 or above the number of images of some class.
    """
    labels = images.train.labels.cpu().numpy()
    smallest = int(np.bincount(labels, minlength=len(images.classes)).min())
    if not 1 <= per_class <= smallest:
        msg = f"per_class={per_class}; accepted: 1 to {smallest}, the images of the smallest class"
        raise ValueError(msg)
    index = np.stack([np.flatnonzero(labels == k)[:per_class] for k in range(len(images.classes))])
    pictures = to_display(images.train.images[index.ravel().tolist()])
    rows, size, left, top = len(index), images.size, 1.05, 0.75
    step = size + max(1, size // 10)
    text = f"The first {per_class} training images of each of the {rows} classes"
    height = top + 0.1 + (WIDTH - left - 0.1) * rows / per_class
    title = f"{_TITLES[images.name]}: sample images"
    fig, ax = panel(title, f"{text}.", height=height, left=left, right=0.1, bottom=0.1, top=top)
    mosaic(ax, pictures, step=step, wide=step, columns=per_class, rows=rows)
    ax.set_yticks([row * step + size / 2 for row in range(rows)], images.classes, fontsize=11)
    caption = f"{title}. {text}, {size} × {size} pixels each."
    alt = f"Grid of {rows} rows of {per_class} images, a class a row: {', '.join(images.classes)}."
    return describe(fig, name="samples", caption=caption, alt=alt)


def mistake_grid(run: Run, images: ImageSet, *, order: Order = "most confident") -> Figure:
    """Draw ten misclassified test images, 5 rows by 2 columns, row by row in the given order.

    The order is one of :func:`normstudy.study.mistakes.find_mistakes`, whose errors are raised.
    Cells stay empty when the run makes fewer than ten mistakes.
    """
    found, total = find_mistakes(run, images, order=order), int(is_wrong(run, images).sum())
    chosen = {
        "most confident": "wrong answers of highest confidence, highest first",
        "least confident": "wrong answers of lowest confidence, lowest first",
        "index": "wrong answers that come first in the test set",
    }[order]
    chosen = f"Shown: the {len(found)} {chosen}."
    title = f"{run.recipe.label}, seed {run.recipe.seed}: {len(found)} of its {total:,} mistakes"
    score = f"{100 * run.accuracy:.2f} % of {len(run.predictions):,} test images right"
    score = f"{_TITLES[images.name]}, after the last epoch: {score}."
    fig, ax = panel(
        title, f"{score}\n{chosen}", height=7.3, left=0.1, right=0.1, bottom=0.1, top=0.76
    )
    size = images.size
    step, wide = size + max(1, size // 8), 3 * size
    pictures = to_display(images.test.images[[mistake.index for mistake in found]])
    mosaic(ax, pictures, step=step, wide=wide, columns=2, rows=5)
    for i, mistake in enumerate(found):
        text = (
            f"true: {mistake.true_name}\npredicted: {mistake.predicted_name}\n"
            f"confidence: {100 * mistake.confidence:.1f} %\ntest image {mistake.index}"
        )
        x, y = i % 2 * wide + 1.08 * size, i // 2 * step + size / 2
        ax.text(x, y, text, va="center", fontsize=11, linespacing=1.4)
    alt = "; ".join(
        f"{m.true_name} taken for {m.predicted_name} ({100 * m.confidence:.1f} %)" for m in found
    )
    name = f"mistakes-{run.recipe.name.rsplit('-', 1)[0]}"
    alt = f"{title}; {score} {alt or 'None'}."
    return describe(fig, name=name, caption=f"{title}. {score} {chosen}", alt=alt)


def _history(arms: Arms, column: str, title: str) -> Figure:
    """Draw one column of the histories of all arms."""
    check_arms(arms)
    is_loss = column.endswith("loss")
    scale, digits, unit = (1, 4, "") if is_loss else (100, 2, " %")
    curves = []
    for label, runs in arms.items():
        values = scale * _column(runs, column)
        number = _number(values, digits, unit)
        curves.append(Curve(label, _epochs(runs), values, number, float(values[:, -1].mean())))
    title, labels = title.format(_scored(arms).capitalize()), "Labels: last epoch"
    if any(len(runs) > 1 for runs in arms.values()):
        labels += ", mean ± standard deviation"
    if column.startswith("train"):
        labels += ". Measured while learning, with augmentation"
    fig, ax = panel(title, f"{_setting(arms)}\n{labels}.")
    means = np.concatenate([curve.mean for curve in curves])
    recipe, published = next(iter(arms.values()))[0].recipe, {}
    if column == "test_accuracy" and not recipe.validation:
        published = {k: v for k, v in BEST_PUBLISHED.get(recipe.data, {}).items() if k in arms}
    # the wildest twelfth of all means, in the first epochs, must not flatten the rest
    core = np.quantile(means, [0, 0.92] if is_loss else [0.08, 1])
    lasts = [float(value) for curve in curves for value in curve.values[:, -1]]
    limit(ax, [*core, *lasts, *published.values()])
    chance = math.log(_NUM_CLASSES) if is_loss else 100 / _NUM_CLASSES
    chance_text = f"chance: {chance:.2f} nats" if is_loss else f"chance: {chance:.0f} %"
    mark_chance(ax, chance, chance_text)
    mark_published(ax, published)
    axis = "mean cross-entropy, nats" if is_loss else "accuracy, %"
    finish(ax, curves, "epoch", axis)
    caption = f"{title}. {_setting(arms)} {labels}. {_list(curves)}. {chance_text.capitalize()}."
    low, high = ax.get_ylim()
    cut = [(c.x[i], y) for c in curves for i, y in enumerate(c.mean) if not low <= y <= high]
    if cut:
        last = max(epoch for epoch, _ in cut)
        caption += (
            f" {len(cut)} of {len(means)} means, none after epoch {last:.0f}, are off the axis."
        )
    if published:
        best = "; ".join(f"{label} {value:.2f} %" for label, value in published.items())
        caption += f" Dotted: best published, one seed, best epoch picked on test images: {best}."
    moves = "; ".join(f"{c.label} from {c.mean[0]:.2f} to {c.mean[-1]:.2f}" for c in curves)
    alt = f"Line chart of {axis}, from epoch 1 to {max(len(c.x) for c in curves)}: {moves}."
    return describe(fig, name=column.replace("_", "-"), caption=caption, alt=alt)


def _intervals(
    rows: list[Row], title: str, axis: str, arms: Arms, *, name: str, note: str = ""
) -> Figure:
    """Draw intervals and describe them."""
    how = "Small dots: seeds; large marks and bars: mean and 95 % interval."
    if max(map(len, arms.values())) == 1:
        how = "One seed (n = 1), so no interval."
    fig = forest(rows, title, f"{_data(arms)}. {how}\n{note}".strip(), axis)
    found = "; ".join(f"{row.name} {row.text}" for row in rows)
    caption = f"{title}: {found}. {_data(arms)}. {how} {note}".strip()
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
    return "validation" if next(iter(arms.values()))[0].recipe.validation else "test"


def _data(arms: Arms) -> str:
    return _TITLES[next(iter(arms.values()))[0].recipe.data]


def _setting(arms: Arms) -> str:
    """Name the data set and say what lines and bands are."""
    counts = sorted({len(runs) for runs in arms.values()})
    if counts[-1] == 1:
        return f"{_data(arms)}. One seed (n = 1), so no band."
    seeds = f"{counts[0]} seeds" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    return f"{_data(arms)}. Lines: mean of {seeds}; bands: lowest to highest seed."
