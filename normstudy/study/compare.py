"""Comparisons of arms: what the data decide, what is equal for practical purposes, what is open.

Differences of accuracies are in points, those of losses in nats. They have simultaneous 95%
intervals, and every verdict is read from these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from normstudy.study.data import ImageSet
from normstudy.study.measures import CONFIDENCE, Arms, Measure, Summary, check_arms, summarize
from normstudy.study.mistakes import is_wrong
from normstudy.study.recipes import Dataset, Recipe
from normstudy.study.runs import Run
from normstudy.tables import LEVEL, in_sentence, interval

MARGINS: Mapping[Dataset, float] = MappingProxyType({"cifar10": 0.5, "digits": 0.5, "mnist": 0.05})
"""Points of accuracy, by data set; a difference that is surely smaller matters to nobody here.

On MNIST, where little is left to get wrong, it is five test images.
"""
TOLERANCE = 0.3  # points of validation accuracy; settings as close as that are told by their loss
_DRAWS_AT_A_TIME = 250  # 20 MB of counts for 10,000 images

Verdict = Literal["ahead", "equal", "open"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """The mean of one arm less that of another, with an interval that holds for all pairs at once.

    ``low``, ``high`` and ``p`` are NaN where there is no spread to judge by: an arm of one seed, or
    two arms whose seeds are all equal.
    """

    first: Summary
    second: Summary
    pair: tuple[str, str]
    """Labels of the two arms."""
    low: float
    high: float
    """Ends of the simultaneous 95% interval."""
    p: float
    """Two-sided p-value, corrected for all pairs."""
    family: int
    """Number of pairs that the interval and p-value allow for."""
    margin: float
    """What counts as equal for practical purposes, in points of accuracy."""

    @property
    def measure(self) -> Measure:
        """What is compared."""
        return self.first.measure

    @property
    def mean(self) -> float:
        """Difference of the means."""
        return self.first.mean - self.second.mean

    @property
    def decided(self) -> bool:
        """Whether the interval tells the arms apart: zero is outside."""
        return bool(self.low > 0 or self.high < 0)

    @property
    def equal(self) -> bool:
        """Whether the arms are equal for practical purposes: the interval is within ± margin.

        Only accuracies have a margin.
        """
        return self.measure.unit == "%" and bool(
            self.low > -self.margin and self.high < self.margin
        )

    @property
    def tied(self) -> bool:
        """Whether the means are equal, as far as they are written."""
        return self.measure.text(abs(self.mean)) == self.measure.text(0)

    @property
    def verdict(self) -> Verdict:
        """What the interval says; an arm may be surely ahead by surely less than the margin."""
        return "ahead" if self.decided else "equal" if self.equal else "open"

    @property
    def title(self) -> str:
        """First minus second, as text."""
        return " \N{MINUS SIGN} ".join(self.pair)

    @property
    def interval(self) -> str:
        """The interval as text."""
        return interval(self.low, self.high, self.measure.digits)

    @property
    def unit(self) -> str:
        """Unit of the difference."""
        return "points" if self.measure.unit == "%" else self.measure.unit

    def ordered(self) -> "Difference":
        """Turn the pair round, if need be, so that the first is the better one."""
        return -self if (self.mean < 0) == (self.measure.better == "higher") else self

    def __neg__(self) -> "Difference":
        """Second minus first."""
        turned = replace(self, first=self.second, second=self.first, pair=self.pair[::-1])
        return replace(turned, low=-self.high, high=-self.low)

    def __str__(self) -> str:
        """Say in one sentence what the data decide."""
        d = self.ordered()
        ahead, behind = d.pair[0], in_sentence(d.pair[1])
        amount = f"{d.measure.text(abs(d.mean))} {d.unit} of {d.measure.title}"
        evidence = f"95% interval {d.interval}"
        if d.measure.better == "lower":  # where less is better, ahead means a negative difference
            evidence = f"95% interval {(-d).interval}"
        order = f"{in_sentence(ahead)} is better than {behind} by {amount}"
        if d.tied:
            order = f"{in_sentence(ahead)} and {behind} have the same {d.measure.title}"
        if min(d.first.n, d.second.n) == 1:
            return f"One seed decides nothing; in it, {order}."
        if np.isnan(d.low):
            return f"No arm has any spread, so there is no interval; in all seeds, {order}."
        if d.family > 1:
            evidence += f", simultaneous for {d.family} pairs"
        if d.decided:
            small = f", which is surely less than {d.margin:g}" if d.equal else ""
            return f"{ahead} is ahead of {behind} by {amount}{small} ({evidence})."
        if d.equal:
            return (
                f"{ahead} and {behind} are equal within {d.margin:g} points of {d.measure.title}: "
                f"in these runs, {order} ({evidence})."
            )
        return (
            f"The data do not decide between {in_sentence(ahead)} and {behind}: in these runs, "
            f"{order} ({evidence})."
        )


def choose(runs: Sequence[Run], diverged: Sequence[Recipe] = ()) -> Recipe:
    """Choose the setting of an arm, by the rule that all searches on CIFAR-10 follow.

    Of all settings whose accuracy, as a mean over the seeds, is within ``TOLERANCE`` of the best,
    the one of lowest mean loss. A setting whose loss stopped being finite with any seed cannot be
    chosen.

    Parameters
    ----------
    runs
        What was tried for the arm, scored on validation images; every setting with the same seeds.
    diverged
        Recipes that left no run, since their loss stopped being finite; any seed stands for all.

    Returns
    -------
    Recipe
        The chosen one, with the first seed.

    Raises
    ------
    ValueError
        If there are no runs, runs were scored on test images, or settings have unequal seeds.
    """
    tried = _tried(runs, diverged)
    means = {recipe: summarize(of_one, "test_loss").mean for recipe, of_one in tried.items()}
    return min(_close(tried), key=means.__getitem__)


def cautious(runs: Sequence[Run], diverged: Sequence[Recipe] = ()) -> Recipe:
    """Choose the lowest learning rate that a search cannot tell from the one of :func:`choose`.

    Of all settings whose accuracy is within ``TOLERANCE`` of the best, and whose mean loss is
    within one standard error of the lowest, the one of lowest learning rate. Where losses are flat,
    :func:`choose` may name a rate that is one step from failing.

    Parameters, results and errors are those of :func:`choose`; and the search needs two seeds, of
    which a standard error can be had.

    References
    ----------
    L. Breiman et al., Classification and Regression Trees, 1984, section 3.4.3: the rule of one
    standard error.
    """
    tried = _tried(runs, diverged)
    losses = {recipe: summarize(tried[recipe], "test_loss") for recipe in _close(tried)}
    lowest = min(losses.values(), key=lambda loss: loss.mean)
    if lowest.n < 2:
        msg = "the search has one seed, and so no standard error; train a second one, or use choose"
        raise ValueError(msg)
    most = lowest.mean + lowest.sd / np.sqrt(lowest.n)
    return min((r for r in losses if losses[r].mean <= most), key=lambda recipe: recipe.lr)


def _tried(runs: Sequence[Run], diverged: Sequence[Recipe]) -> dict[Recipe, list[Run]]:
    """Sort the runs of a search by setting, which carries its first seed, less what diverged."""
    if not runs or not all(run.recipe.validation for run in runs):
        msg = f"settings are chosen by runs on validation images; given: {_scored(runs)}"
        raise ValueError(msg)
    tried: dict[Recipe, list[Run]] = {}
    lost = {replace(recipe, seed=0) for recipe in diverged}
    for run in runs:
        if (setting := replace(run.recipe, seed=0)) not in lost:
            tried.setdefault(setting, []).append(run)
    seeds = {tuple(sorted(run.recipe.seed for run in of_one)) for of_one in tried.values()}
    if len(seeds) > 1:
        listed = "; ".join(", ".join(map(str, s)) for s in sorted(seeds))
        msg = f"the settings were tried with unequal seeds ({listed}); train the missing ones"
        raise ValueError(msg)
    if not tried:
        msg = "no setting is left to choose: all of them diverged; try lower learning rates"
        raise ValueError(msg)
    first = min(next(iter(seeds)))
    return {replace(setting, seed=first): of_one for setting, of_one in tried.items()}


def _close(tried: Mapping[Recipe, Sequence[Run]]) -> list[Recipe]:
    """List the settings whose mean accuracy is within ``TOLERANCE`` of the best."""
    accuracy = {recipe: summarize(of_one).mean for recipe, of_one in tried.items()}
    return [recipe for recipe in tried if accuracy[recipe] >= max(accuracy.values()) - TOLERANCE]


def _scored(runs: Sequence[Run]) -> str:
    return ", ".join(sorted({run.recipe.scored for run in runs})) or "none"


def differences(arms: Arms, measure: Measure | str = "test_accuracy") -> list[Difference]:
    """Compare all pairs of arms: Games and Howell's intervals, for unequal variances.

    All 95% intervals together cover with a probability of 95%, so no further correction is due.
    The arms count as independent: their seeds are shared, but results of one seed hardly move
    together (see :func:`seed_correlations`). For two arms this is Welch's t-test.

    Parameters
    ----------
    arms
        Runs by arm label.
    measure
        A measure, or a key of ``MEASURES``.

    Raises
    ------
    ValueError
        If there are fewer than two arms, or the runs must not be compared.

    References
    ----------
    P. A. Games and J. F. Howell, Pairwise Multiple Comparison Procedures with Unequal N's and/or
    Variances, 1976, https://doi.org/10.3102/10769986001002113
    """
    check_arms(arms)
    if len(arms) < 2:
        msg = f"one arm given ({', '.join(arms)}); a comparison takes two or more"
        raise ValueError(msg)
    found = {label: summarize(runs, measure) for label, runs in arms.items()}
    pairs = list(combinations(found, 2))
    several = {label: tuple(s.values.values()) for label, s in found.items() if s.n > 1}
    tests = dict(zip(combinations(several, 2), _games_howell(*several.values()), strict=True))
    unknown = (float("nan"),) * 3
    margin = MARGINS[next(iter(arms.values()))[0].recipe.data]
    return [
        Difference(
            first=found[a],
            second=found[b],
            pair=(a, b),
            low=low,
            high=high,
            p=p,
            family=len(tests),
            margin=margin,
        )
        for a, b in pairs
        for low, high, p in [tests.get((a, b), unknown)]
    ]


@cache  # the quantiles take a second or two, and pages ask for the same ones again and again
def _games_howell(*samples: tuple[float, ...]) -> list[tuple[float, float, float]]:
    """Ends of the interval and p-value for every pair of samples, NaN for pairs without spread.

    ``scipy.stats.tukey_hsd(..., equal_var=False)`` gives the same, in more than twice the time: it
    works out every quantile for both orders of the pair and for each sample with itself.
    """
    pairs = list(combinations(samples, 2))
    if not pairs:
        return []
    mean = np.array([np.mean(a) - np.mean(b) for a, b in pairs])
    of_means = np.array([[np.var(x, ddof=1) / len(x) for x in pair] for pair in pairs])
    with np.errstate(divide="ignore", invalid="ignore"):  # samples without spread
        freedom = of_means.sum(1) ** 2 / (
            of_means**2 / [[len(x) - 1 for x in pair] for pair in pairs]
        ).sum(1)
        error = np.sqrt(of_means.mean(1))
        ratio = np.abs(mean) / error
    half = error * stats.studentized_range.ppf(CONFIDENCE, len(samples), freedom)
    p = stats.studentized_range.sf(ratio, len(samples), freedom)
    return list(zip(mean - half, mean + half, p, strict=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Correlation:
    """How far two arms move together over the seeds that they share: Pearson's r."""

    pair: tuple[str, str]
    n: int
    r: float
    low: float
    high: float
    """Ends of the 95% interval, by Fisher's transformation."""


