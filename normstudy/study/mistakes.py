"""Which images a run gets wrong, in what order, and which models get them wrong together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from normstudy.study.data import ImageSet
from normstudy.study.measures import Arms
from normstudy.study.runs import Run
from normstudy.tables import Table, number

Order = Literal["most confident", "least confident"]

NUM_BINS = 15
"""Bins of equal width between 0 and 1, for confidences; see :func:`reliability`."""

_DRAWS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """One misclassified test image."""

    index: int
    """Position in the test set."""
    true: int
    predicted: int
    confidence: float
    """Softmax probability of the predicted class, in [0, 1]."""
    true_name: str
    predicted_name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """How far several models fail on the same images."""

    names: tuple[str, ...]
    num_wrong: tuple[int, ...]
    """Images that each model gets wrong."""
    all_wrong: int
    """Images that every model gets wrong."""
    any_wrong: int
    """Images that at least one model gets wrong."""
    expected_all_wrong: float
    """Images that all would get wrong if their mistakes were independent of each other."""


def is_wrong(run: Run, images: ImageSet) -> npt.NDArray[np.bool_]:
    """Mark the misclassified test images of a run.

    Returns
    -------
    ndarray
        Shape (N,), one value per test image.

    Raises
    ------
    ValueError
        If the run was not scored on the test images of this data set.
    """
    return np.asarray(run.predictions != _labels(run, images))


def find_mistakes(
    run: Run, images: ImageSet, *, order: Order = "most confident", count: int | None = 10
) -> list[Mistake]:
    """List the first ``count`` misclassified test images of a run, or all with ``count=None``.

    Parameters
    ----------
    run
        Whose predictions are judged.
    images
        The data set that the run was scored on.
    order
        ``"most confident"``: the wrong answers that the model believes in most, first;
        ``"least confident"``: the closest calls first. Ties are in the order of the test set.
    count
        Length of the list; it is shorter when the run makes fewer mistakes.

    Raises
    ------
    ValueError
        If the order is unknown, the count is below 1, or the run belongs to other images.
    """
    wrong = np.flatnonzero(is_wrong(run, images))
    keys: dict[str, npt.NDArray[Any]] = {
        "most confident": -run.confidences[wrong],
        "least confident": run.confidences[wrong],
    }
    if order not in keys:
        msg = f"order={order!r} is unknown; accepted: {', '.join(keys)}"
        raise ValueError(msg)
    if count is not None and count < 1:
        msg = f"count={count} is too few; give a whole number from 1, or None for all mistakes"
        raise ValueError(msg)
    labels = _labels(run, images)
    return [
        Mistake(
            index=int(i),
            true=int(labels[i]),
            predicted=int(run.predictions[i]),
            confidence=float(run.confidences[i]),
            true_name=images.classes[labels[i]],
            predicted_name=images.classes[run.predictions[i]],
        )
        for i in wrong[np.argsort(keys[order], kind="stable")][:count]
    ]


def overlap(runs: Mapping[str, Run], images: ImageSet) -> Overlap:
    """Compare the mistakes of several models, one run each.

    Raises
    ------
    ValueError
        If fewer than two runs are given, or one belongs to other images.
    """
    if len(runs) < 2:
        msg = f"{len(runs)} run given; comparing mistakes takes two or more, one for each model"
        raise ValueError(msg)
    wrong = np.stack([is_wrong(run, images) for run in runs.values()])  # (M, N)
    return Overlap(
        names=tuple(runs),
        num_wrong=tuple(int(n) for n in wrong.sum(1)),
        all_wrong=int(wrong.all(0).sum()),
        any_wrong=int(wrong.any(0).sum()),
        expected_all_wrong=float(wrong.mean(1).prod() * wrong.shape[1]),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Reliability:
    """Confidence against accuracy, in bins of confidence of equal width.

    Each array has one value for each bin that holds images: the number of images, their mean
    confidence, and the fraction that was right.
    """

    counts: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of the two over the images, a fraction."""
        distance = np.abs(self.confidence - self.accuracy)
        return float((self.counts * distance).sum() / self.counts.sum())


def reliability(runs: Sequence[Run], images: ImageSet) -> Reliability:
    """Compare the confidence of answers with how often they are right, in :data:`NUM_BINS` bins.

    Parameters
    ----------
    runs, images
        Whose predictions, counted together, and the data set that they are about.

    References
    ----------
    Guo et al., On Calibration of Modern Neural Networks, 2017, equations 3 and 5.
    """
    return _in_bins(_confidences(runs), ~np.concatenate([is_wrong(run, images) for run in runs]))


