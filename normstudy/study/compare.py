"""Measures, intervals and paired tests over runs: what the data decide and what they leave open.

An arm is a list of runs of one recipe that differ in the seed alone. Accuracies are in percent
here, their differences in points, losses in nats.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from normstudy.study.recipes import varied
from normstudy.study.runs import Run
from normstudy.tables import LEVEL, in_sentence, number, p_value

CONFIDENCE = 1 - LEVEL
SMALL_WEIGHT = 1e-3  # a weight below this magnitude counts as switched off

Arms = Mapping[str, Sequence[Run]]


@dataclass(frozen=True, slots=True)
class Measure:
    """A number read from a run: its name in sentences, unit, decimals and better direction."""

    title: str
    unit: str
    digits: int
    better: Literal["higher", "lower"]
    of: Callable[[Run], float]

    def text(self, value: float, *, sign: bool = False) -> str:
        """Write a value with the decimals of this measure and a real minus sign."""
        return number(value, self.digits, sign=sign)


MEASURES = {
    "test_accuracy": Measure("test accuracy", "%", 2, "higher", lambda run: 100 * run.accuracy),
    "test_loss": Measure("test loss", "nats", 4, "lower", lambda run: run.loss),
    "train_accuracy": Measure(
        "training accuracy", "%", 2, "higher", lambda run: 100 * run.clean_train["accuracy"]
    ),
    "train_loss": Measure("training loss", "nats", 4, "lower", lambda run: run.clean_train["loss"]),
    "gap": Measure(
        "training minus test accuracy",
        "points",
        2,
        "lower",
        lambda run: 100 * (run.clean_train["accuracy"] - run.accuracy),
    ),
}
"""What can be compared, after the last epoch; training means without augmentation and dropout."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OverSeeds:
    """What was measured over several seeds; ``sd``, ``low`` and ``high`` are NaN for one seed."""

    measure: Measure
    values: Mapping[int, float]
    """What was measured, by seed."""
    low: float
    high: float
    """Ends of the 95 % interval of the mean, from Student's t distribution."""

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(list(self.values.values())))

    @property
    def sd(self) -> float:
        """Sample standard deviation over the seeds, divisor n - 1."""
        return _sd(self.values)


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary(OverSeeds):
    """One measure over the seeds of an arm."""

    def __str__(self) -> str:
        """Write mean ± sd, or the single value and that it is single."""
        spread = f"± {self.measure.text(self.sd)}" if self.n > 1 else "(n = 1)"
        return f"{self.measure.text(self.mean)} {spread}"

    @property
    def interval(self) -> str:
        """The 95 % interval as text."""
        ends = f"{self.measure.text(self.low)} to {self.measure.text(self.high)}"
        return ends if self.n > 1 else "none (n = 1)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference(OverSeeds):
    """First arm minus second arm, paired by seed.

    ``p`` belongs to the two-sided paired t-test, ``p_holm`` is the same after Holm's correction for
    all ``family`` pairs that were compared. For one seed both are NaN.
    """

    first: str
    second: str
    p: float
    p_holm: float
    family: int

    @property
    def pair(self) -> str:
        """First minus second, as text."""
        return f"{self.first} \N{MINUS SIGN} {self.second}"

    @property
    def decided(self) -> bool:
        """Whether the corrected test tells the arms apart at the 5 % level."""
        return bool(self.p_holm < LEVEL)

    def __str__(self) -> str:
        """Say in one sentence what the data decide."""
        flip = (self.mean < 0) == (self.measure.better == "higher")
        ahead, behind = (self.second, self.first) if flip else (self.first, self.second)
        low, high = (-self.high, -self.low) if self.mean < 0 else (self.low, self.high)
        unit = "points" if self.measure.unit == "%" else self.measure.unit
        amount = f"{self.measure.text(abs(self.mean))} {unit} of {self.measure.title}"
        if self.n == 1:
            order = f"{in_sentence(ahead)} is ahead of {in_sentence(behind)}"
            return f"One seed decides nothing; in it, {order} by {amount}."
        ends = f"{self.measure.text(low)} to {self.measure.text(high)}"
        p = p_value(self.p_holm)
        p = f"p {p}" if p.startswith("<") else f"p = {p}"
        evidence = f"95 % interval {ends}, {self.n} seeds, {p}"
        if self.family > 1:
            evidence += f" after Holm's correction for {self.family} pairs"
        if self.decided:
            return f"{ahead} is ahead of {in_sentence(behind)} by {amount} ({evidence})."
        ahead, behind = in_sentence(ahead), in_sentence(behind)
        return (
            f"The data do not decide between {ahead} and {behind}: {ahead} is ahead by {amount} in "
            f"these runs ({evidence})."
        )


