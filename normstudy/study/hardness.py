"""Which test images are hard, and for whom: over all runs of an arm, of one arm alone, of classes.

``arms`` are runs by arm, one a seed, with predictions of the test images of ``images``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from normstudy.drawing import WIDTH, describe, in_own_style, mosaic, panel
from normstudy.study.agreement import Pairwise, distances, means_of, step
from normstudy.study.compare import MARGINS
from normstudy.study.data import ImageSet, to_display
from normstudy.study.measures import Arms, mean_interval
from normstudy.study.mistakes import is_wrong
from normstudy.study.runs import Run
from normstudy.tables import Table, in_sentence, interval, number


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
    agreeing: int
    """Runs that give it."""
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
        agreeing=int((wrong == most).sum()),
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


def chance_leads(
    arm: str, arms: Arms, images: ImageSet, *, count: int = 10, draws: int = 40
) -> npt.NDArray[np.float64]:
    """Compute the leads that chance alone would give :func:`wrong_only_with`, shape (draws, count).

    In each draw the runs of every seed are dealt out anew to the arms, as if arms were names
    without a meaning. The leads of one draw are in falling order.

    Raises
    ------
    ValueError
        If the arms have unequal seeds.
    """
    seeds = {name: [run.recipe.seed for run in runs] for name, runs in arms.items()}
    if len({tuple(sorted(of)) for of in seeds.values()}) > 1:
        msg = f"the arms have unequal seeds ({seeds}); give arms with the same ones"
        raise ValueError(msg)
    wrong = np.array(
        [
            [is_wrong(run, images) for run in sorted(runs, key=lambda run: run.recipe.seed)]
            for runs in arms.values()
        ]
    )  # arms x seeds x images
    rng, place = np.random.default_rng(0), list(arms).index(arm)
    found = np.zeros((draws, count))
    for draw in found:
        dealt = np.stack([of_seed[rng.permutation(len(arms))] for of_seed in wrong.swapaxes(0, 1)])
        share = dealt.mean(0)
        margin = share[place] - np.delete(share, place, axis=0).max(0)
        draw[:] = -np.sort(-margin)[:count]
    return found


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


def alone_in_short(arms: Arms, images: ImageSet) -> str:
    """Say how many images are wrong with every seed of one arm and with none of any other."""
    counts = {row[0]: int(row[-1]) for row in kinds(arms, images).rows}
    found = [f"{in_sentence(arm)} {count}" for arm, count in counts.items() if count]
    return (
        "Images that one arm gets wrong with every seed and no other arm with any: "
        f"{', '.join(found) or 'not one, in any arm'}."
    )


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
    rows = [
        (str(h.index), h.true_name, f"{h.wrong} of {h.runs}", h.answer, str(h.agreeing))
        for h in hard
    ]
    header = ("test image", "true class", "wrong in", "most frequent wrong answer", "given by")
    return Table(header, tuple(rows))


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

    The last columns say how far apart the arms are, highest minus lowest mean, in points, and how
    far they would be if an arm that makes so many more mistakes made them in every class alike.
    """
    labels = images.test.labels.numpy()
    right = {arm: np.array([~is_wrong(run, images) for run in runs]) for arm, runs in arms.items()}
    errors = np.array([100 - 100 * hits.mean() for hits in right.values()])
    relative = np.ptp(errors) / errors.mean() if errors.any() else 0.0
    rows = []
    for k, of_class in enumerate(images.classes):
        accuracy = {arm: 100 * hits[:, labels == k].mean(1) for arm, hits in right.items()}
        told = [_with_interval(values) for values in accuracy.values()]
        means = np.array([values.mean() for values in accuracy.values()])
        alike = relative * (100 - means.mean())
        rows.append((of_class, *told, f"{np.ptp(means):.1f}", f"{alike:.1f}"))
    return Table(
        ("class", *arms, "best minus worst, points", "expected from error counts alone"),
        tuple(rows),
    )


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


def ensembles(arms: Arms, images: ImageSet) -> dict[tuple[str, str], list[tuple[int, int, float]]]:
    """Compute :func:`together` for pairs of unequal seeds, of two arms or of one with itself.

    Every seed is paired with the next one: (seed, seed, accuracy in percent).
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
            found[a, b] = [
                (one.recipe.seed, other.recipe.seed, together(one, other, images))
                for one, other in pairs
            ]
    return found


def ensemble_table(found: Pairwise) -> Table:
    """Tabulate pairs of networks that answer together, best first, with what they gain.

    What they gain over two seeds of one arm, as a mean of both arms, has the intervals of
    :func:`normstudy.study.agreement.distances`. The last column is over those of the better arm.
    """
    means = means_of(found)
    gains = {one.pair: one for one in distances(found)}
    rows = []
    for a, b in sorted(found, key=lambda pair: -means[pair]):
        cells = ["\N{EN DASH}"] * 3
        if one := gains.get((a, b)):
            cells = [
                number(-one.size, 2, sign=True),
                "none"
                if np.isnan(one.half)
                else interval(-one.size - one.half, -one.size + one.half, 2),
                number(means[a, b] - max(means[a, a], means[b, b]), 2, sign=True),
            ]
        who = f"{a}, two seeds" if a == b else f"{a} and {in_sentence(b)}"
        rows.append((who, str(len(found[a, b])), f"{means[a, b]:.2f}", *cells))
    header = (
        *("who answers", "pairs of runs", "accuracy, %"),
        *("gain over two seeds, mean of both arms, points", "95% interval"),
        "gain over two seeds of the better arm, points",
    )
    return Table(header, tuple(rows))


def ensembles_in_short(found: Pairwise, arms: Arms) -> str:
    """Say whether two norms together answer better than two seeds of one norm.

    Only arms of nearly the same accuracy tell: of two unequal ones, the better is often the surer
    one as well, so that its answers count more often.
    """
    means, norms = means_of(found), {arm: runs[0].recipe.norm for arm, runs in arms.items()}
    across = [one for one in distances(found) if len({norms[arm] for arm in one.pair}) == 2]
    margin = MARGINS[next(iter(arms.values()))[0].recipe.data]
    near = [one for one in across if step(one, arms) < margin]
    if not near:
        return (
            f"No two arms of unequal norms lie within {margin:g} points, so nothing can be said of "
            "what unequal norms gain together."
        )
    surely = sum(one.size + one.half < 0 for one in near)
    less = [max(means[arm, arm] for arm in one.pair) - means[one.pair] for one in across]
    gains = sorted(-one.size for one in near)
    return (
        f"Two unequal norms within {margin:g} points of each other answer together by "
        f"{number(gains[0], 2, sign=True)} to {number(gains[-1], 2, sign=True)} points better than "
        f"two seeds of one of them; in {surely} of {len(near)} pairs that is more than chance. Two "
        f"seeds of the better norm do better than both norms in {sum(value > 0 for value in less)} "
        f"of {len(less)} pairs."
    )
