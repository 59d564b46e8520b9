"""What takes the images themselves: samples, what a run got wrong, how far to trust its answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from normstudy.drawing import (
    QUIET,
    WIDTH,
    Curve,
    describe,
    finish,
    in_own_style,
    limit,
    panel,
)
from normstudy.study.data import ImageSet, to_display
from normstudy.study.measures import Arms
from normstudy.study.mistakes import (
    NUM_BINS,
    Mistake,
    Order,
    find_mistakes,
    is_wrong,
    reliability,
)
from normstudy.study.mosaics import captioned, mosaic
from normstudy.study.runs import Run
from normstudy.tables import slug


@in_own_style
def samples(images: ImageSet) -> Figure:
    """Draw the first ten training images of every class, one class a row."""
    per_class = 10
    labels = images.train.labels.cpu().numpy()
    index = np.stack([np.flatnonzero(labels == k)[:per_class] for k in range(len(images.classes))])
    pictures = to_display(images.train.images[index.ravel().tolist()])
    rows, size, left, top = len(index), images.size, 1.05, 0.75
    step = size + max(1, size // 10)
    text = f"The first {per_class} training images of each of the {rows} classes"
    height = top + 0.1 + (WIDTH - left - 0.1) * rows / per_class
    title = f"{images.facts.title}: sample images"
    fig, ax = panel(title, f"{text}.", height=height, left=left, right=0.1, bottom=0.1, top=top)
    mosaic(ax, pictures, step=step, wide=step, columns=per_class, rows=rows)
    ax.set_yticks([row * step + size / 2 for row in range(rows)], images.classes, fontsize=11)
    caption = f"{title}. {text}, {size} × {size} pixels each."
    alt = f"Grid of {rows} rows of {per_class} images, a class a row: {', '.join(images.classes)}."
    return describe(fig, name="samples", caption=caption, alt=alt)


@in_own_style
def mistakes(
    arm: str,
    run: Run,
    images: ImageSet,
    *,
    order: Order = "most confident",
    grid: tuple[int, int] = (5, 2),
) -> Figure:
    """Draw misclassified test images, row by row in the given order.

    ``arm`` is what the study calls the run, ``grid`` the rows and columns. Words stand beside the
    images of two columns at most, and beneath those of more.

    The order is one of :func:`normstudy.study.mistakes.find_mistakes`, whose errors are raised.
    Cells stay empty when the run makes fewer mistakes.
    """
    rows, columns = grid
    found = find_mistakes(run, images, order=order, count=rows * columns)
    total = int(is_wrong(run, images).sum())
    chosen = {
        "most confident": "wrong answers of highest confidence, highest first",
        "least confident": "wrong answers of lowest confidence, lowest first",
    }[order]
    chosen = f"Shown: the {len(found)} {chosen}."
    title = f"{arm}, seed {run.recipe.seed}: {len(found)} of its {total:,} mistakes"
    score = f"{100 * run.accuracy:.2f}% of {len(run.predictions):,} test images right"
    epochs = run.recipe.epochs
    score = (
        f"{images.facts.title}, after {f'{epochs} epochs' if epochs > 1 else 'one epoch'}: {score}."
    )
    about = f"{score}\n{chosen}"
    pictures = to_display(images.test.images[[mistake.index for mistake in found]])
    if columns > 2:
        texts = [
            f"true: {m.true_name}\npred.: {m.predicted_name}\n"
            f"{100 * m.confidence:.1f}%, no. {m.index}"
            for m in found
        ]
        fig = captioned(pictures, texts, grid, title, about)
    else:
        fig = _with_words_beside(pictures, found, grid, title, about)
    alt = "; ".join(
        f"{m.true_name} taken for {m.predicted_name} ({100 * m.confidence:.1f}%)" for m in found
    )
    name = f"mistakes-{slug(arm)}"
    alt = f"{title}; {score} {alt or 'None'}."
    return describe(fig, name=name, caption=f"{title}. {score} {chosen}", alt=alt)


def _with_words_beside(
    pictures: npt.NDArray[np.float64],
    found: Sequence[Mistake],
    grid: tuple[int, int],
    title: str,
    about: str,
) -> Figure:
    """Show mistakes in two columns at most, with room for four lines at the right of each."""
    (rows, columns), size = grid, pictures.shape[1]
    step, wide = size + max(1, size // 8), 3 * size
    edges = {"left": 0.1, "right": 0.1, "bottom": 0.1, "top": 0.76}
    fig, ax = panel(title, about, height=1.05 + rows * 1.25, **edges)
    mosaic(ax, pictures, step=step, wide=wide, columns=columns, rows=rows)
    words: dict[str, Any] = {"va": "center", "fontsize": 11, "linespacing": 1.4}
    for i, m in enumerate(found):
        text = (
            f"true: {m.true_name}\npredicted: {m.predicted_name}\n"
            f"confidence: {100 * m.confidence:.1f}%\ntest image {m.index}"
        )
        x, y = i % columns * wide, i // columns * step
        ax.text(x + 1.08 * size, y + size / 2, text, **words)
    return fig


@in_own_style
def reliability_diagram(arms: Arms, images: ImageSet, *, name: str = "reliability") -> Figure:
    """Draw how much more often answers are right than the networks were sure of them.

    Parameters
    ----------
    arms, images
        Runs by arm, and the test images that they were scored on; the answers of all seeds of an
        arm are counted together.
    name
        Of the figure, where a report has several.
    """
    together = {arm: reliability(runs, images) for arm, runs in arms.items()}
    # a small test set may have no bin of a hundred answers
    fewest = min(100, *(int(found.counts.max()) for found in together.values()))
    curves = []
    for arm, found in together.items():
        errors = [100 * reliability([run], images).error for run in arms[arm]]
        spread = f" ± {np.std(errors, ddof=1):.2f}" if len(errors) > 1 else " (n = 1)"
        there = found.counts >= fewest
        x, y = (100 * values[there] for values in (found.confidence, found.accuracy))
        apart = y - x
        label = f"{np.mean(errors):.2f}{spread}"
        curves.append(Curve(arm, x, apart[None], label, float(apart[-1])))
    title = "Accuracy less confidence, by confidence"
    note = "Labels: expected calibration error, points. Below zero: overconfident."
    fig, ax = panel(title, f"{images.facts.title}, test images.\n{note}")
    limit(ax, [0.0, *(float(v) for curve in curves for v in curve.values.ravel())])
    ax.axhline(0, color=QUIET, linewidth=1.5)
    finish(ax, curves, "confidence of the answers, %", "right less confident, points")
    ends = "; ".join(f"{curve.label} {curve.number}" for curve in curves)
    seeds = sorted({len(runs) for runs in arms.values()})
    counted = f"{' or '.join(map(str, seeds))} seeds an arm"
    caption = (
        f"{title}. {images.facts.title}, test images. The answers of {counted} are counted in "
        f"{NUM_BINS} bins of equal width, and bins with fewer than {fewest} are left out. Below "
        "zero, networks are surer than they are right."
    )
    alt = (
        "Line chart of accuracy less confidence, over confidence. Expected calibration error in "
        f"points: {ends}."
    )
    return describe(fig, name=name, caption=caption, alt=alt)