def check_arms(arms: Arms) -> None:
    """Refuse runs that must not be averaged or set beside each other.

    Raises
    ------
    ValueError
        If there is no run, if data sets or test and validation scores are mixed, if the runs of an
        arm differ in more than the seed, or if a seed comes twice.
    """
    if not arms or not all(arms.values()):
        counts = ", ".join(f"{label}: {len(runs)}" for label, runs in arms.items()) or "no arms"
        msg = f"no runs to compare ({counts}); give a dict of arm label to one run or more"
        raise ValueError(msg)
    recipes = [run.recipe for runs in arms.values() for run in runs]
    for name, what in (("data", "data sets"), ("scored", "test and validation scores")):
        values = sorted({str(getattr(recipe, name)) for recipe in recipes})
        if len(values) > 1:
            msg = (
                f"the runs mix {what} ({name}={', '.join(values)}); accepted: runs with one value "
                f"of {name}; compare each group of runs on its own"
            )
            raise ValueError(msg)
    for label, runs in arms.items():
        if changed := [name for name in varied([r.recipe for r in runs]) if name != "seed"]:
            msg = (
                f"the runs of the arm {label!r} differ in {', '.join(changed)}; accepted: runs of "
                "one recipe that differ in the seed alone; give each recipe an arm of its own"
            )
            raise ValueError(msg)
        seeds = sorted(run.recipe.seed for run in runs)
        if len(set(seeds)) < len(seeds):
            msg = f"the arm {label!r} has the seeds {seeds}; give each seed once"
            raise ValueError(msg)


def mean_interval(values: npt.ArrayLike) -> tuple[float, float]:
    """Compute the 95 % t-interval of the mean, mean ± t(.975, n - 1) sd / sqrt(n).

    Examples
    --------
    >>> low, high = mean_interval([1.0, 2.0, 3.0])
    >>> round(low, 3), round(high, 3)
    (-0.484, 4.484)
    """
    numbers = np.asarray(values, dtype=np.float64)
    if len(numbers) < 2:
        return float("nan"), float("nan")
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(numbers) - 1))
    mean, half = float(numbers.mean()), quantile * float(stats.sem(numbers))
    return mean - half, mean + half


def summarize(runs: Sequence[Run], measure: str = "test_accuracy") -> Summary:
    """Summarize one measure over the seeds of an arm.

    Parameters
    ----------
    runs
        Runs of one recipe that differ in the seed.
    measure
        A key of ``MEASURES``.

    Raises
    ------
    ValueError
        If there are no runs, they are of different recipes, or the measure is unknown.
    """
    check_arms({"given": runs})
    chosen = measure_of(measure, runs)
    values = {run.recipe.seed: chosen.of(run) for run in runs}
    low, high = mean_interval(list(values.values()))
    return Summary(measure=chosen, values=values, low=low, high=high)


def _sd(values: Mapping[int, float]) -> float:
    return float(np.std(list(values.values()), ddof=1)) if len(values) > 1 else float("nan")


