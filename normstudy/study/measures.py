"""Measures over the seeds of an arm: means, spreads and intervals.

An arm is a list of runs of one recipe that differ in the seed alone. Accuracies are in percent,
losses in nats.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from normstudy.study.recipes import NUM_CLASSES, varied
from normstudy.study.runs import Run
from normstudy.tables import LEVEL, interval, number

CONFIDENCE = 1 - LEVEL
CHANCE = 100 / NUM_CLASSES  # percent
SMALL_WEIGHT = 1e-3  # a weight below this magnitude counts as small

Arms = Mapping[str, Sequence[Run]]


@dataclass(frozen=True, slots=True)
class Measure:
    """A number read from a run: its name in sentences, unit, decimals and better direction."""

    title: str
    unit: str
    digits: int
    better: Literal["higher", "lower"]
    of: Callable[[Run], float]
    chance: float | None = None
    """What a guess among the classes gets; None where that is not the question."""

    def text(self, value: float, *, sign: bool = False) -> str:
        """Write a value with the decimals of this measure and a real minus sign."""
        return number(value, self.digits, sign=sign)


MEASURES = {
    "test_accuracy": Measure(
        "test accuracy", "%", 2, "higher", lambda run: 100 * run.accuracy, CHANCE
    ),
    "test_loss": Measure("test loss", "nats", 4, "lower", lambda run: run.loss),
    "train_accuracy": Measure(
        "training accuracy", "%", 2, "higher", lambda run: 100 * run.clean_train["accuracy"], CHANCE
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
class Summary:
    """One measure over the seeds of an arm; ``sd``, ``low`` and ``high`` are NaN for one seed."""

    measure: Measure
    values: Mapping[int, float]
    """What was measured, by seed."""
    low: float
    high: float
    """Ends of the 95% interval of the mean, from Student's t distribution."""

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
        return float(np.std(list(self.values.values()), ddof=1)) if self.n > 1 else float("nan")

    def __str__(self) -> str:
        """Write mean ± sd, or the single value and that it is single."""
        spread = f"± {self.measure.text(self.sd)}" if self.n > 1 else "(n = 1)"
        return f"{self.measure.text(self.mean)} {spread}"

    @property
    def interval(self) -> str:
        """The 95% interval as text."""
        ends = interval(self.low, self.high, self.measure.digits)
        return ends if self.n > 1 else "none (n = 1)"


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
    """Compute the 95% t-interval of the mean, mean ± t(.975, n - 1) sd / sqrt(n).

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


def welch(means: Sequence[Summary]) -> tuple[float, float]:
    """Compute the standard error of a sum or difference of independent means, and its freedom.

    Variances need not be equal; the degrees of freedom are Satterthwaite's. Both are NaN where a
    mean has a single seed, or none has any spread.

    References
    ----------
    B. L. Welch, The generalization of 'Student's' problem when several different population
    variances are involved, 1947, https://doi.org/10.1093/biomet/34.1-2.28
    """
    variances = np.array([mean.sd**2 / mean.n for mean in means])
    total = float(variances.sum())
    if not total > 0:  # nor is NaN
        return float("nan"), float("nan")
    freedom = total**2 / (variances**2 / [mean.n - 1 for mean in means]).sum()
    return float(np.sqrt(total)), float(freedom)


def summarize(runs: Sequence[Run], measure: Measure | str = "test_accuracy") -> Summary:
    """Summarize one measure over the seeds of an arm.

    Parameters
    ----------
    runs
        Runs of one recipe that differ in the seed.
    measure
        A measure, or a key of ``MEASURES``.

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


def sampling_error(runs: Sequence[Run]) -> float:
    """Compute how far the accuracy of one run would scatter over other draws of test images.

    That is the binomial standard error sqrt(a (1 - a) / N), in percent, with the mean accuracy a of
    runs of one recipe.
    """
    accuracy = float(np.mean([run.accuracy for run in runs]))
    return 100 * float(np.sqrt(accuracy * (1 - accuracy) / runs[0].num_scored))


def penalty_share(run: Run) -> npt.NDArray[np.float64]:
    """Compute the share of the L1 penalty in the training loss, penalty included, for each epoch.

    Returns
    -------
    ndarray
        Shape (E,), fractions in [0, 1]; all 0 for a recipe with ``l1=0``.
    """
    penalty = np.array(run.history["penalty"])
    return np.asarray(penalty / (penalty + np.array(run.history["train_loss"])))


def small_weights(run: Run) -> float:
    """Read from the quantiles which fraction of the weights is below ``SMALL_WEIGHT``."""
    quantiles, places = run.weight_quantiles.astype(np.float64), len(run.weight_quantiles)
    return float(np.interp(SMALL_WEIGHT, quantiles, np.linspace(0, 1, places), left=0, right=1))


def measure_of(name: Measure | str, runs: Sequence[Run]) -> Measure:
    """Look up a measure, with the name of what these runs were scored on in its title.

    One that is given as such is returned as it is.

    Raises
    ------
    ValueError
        If the measure is unknown.
    """
    if isinstance(name, Measure):
        return name
    if name not in MEASURES:
        msg = f"the measure {name!r} is unknown; accepted: {', '.join(MEASURES)}"
        raise ValueError(msg)
    scored = runs[0].recipe.scored
    return replace(MEASURES[name], title=MEASURES[name].title.replace("test", scored))
