"""Which test images are hard, and for whom: over all runs of an arm, of one arm alone, of classes.

``arms`` are runs by arm, one a seed, with predictions of the test images of ``images``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from normstudy.drawing import WIDTH, describe, in_own_style, mosaic, panel
from normstudy.study.data import ImageSet, to_display
from normstudy.study.measures import Arms, mean_interval
from normstudy.study.mistakes import is_wrong
from normstudy.study.runs import Run
from normstudy.tables import Table, in_sentence, number


def shares(arms: Arms, images: ImageSet) -> dict[str, npt.NDArray[np.float64]]:
    """Compute for each arm which share of its runs gets each image wrong, shape (N,)."""
    return {
        arm: np.mean([is_wrong(run, images) for run in runs], axis=0) for arm, runs in arms.items()
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Hard:
    """A test image that is often got wrong."""

    index: int
    """Position in the test set."""
    wrong: int
    """Runs that get it wrong."""
    runs: int
    """Runs in all."""
    true_name: str
    answer: str
    """The wrong answer that most of them give."""
    margin: float
    """How often it is wrong in one arm minus how often in the others; 0 where none was asked."""


def _described(index: int, runs: Sequence[Run], images: ImageSet, margin: float = 0.0) -> Hard:
    """Say of an image how often these runs get it wrong, and what they mostly answer then."""
    true = int(images.test.labels[index])
    answers = np.array([int(run.predictions[index]) for run in runs])
    wrong = answers[answers != true]
    most = int(np.bincount(wrong).argmax()) if len(wrong) else true
    return Hard(
        index=index,
        wrong=len(wrong),
        runs=len(runs),
        true_name=images.classes[true],
        answer=images.classes[most],
        margin=margin,
    )


def most_often_wrong(arms: Arms, images: ImageSet, count: int = 10) -> list[Hard]:
    """List the images that most runs of all arms get wrong, then with the most confidence."""
    runs = [run for of_arm in arms.values() for run in of_arm]
    missed = np.array([is_wrong(run, images) for run in runs])
    wrong = missed.sum(0)
    sure = (missed * [run.confidences for run in runs]).sum(0)
    order = np.lexsort((-sure, -wrong))[:count]
    return [_described(int(i), runs, images) for i in order if wrong[i]]


def wrong_only_with(arm: str, arms: Arms, images: ImageSet, count: int = 10) -> list[Hard]:
    """List the images that an arm gets wrong most often beyond what the worst other arm does.

    The order is by the share of the arm's runs that are wrong, minus the largest share of another
    arm; only images for which this is above zero are listed.

    Raises
    ------
    ValueError
        If the arm is not among them, or alone.
    """
    if arm not in arms or len(arms) < 2:
        msg = f"arm={arm!r} must be one of several arms; given: {', '.join(arms)}"
        raise ValueError(msg)
    of = shares(arms, images)
    others = np.max([share for name, share in of.items() if name != arm], axis=0)
    margin = of[arm] - others
    order = np.argsort(-margin, kind="stable")[:count]
    return [_described(int(i), arms[arm], images, float(margin[i])) for i in order if margin[i] > 0]


def kinds(arms: Arms, images: ImageSet) -> Table:
    """Tabulate how many images every run gets right, every run wrong, and every run of one arm.

    The last two columns are of images that all runs of the arm get wrong: how many there are, and
    how many of these no run of any other arm gets wrong.
    """
    of = shares(arms, images)
    rows = []
    for arm, share in of.items():
        always = share == 1
        others = np.array([s for name, s in of.items() if name != arm])
        alone = always & (others == 0).all(0)
        never = int((share == 0).sum())
        rows.append((arm, str(len(arms[arm])), f"{never:,}", f"{always.sum():,}", f"{alone.sum()}"))
    header = (
        *("arm", "seeds", "right with every seed", "wrong with every seed"),
        "of these, never wrong in another arm",
    )
    return Table(header, tuple(rows))


def in_all(arms: Arms, images: ImageSet) -> tuple[int, int, float]:
    """Count images that every run gets wrong.

    Returns
    -------
    tuple
        How many there are, the runs, and how many there would be if the mistakes of the runs were
        independent of each other.
    """
    wrong = np.array([is_wrong(run, images) for runs in arms.values() for run in runs])
    independent = float(wrong.mean(1).prod() * wrong.shape[1])
    return int(wrong.all(0).sum()), len(wrong), independent


def listing(hard: Sequence[Hard]) -> Table:
    """Tabulate images with how often they are wrong, and the wrong answer that is given most."""
    rows = [(str(h.index), h.true_name, h.answer, f"{h.wrong} of {h.runs}") for h in hard]
    return Table(
        ("test image", "true class", "most frequent wrong answer", "wrong in"), tuple(rows)
    )


@in_own_style
def grid(hard: Sequence[Hard], images: ImageSet, *, name: str, title: str, note: str) -> Figure:
    """Show images with their true class, the wrong answer that is given most, and how often.

    Parameters
    ----------
    hard
        The images, at most ten.
    images
        The data set.
    name, title, note
        Of the figure; the note says how the images were chosen.
    """
    columns, rows, size = 5, 2, images.size
    pixel = 0.85 / size  # inches
    step, wide = size + round(0.6 / pixel), round((WIDTH - 0.2) / columns / pixel)
    about = f"{images.facts.title}, test images. {note}"
    fig, ax = panel(
        title, about, height=1.05 + rows * 1.45, left=0.1, right=0.1, bottom=0.1, top=0.76
    )
    pictures = to_display(images.test.images[[h.index for h in hard]])
    mosaic(ax, pictures, step=step, wide=wide, columns=columns, rows=rows)
    for i, h in enumerate(hard):
        x, y = i % columns * wide, i // columns * step
        text = f"true: {h.true_name}\nmostly: {h.answer}\n{h.wrong} of {h.runs}, no. {h.index}"
        ax.text(x, y + 1.06 * size, text, va="top", fontsize=9, linespacing=1.25)
    shown = "; ".join(f"{h.true_name} taken for {h.answer} by {h.wrong} of {h.runs}" for h in hard)
    caption = f"{title}. {about}"
    return describe(fig, name=name, caption=caption, alt=f"{title}: {shown or 'none'}.")


def class_accuracies(arms: Arms, images: ImageSet) -> Table:
    """Tabulate the accuracy of each class, mean and 95% t-interval over the seeds, in percent.

    The last column says how far apart the arms are: highest minus lowest mean, in points.
    """
    labels = images.test.labels.numpy()
    right = {arm: np.array([~is_wrong(run, images) for run in runs]) for arm, runs in arms.items()}
    rows = []
    for k, of_class in enumerate(images.classes):
        accuracy = {arm: 100 * hits[:, labels == k].mean(1) for arm, hits in right.items()}
        told = [_with_interval(values) for values in accuracy.values()]
        means = [values.mean() for values in accuracy.values()]
        rows.append((of_class, *told, f"{max(means) - min(means):.1f}"))
    return Table(("class", *arms, "range of the arms"), tuple(rows))


def _with_interval(values: npt.NDArray[np.float64]) -> str:
    low, high = mean_interval(values)
    ends = "" if np.isnan(low) else f" ({low:.1f} to {high:.1f})"
    return f"{values.mean():.1f}{ends}"


@in_own_style
def confusion_matrix(arm: str, runs: Sequence[Run], images: ImageSet) -> Figure:
    """Draw where the answers of an arm go, over all its seeds: scikit-learn's display.

    Each row is a true class, in percent of its images, so that the diagonal is the accuracy of the
    class.

    References
    ----------
    https://scikit-learn.org/stable/modules/generated/sklearn.metrics.ConfusionMatrixDisplay.html
    """
    from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix  # noqa: PLC0415 - slow

    truth = np.tile(images.test.labels.numpy(), len(runs))
    answers = np.concatenate([run.predictions for run in runs])
    places = list(range(len(images.classes)))
    counts = 100 * confusion_matrix(truth, answers, labels=places, normalize="true")
    title = f"{arm}: where its answers go"
    about = f"{images.facts.title}, test images, {len(runs)} seeds. Percent of each true class."
    fig, ax = panel(title, about, height=6.4, left=1.1, right=0.4, bottom=1.1)
    display = ConfusionMatrixDisplay(counts, display_labels=images.classes)
    display.plot(
        ax=ax, cmap="Blues", colorbar=False, values_format=".0f", xticks_rotation="vertical"
    )
    ax.set_xlabel("answer")
    ax.set_ylabel("true class")
    off = counts - np.diag(np.diag(counts))
    true, answer = np.unravel_index(off.argmax(), off.shape)
    worst = f"{images.classes[true]} taken for {images.classes[answer]}, {off.max():.1f}%"
    name = f"confusion-{arm.lower().replace(' + ', '-').replace(' ', '-')}"
    alt = f"Matrix of true classes and answers in percent. Most frequent confusion: {worst}."
    return describe(fig, name=name, caption=f"{title}. {about}", alt=alt)


# -- two networks that answer together -------------------------------------------------------------


def together(first: Run, second: Run, images: ImageSet) -> float:
    """Compute the accuracy of two runs that answer together, in percent.

    Where they disagree, the answer of the surer one counts: runs keep the probability of their own
    answer alone.
    """
    wrong = np.where(
        first.confidences >= second.confidences, is_wrong(first, images), is_wrong(second, images)
    )
    return 100 * float(1 - wrong.mean())


def ensembles(arms: Arms, images: ImageSet) -> dict[tuple[str, str], list[float]]:
    """Compute :func:`together` for pairs of unequal seeds, of two arms or of one with itself.

    Every seed is paired with the next one, so that each run counts twice in every pair of arms.
    """
    found = {}
    for a, b in combinations_with_replacement(arms, 2):
        seeds = {run.recipe.seed: run for run in arms[b]}
        order = sorted(seeds)
        following = dict(zip(order, order[1:] + order[:1], strict=True))
        pairs = [
            (run, seeds[following[run.recipe.seed]])
            for run in arms[a]
            if following.get(run.recipe.seed, run.recipe.seed) != run.recipe.seed
        ]
        if pairs:
            found[a, b] = [together(one, other, images) for one, other in pairs]
    return found


def ensemble_table(found: Mapping[tuple[str, str], Sequence[float]], arms: Arms) -> Table:
    """Tabulate pairs of networks that answer together, best first, with what they gain.

    The gain is over the better of the two arms alone.
    """
    alone = {
        arm: 100 * float(np.mean([run.accuracy for run in runs])) for arm, runs in arms.items()
    }
    rows = []
    for (a, b), values in sorted(found.items(), key=lambda item: -np.mean(item[1])):
        who = f"{a}, two seeds" if a == b else f"{a} and {in_sentence(b)}"
        mean = float(np.mean(values))
        gain = number(float(mean - max(alone[a], alone[b])), 2, sign=True)
        rows.append((who, str(len(values)), f"{mean:.2f}", gain))
    header = ("who answers", "pairs of runs", "accuracy, %", "more than the better one alone")
    return Table(header, tuple(rows))