def sampling_error(run: Run) -> tuple[float, float, float]:
    """Compute how far the accuracy of one run could move with another draw of test images.

    Returns
    -------
    tuple of float
        The binomial standard error sqrt(a (1 - a) / N), and the ends of Wilson's 95 % interval; all
        in percent.
    """
    total = run.num_scored
    test = stats.binomtest(round(run.accuracy * total), total)
    rate, ends = test.statistic, test.proportion_ci(CONFIDENCE, method="wilson")
    error = (rate * (1 - rate) / total) ** 0.5
    return 100 * float(error), 100 * float(ends.low), 100 * float(ends.high)


def holm(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Correct p-values for the number of tests, step by step down from the smallest.

    References
    ----------
    S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return corrected


def differences(
    arms: Arms, measure: str = "test_accuracy", pairs: Iterable[tuple[str, str]] | None = None
) -> list[Difference]:
    """Compare arms pair by pair over the seeds that both have, and correct for the number of pairs.

    Parameters
    ----------
    arms
        Runs by arm label.
    measure
        A key of ``MEASURES``.
    pairs
        Labels of the arms to compare, decided on before looking; all pairs by default.

    Raises
    ------
    ValueError
        If an arm of a pair is unknown, two arms share no seed, or the runs must not be compared.
    """
    check_arms(arms)
    chosen = measure_of(measure, next(iter(arms.values())))
    family = list(combinations(arms, 2) if pairs is None else pairs)
    found = [_difference(arms, first, second, chosen) for first, second in family]
    corrected = holm([difference.p for difference in found])
    return [
        replace(difference, p_holm=float(p), family=len(found))
        for difference, p in zip(found, corrected, strict=True)
    ]


def _difference(arms: Arms, first: str, second: str, measure: Measure) -> Difference:
    for label in (first, second):
        if label not in arms:
            msg = f"the arm {label!r} is unknown; accepted: {', '.join(arms)}"
            raise ValueError(msg)
    a, b = ({run.recipe.seed: measure.of(run) for run in arms[key]} for key in (first, second))
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        msg = (
            f"{first} has the seeds {sorted(a)} and {second} has {sorted(b)}; a paired comparison "
            "takes seeds that both have: train the missing ones"
        )
        raise ValueError(msg)
    values = {seed: a[seed] - b[seed] for seed in seeds}
    paired = np.array(list(values.values()))
    mean, n, p = float(paired.mean()), len(paired), float("nan")
    if n > 1:
        error = _sd(values) / n**0.5
        # without any spread t is infinite, or undefined for arms that are equal in every seed
        t = abs(mean) / error if error else (float("inf") if mean else 0.0)
        p = float(2 * stats.t.sf(t, n - 1))
    low, high = mean_interval(paired)
    return Difference(
        first=first,
        second=second,
        measure=measure,
        values=values,
        low=low,
        high=high,
        p=p,
        p_holm=p,
        family=1,
    )


def penalty_share(run: Run) -> npt.NDArray[np.float64]:
    """Compute the share of the L1 penalty in the training loss, penalty included, for each epoch.

    Returns
    -------
    ndarray
        Shape (E,), fractions in [0, 1]; all 0 for a recipe with ``l1=0``.
    """
    penalty = np.array(run.history["penalty"])
    return np.asarray(penalty / (penalty + np.array(run.history["train_loss"])))


def small_weights(run: Run, below: float = SMALL_WEIGHT) -> float:
    """Read from the quantiles which fraction of the penalized weights is smaller than ``below``."""
    quantiles = run.weight_quantiles.astype(np.float64)
    return float(np.interp(below, quantiles, np.linspace(0, 1, len(quantiles)), left=0, right=1))


def measure_of(name: str, runs: Sequence[Run]) -> Measure:
    """Look up a measure, with the name of what these runs were scored on in its title.

    Raises
    ------
    ValueError
        If the measure is unknown.
    """
    if name not in MEASURES:
        msg = f"the measure {name!r} is unknown; accepted: {', '.join(MEASURES)}"
        raise ValueError(msg)
    scored = runs[0].recipe.scored
    return replace(MEASURES[name], title=MEASURES[name].title.replace("test", scored))