def _confidences(runs: Sequence[Run]) -> npt.NDArray[np.float64]:
    return np.concatenate([run.confidences for run in runs]).astype(np.float64)


def _in_bins(confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> Reliability:
    bins = np.minimum((confidence * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    counts = np.bincount(bins, minlength=NUM_BINS)
    there = counts > 0
    means = (np.bincount(bins, values, NUM_BINS)[there] for values in (confidence, right))
    mean_confidence, accuracy = (total / counts[there] for total in means)
    return Reliability(counts=counts[there], confidence=mean_confidence, accuracy=accuracy)


def error_by_chance(run: Run) -> float:
    """Compute the expected calibration error of answers that are right as often as they claim.

    Their bins hold few enough to be off by chance. The mean over several draws, a fraction.
    """
    rng, confidence = np.random.default_rng(0), _confidences([run])
    draws = rng.random((_DRAWS, len(confidence))) < confidence
    return float(np.mean([_in_bins(confidence, right).error for right in draws]))


def confusions(arms: Arms, images: ImageSet) -> Table:
    """Tabulate the three most frequent confusions of each arm, as mean numbers of test images."""
    from sklearn.metrics import confusion_matrix  # noqa: PLC0415 - slow to import

    names, rows = images.classes, []
    for arm, runs in arms.items():
        every = [
            confusion_matrix(_labels(run, images), run.predictions, labels=range(len(names)))
            for run in runs
        ]
        counts = np.mean(every, axis=0)
        np.fill_diagonal(counts, 0)  # the right answers
        places = np.unravel_index(counts.argsort(axis=None)[::-1][:3], counts.shape)
        found = (
            f"{names[t]} as {names[a]}: {counts[t, a]:.0f}" for t, a in zip(*places, strict=True)
        )
        rows.append((arm, f"{counts.sum():,.0f}", *found))
    header = ("arm", f"mistakes of {len(images.test):,}", "most frequent", "second", "third")
    return Table(header, tuple(rows))


def calibration_in_short(arms: Arms, images: ImageSet) -> str:
    """Say how far confidence and accuracy are apart, over all runs."""
    errors = [100 * reliability([run], images).error for runs in arms.values() for run in runs]
    apart = f"{min(errors):.1f} to {max(errors):.1f} points apart"
    return f"Confidence and accuracy are {apart} (expected calibration error of each run)."


def calibration(arms: Arms, images: ImageSet) -> Table:
    """Set confidence beside accuracy: overall, by bins, and where the networks are 99% sure."""
    rows = []
    for arm, runs in arms.items():
        sure = [(run.confidences > 0.985) & (run.confidences < 0.995) for run in runs]
        wrong = [is_wrong(run, images)[of] for run, of in zip(runs, sure, strict=True)]
        gaps = [100 * float(run.accuracy - run.confidences.mean()) for run in runs]
        errors = [100 * reliability([run], images).error for run in runs]
        by_chance = np.mean([100 * error_by_chance(run) for run in runs])
        cells = (*(_with_sd(of, sign=sign) for of, sign in ((gaps, True), (errors, False))),)
        nearly = [100 * of.mean() for of in wrong if len(of)]
        there = _with_sd(nearly) if nearly else "no such answer"
        rows.append((arm, str(len(runs)), *cells, f"{by_chance:.2f}", there))
    header = (
        *("arm", "seeds", "accuracy less mean confidence, points"),
        *("calibration error, points", "the same by chance"),
        "wrong at 98.5 to 99.5% confidence, %",
    )
    return Table(header, tuple(rows))


def _with_sd(values: Sequence[float], *, sign: bool = False) -> str:
    mean = number(float(np.mean(values)), 2, sign=sign)
    return f"{mean} ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else mean


def _labels(run: Run, images: ImageSet) -> npt.NDArray[np.int64]:
    """Take the true classes, after making sure that the predictions are about these images."""
    if run.recipe.data != images.name:
        msg = (
            f"the run was trained on {run.recipe.data} and the images are {images.name}; "
            f"give the images of normstudy.study.data.load({run.recipe.data!r})"
        )
        raise ValueError(msg)
    if not run.recipe.keeps_answers:
        msg = (
            "the run keeps no predictions of test images; give a run of a recipe with "
            "validation=False, subset=0 and no probe"
        )
        raise ValueError(msg)
    if len(run.predictions) != len(images.test):
        msg = (
            f"the run has {len(run.predictions):,} predictions and the test set "
            f"{len(images.test):,} images; give the run of this very set"
        )
        raise ValueError(msg)
    return images.test.labels.cpu().numpy()
