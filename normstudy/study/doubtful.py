"""Test images that every arm gets wrong, whatever its norm, so that their labels are doubtful."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from normstudy.drawing import WIDTH, describe, in_own_style, mosaic, panel
from normstudy.study.data import ImageSet, to_display
from normstudy.study.mistakes import Arms, is_wrong


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubtful:
    """One test image that every arm gets wrong, and what the runs of all arms say of it."""

    index: int
    """Position in the test set."""
    true: str
    """Its class, by the label."""
    answer: str
    """The most frequent wrong answer."""
    agreeing: int
    """Runs that give this answer."""
    runs: int
    """All runs."""


def find(arms: Arms, images: ImageSet) -> list[Doubtful]:
    """List the test images that most seeds of every arm get wrong.

    Those on whose wrong answer most runs agree come first: where networks of unequal norms and
    seeds agree, the label is to be doubted.

    Raises
    ------
    ValueError
        If a run belongs to other images.

    References
    ----------
    Northcutt et al., Pervasive Label Errors in Test Sets Destabilize Machine Learning Benchmarks,
    2021, https://arxiv.org/abs/2103.14749; their candidates are those of a single network.
    """
    failed = [
        np.mean([is_wrong(run, images) for run in runs], axis=0) > 0.5 for runs in arms.values()
    ]
    answers = np.stack([run.predictions for runs in arms.values() for run in runs])
    labels, names, found = images.test.labels.tolist(), images.classes, []
    for i in np.flatnonzero(np.all(failed, axis=0)):
        given = np.bincount(answers[:, i], minlength=len(names))
        given[labels[i]] = 0
        answer = int(given.argmax())
        found.append(
            Doubtful(
                index=int(i),
                true=names[labels[i]],
                answer=names[answer],
                agreeing=int(given[answer]),
                runs=len(answers),
            )
        )
    return sorted(found, key=lambda one: -one.agreeing)


def in_short(arms: Arms, images: ImageSet) -> str:
    """Say how many test images every arm gets wrong, and on how many all runs agree."""
    found = find(arms, images)
    every = [is_wrong(run, images) for runs in arms.values() for run in runs]
    united = sum(one.agreeing == one.runs for one in found)
    return (
        f"Of {len(images.test):,} test images, {np.any(every, axis=0).sum():,} are wrong in some "
        f"run, {len(found):,} in most seeds of every arm, and to {united:,} of these all "
        f"{len(every)} runs give the same wrong answer."
    )


@in_own_style
def draw(arms: Arms, images: ImageSet, *, grid: tuple[int, int] = (4, 5)) -> Figure:
    """Draw the test images that most seeds of every arm get wrong, those most agreed on first.

    ``grid`` is the rows and columns. Cells stay empty where there are fewer images.
    """
    rows, columns = grid
    found = find(arms, images)
    shown = found[: rows * columns]
    runs = sum(map(len, arms.values()))
    title = f"Wrong under every norm: {len(shown)} of {len(found):,} test images"
    note = (
        f"{images.facts.title}. Wrong in most seeds of each of the {len(arms)} arms.\n"
        f"Counted: the runs, of {runs}, that give the same wrong answer; the most agreed on first."
    )
    pixel = 0.85 / images.size  # inches
    step, wide = images.size + round(0.6 / pixel), round((WIDTH - 0.2) / columns / pixel)
    edges = {"left": 0.1, "right": 0.1, "bottom": 0.1, "top": 0.76}
    fig, ax = panel(title, note, height=1.05 + rows * 1.45, **edges)
    pictures = to_display(images.test.images[[one.index for one in shown]])
    mosaic(ax, pictures, step=step, wide=wide, columns=columns, rows=rows)
    for i, one in enumerate(shown):
        text = f"label: {one.true}\n{one.agreeing} runs: {one.answer}\nno. {one.index}"
        x, y = i % columns * wide, i // columns * step + 1.06 * images.size
        ax.text(x, y, text, va="top", fontsize=9, linespacing=1.25)
    said = "; ".join(
        f"no. {one.index}, {one.true} taken for {one.answer} by {one.agreeing} runs"
        for one in shown
    )
    caption = " ".join(f"{title}. {note}".split())
    return describe(fig, name="doubtful", caption=caption, alt=f"{title}: {said or 'none'}.")