def seed_correlations(arms: Arms) -> list[Correlation]:
    """Correlate the test accuracies of all pairs of arms over their shared seeds.

    Only where r is clearly above zero would a test that is paired by seed be the sharper one.

    Parameters
    ----------
    arms
        Runs by arm label; pairs of arms that share fewer than four seeds are left out.
    """
    check_arms(arms)
    values = {label: summarize(runs).values for label, runs in arms.items()}
    found = []
    for pair in combinations(values, 2):
        a, b = (values[label] for label in pair)
        seeds = sorted(a.keys() & b.keys())
        columns = [[of_arm[seed] for seed in seeds] for of_arm in (a, b)]
        if len(seeds) < 4 or not all(np.ptp(column) for column in columns):
            continue
        test = stats.pearsonr(*columns)
        low, high = test.confidence_interval(CONFIDENCE)
        found.append(
            Correlation(
                pair=pair, n=len(seeds), r=float(test.statistic), low=float(low), high=float(high)
            )
        )
    return found


def image_intervals(
    arms: Arms, images: ImageSet, *, resamples: int = 4_000, seed: int = 0
) -> dict[tuple[str, str], tuple[float, float]]:
    """Compute 95% intervals of differences that count the test images as a sample too.

    Both seeds and images are drawn again, with replacement: the seeds of each arm on their own, and
    the same images for all arms. The ends are percentiles of the difference of the mean accuracies,
    for each pair alone.

    Parameters
    ----------
    arms
        Runs by arm label, with predictions.
    images
        The data set whose test images were scored.
    resamples
        Draws.
    seed
        Of the draws.

    References
    ----------
    A. B. Owen, The Pigeonhole Bootstrap, 2007, https://doi.org/10.1214/07-AOAS122
    """
    check_arms(arms)
    rng = np.random.default_rng(seed)
    hits = {
        label: np.stack([~is_wrong(run, images) for run in runs]).astype(np.float32)
        for label, runs in arms.items()
    }
    total = next(iter(hits.values())).shape[1]
    drawn: dict[str, list[npt.NDArray[np.float64]]] = {label: [] for label in hits}
    for _ in range(0, resamples, _DRAWS_AT_A_TIME):
        counts = _drawn_again(rng, total)
        for label, of_arm in hits.items():
            accuracy = 100 * (of_arm @ counts.T) / total  # seeds x draws
            weights = _drawn_again(rng, len(of_arm)).T / len(of_arm)
            drawn[label].append((accuracy * weights).sum(0))
    means = {label: np.concatenate(of_arm)[:resamples] for label, of_arm in drawn.items()}
    tails = [100 * LEVEL / 2, 100 * (1 - LEVEL / 2)]
    found = {}
    for a, b in combinations(means, 2):
        low, high = np.percentile(means[a] - means[b], tails)
        found[a, b] = (float(low), float(high))
    return found


def _drawn_again(rng: np.random.Generator, total: int) -> npt.NDArray[np.float32]:
    """Count how often each of ``total`` things is drawn in as many draws, a row for each time."""
    rows = np.arange(_DRAWS_AT_A_TIME)[:, None] * total
    places = rows + rng.integers(total, size=(_DRAWS_AT_A_TIME, total))
    counts = np.bincount(places.ravel(), minlength=_DRAWS_AT_A_TIME * total)
    return counts.reshape(_DRAWS_AT_A_TIME, total).astype(np.float32)
