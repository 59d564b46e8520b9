"""Which test images are hard, and for whom: one arm, all of them, whole classes; doubtful labels.

``arms`` are runs by arm, one a seed, with predictions of the test images of ``images``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from scipy import stats

from normstudy.drawing import describe, in_own_style, panel
from normstudy.study.data import ImageSet, to_display
from normstudy.study.measures import Arms, mean_interval
from normstudy.study.mistakes import is_wrong
from normstudy.study.mosaics import captioned
from normstudy.study.runs import Run
from normstudy.tables import LEVEL, Table, in_sentence, interval, number, slug

SHOWN = 10
"""Images of a list, and of a grid."""

_DRAWS = 100


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
    """Share of an arm's runs that are wrong minus the largest of another; 0 where none was asked.
    """

    @property
    def told(self) -> str:
        """How often it is wrong, and how often in the next arm where it leads one."""
        rest = 100 * (self.wrong / self.runs - self.margin)
        return f"{self.wrong} of {self.runs}" + f", next {rest:.0f}%" * bool(self.margin)


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


def most_often_wrong(arms: Arms, images: ImageSet) -> list[Hard]:
    """List the ten images that most runs of all arms get wrong, then with the most confidence."""
    runs = [run for of_arm in arms.values() for run in of_arm]
    missed = np.array([is_wrong(run, images) for run in runs])
    wrong = missed.sum(0)
    sure = (missed * [run.confidences for run in runs]).sum(0)
    order = np.lexsort((-sure, -wrong))[:SHOWN]
    return [_described(int(i), runs, images) for i in order if wrong[i]]


def wrong_only_with(arm: str, arms: Arms, images: ImageSet) -> list[Hard]:
    """List ten images that an arm gets wrong most often beyond what the worst other arm does.

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
    margin = _leads(np.array(list(shares(arms, images).values())), list(arms).index(arm))
    order = np.argsort(-margin, kind="stable")[:SHOWN]
    return [_described(int(i), arms[arm], images, float(margin[i])) for i in order if margin[i] > 0]


def chance_leads(arms: Arms, images: ImageSet) -> npt.NDArray[np.float64]:
    """Compute the leads that chance alone would give :func:`wrong_only_with`.

    In each draw the runs of every seed are dealt out anew to the arms, as if arms were names
    without a meaning.

    Returns
    -------
    ndarray
        Shape (draws, arms, SHOWN); the leads of one arm in one draw are in falling order.

    Raises
    ------
    ValueError
        If the arms have unequal seeds.
    """
    _check_seeds(arms)
    wrong = np.array(
        [
            [is_wrong(run, images) for run in sorted(runs, key=lambda run: run.recipe.seed)]
            for runs in arms.values()
        ]
    )  # arms x seeds x images
    rng = np.random.default_rng(0)
    found = np.zeros((_DRAWS, len(arms), SHOWN))
    for draw in found:
        dealt = np.stack([of_seed[rng.permutation(len(arms))] for of_seed in wrong.swapaxes(0, 1)])
        share = dealt.mean(0)
        for place, leads in enumerate(draw):
            leads[:] = -np.sort(-_leads(share, place))[:SHOWN]
    return found


def _check_seeds(arms: Arms) -> None:
    seeds = {name: [run.recipe.seed for run in runs] for name, runs in arms.items()}
    if len({tuple(sorted(of)) for of in seeds.values()}) > 1:
        msg = f"the arms have unequal seeds ({seeds}); give arms with the same ones"
        raise ValueError(msg)


def _leads(share: npt.NDArray[np.float64], place: int) -> npt.NDArray[np.float64]:
    """Subtract from the shares of one arm (M, N) the largest of the others; ties are ties."""
    return np.asarray(np.round(share[place] - np.delete(share, place, axis=0).max(0), 9))


def leads(arms: Arms, images: ImageSet) -> Table:
    """Tabulate the largest leads of :func:`wrong_only_with` beside :func:`chance_leads`.

    The last column says how often chance alone gives some arm a lead as large.
    """
    chance, rows = 100 * chance_leads(arms, images), []
    for arm in arms:
        found = [100 * hard.margin for hard in wrong_only_with(arm, arms, images)]
        largest, last = (f"{found[0]:.0f}", f"{found[-1]:.0f}") if found else ("none", "none")
        as_large = (chance[..., 0].max(axis=1) >= found[0]).mean() if found else 1.0
        part = f"{100 * as_large:.0f}" if as_large else f"below {100 / _DRAWS:g}"
        rows.append((arm, largest, last, part))
    first, tenth = (f"{chance[..., i].min():.0f} to {chance[..., i].max():.0f}" for i in (0, -1))
    rows.append(("any arm, by chance", first, tenth, "\N{EN DASH}"))
    header = ("arm", "largest lead, % of the seeds", f"last of {SHOWN}")
    return Table((*header, "deals in which some arm leads by as much, %"), tuple(rows))


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


@in_own_style
def grid(hard: Sequence[Hard], images: ImageSet, *, name: str, title: str, note: str) -> Figure:
    """Show images with their true class, the wrong answer that is given most, and how often.

    Parameters
    ----------
    hard
        The images, at most :data:`SHOWN`.
    images
        The data set.
    name, title, note
        Of the figure; the note says how the images were chosen.
    """
    about = f"{images.facts.title}, test images. {note}"
    texts = [f"{h.true_name} #{h.index}\nmostly: {h.answer}\n{h.told}" for h in hard]
    pictures = to_display(images.test.images[[h.index for h in hard]])
    fig = captioned(pictures, texts, (2, 5), title, about)
    shown = "; ".join(f"{h.true_name} taken for {h.answer} by {h.told}" for h in hard)
    caption = f"{title}. {about}"
    return describe(fig, name=name, caption=caption, alt=f"{title}: {shown or 'none'}.")


def class_accuracies(arms: Arms, images: ImageSet) -> Table:
    """Tabulate the accuracy of each class, mean and 95% t-interval over the seeds, in percent.

    The first columns say how far apart the arms are, highest minus lowest mean, in points, and how
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
        rows.append((of_class, f"{np.ptp(means):.1f}", f"{alike:.1f}", *told))
    return Table(
        ("class", "best minus worst, points", "expected from error counts alone", *arms),
        tuple(rows),
    )


def class_shares_in_short(arms: Arms, images: ImageSet) -> str:
    """Say in which classes an arm makes another part of its errors than the other arms do.

    The distance from the mean of the others is taken seed by seed; Student's intervals, for all
    arms and classes at once (Bonferroni).
    """
    labels, classes = images.test.labels.numpy(), images.classes
    _check_seeds(arms)
    counts = np.array(
        [
            [
                np.bincount(labels[is_wrong(run, images)], minlength=len(classes))
                for run in sorted(runs, key=lambda run: run.recipe.seed)
            ]
            for runs in arms.values()
        ]
    )  # arms x seeds x classes
    part = counts / counts.sum(2, keepdims=True).clip(1)
    found, rest, (num, seeds, _) = [], "", part.shape
    apart = 100 * (part - (part.sum(0) - part) / (num - 1))
    family = num * len(classes)
    if seeds > 1:
        error = apart.std(1, ddof=1) / np.sqrt(seeds)
        half = error * stats.t.ppf(1 - LEVEL / (2 * family), seeds - 1)
        mean = apart.mean(1)
        for place, k in np.argwhere(np.abs(mean) > half):
            ends = interval(mean[place, k] - half[place, k], mean[place, k] + half[place, k], 2)
            size = number(float(mean[place, k]), 2, sign=True)
            arm = in_sentence(list(arms)[place])
            found.append(f"{arm}, {classes[k]} {size} points (95% interval {ends})")
        least = (np.abs(mean) + half)[np.abs(mean) <= half].max(initial=0)
        rest = f"; no other is more than {number(float(least), 1)} points"
    return (
        f"Parts of an arm's errors in one class, in percent of its errors, beside {num - 1} other "
        f"arms, {family} in all; decided: {'; '.join(found) or 'none'}{rest}."
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
    off = counts - np.diag(np.diag(counts))
    display.plot(
        ax=ax,
        cmap="Blues",
        colorbar=False,
        values_format=".0f",
        xticks_rotation="vertical",
        im_kw={"vmin": 0, "vmax": min(100, 3 * off.max())},  # the diagonal would outshine the rest
    )
    ax.set_xlabel("answer")
    ax.set_ylabel("true class")
    true, answer = np.unravel_index(off.argmax(), off.shape)
    worst = f"{images.classes[true]} taken for {images.classes[answer]}, {off.max():.1f}%"
    name = f"confusion-{slug(arm)}"
    alt = f"Matrix of true classes and answers in percent. Most frequent confusion: {worst}."
    return describe(fig, name=name, caption=f"{title}. {about}", alt=alt)


# -- labels to be doubted --------------------------------------------------------------------------


def doubtful(arms: Arms, images: ImageSet) -> list[Hard]:
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
    mostly = np.all([share > 0.5 for share in shares(arms, images).values()], axis=0)
    runs = [run for of_arm in arms.values() for run in of_arm]
    found = [_described(int(i), runs, images) for i in np.flatnonzero(mostly)]
    return sorted(found, key=lambda one: -one.agreeing)


def doubtful_in_short(arms: Arms, images: ImageSet) -> str:
    """Say how many test images every arm gets wrong, and on how many all runs agree."""
    found = doubtful(arms, images)
    every = [is_wrong(run, images) for runs in arms.values() for run in runs]
    united = sum(one.agreeing == one.runs for one in found)
    return (
        f"Of {len(images.test):,} test images, {np.any(every, axis=0).sum():,} are wrong in some "
        f"run, {len(found):,} in most seeds of every arm, and to {united:,} of these all "
        f"{len(every)} runs give the same wrong answer."
    )


@in_own_style
def doubtful_grid(arms: Arms, images: ImageSet) -> Figure:
    """Show the images of :func:`doubtful`, twenty at most, in rows of five."""
    found = doubtful(arms, images)
    shown = found[:20]
    runs = sum(map(len, arms.values()))
    some = f"{len(shown)} of " if len(found) > len(shown) else ""
    title = f"Wrong under every norm: {some}{len(found):,} test images"
    note = (
        f"{images.facts.title}. Wrong in most seeds of each of the {len(arms)} arms.\n"
        f"Counted: the runs, of {runs}, that give the same wrong answer; the most agreed on first."
    )
    texts = [
        f"label: {one.true_name}\n{one.agreeing} runs: {one.answer}\nno. {one.index}"
        for one in shown
    ]
    pictures = to_display(images.test.images[[one.index for one in shown]])
    fig = captioned(pictures, texts, (max(1, math.ceil(len(shown) / 5)), 5), title, note)
    said = "; ".join(
        f"no. {one.index}, {one.true_name} taken for {one.answer} by {one.agreeing} runs"
        for one in shown
    )
    caption = " ".join(f"{title}. {note}".split())
    return describe(fig, name="doubtful", caption=caption, alt=f"{title}: {said or 'none'}.")
