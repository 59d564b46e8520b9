"""How far models fail on the same images: two seeds of one arm, and two arms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

import numpy as np
from scipy import stats

from normstudy.study.compare import MARGINS
from normstudy.study.data import ImageSet
from normstudy.study.measures import summarize
from normstudy.study.mistakes import is_wrong
from normstudy.study.runs import Run
from normstudy.tables import LEVEL, Table, number

Arms = Mapping[str, Sequence[Run]]
Pairwise = Mapping[tuple[str, str], Sequence[tuple[int, int, float]]]
"""A number for every two runs of unequal seeds: by pair of arms, (seed, seed, number)."""


def kappa(first: Run, second: Run, images: ImageSet) -> float:
    """Compute how far two models fail on the same images, beyond chance: Cohen's kappa.

    The two are treated as raters who call each test image right or wrong. 0 is what independent
    mistakes give, 1 means the same mistakes.

    References
    ----------
    J. Cohen, A Coefficient of Agreement for Nominal Scales, 1960;
    https://scikit-learn.org/stable/modules/generated/sklearn.metrics.cohen_kappa_score.html
    """
    from sklearn.metrics import cohen_kappa_score  # noqa: PLC0415 - slow to import

    return float(cohen_kappa_score(is_wrong(first, images), is_wrong(second, images)))


def kappas(
    first: Sequence[Run], second: Sequence[Run], images: ImageSet
) -> list[tuple[int, int, float]]:
    """Compute :func:`kappa` for all pairs of unequal seeds: (seed, seed, kappa).

    Runs of equal seeds began from the same weights and saw the same batches, which two arms would
    share and two seeds of one arm cannot. Within one arm each pair comes once.
    """
    return [
        (a.recipe.seed, b.recipe.seed, kappa(a, b, images))
        for a in first
        for b in second
        if a.recipe.seed != b.recipe.seed
        and (a.recipe.seed < b.recipe.seed or replace(a.recipe, seed=b.recipe.seed) != b.recipe)
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Apart:
    """By how much a number of two arms is lower than that of two seeds of one of them."""

    pair: tuple[str, str]
    size: float
    """Of two seeds of one arm, the mean of both arms, minus that of the two arms."""
    half: float
    """Half of the 95% interval of ``size``, for all pairs at once; NaN for less than 3 seeds."""

    @property
    def decided(self) -> bool:
        """Whether chance alone does not explain it."""
        return self.size > self.half


def apart(arms: Arms, images: ImageSet) -> list[Apart]:
    """Compare the agreement of every two arms with that of two seeds of one arm: :func:`distances`.

    Arms of unequal accuracy cannot agree as well as two of one accuracy: a part of ``size`` may be
    the difference in accuracy, and no more.
    """
    return distances(_kappas(arms, images))


def means_of(found: Pairwise) -> dict[tuple[str, str], float]:
    """Take the mean over all pairs of runs, for each pair of arms."""
    return {pair: float(np.mean([value for *_, value in of])) for pair, of in found.items()}


def distances(found: Pairwise) -> list[Apart]:
    """Compare a number of every two arms with that of two seeds of one arm.

    The standard error is that of the jackknife, which leaves out one seed at a time, of both arms;
    the intervals are Student's, corrected by Bonferroni for the number of pairs.

    References
    ----------
    B. Efron and C. Stein, The jackknife estimate of variance, 1981,
    https://doi.org/10.1214/aos/1176345462
    """
    pairs = [(a, b) for a, b in found if a != b and {(a, a), (b, b)} <= found.keys()]
    return [_distance(found, pair, LEVEL / len(pairs)) for pair in pairs]


def _distance(found: Pairwise, pair: tuple[str, str], level: float) -> Apart:
    a, b = pair

    def without(gone: int | None) -> float:
        one, other, both = (
            np.mean([value for *seeds, value in found[who] if gone not in seeds])
            for who in ((a, a), (b, b), pair)
        )
        return float((one + other) / 2 - both)

    seeds = sorted({seed for *two, _ in found[pair] for seed in two})
    half = float("nan")
    if (n := len(seeds)) > 2:
        error = (n - 1) / np.sqrt(n) * np.std([without(seed) for seed in seeds], ddof=1)
        half = float(stats.t.ppf(1 - level / 2, n - 1) * error)
    return Apart(pair=pair, size=without(None), half=half)


def table(arms: Arms, images: ImageSet) -> Table:
    """Tabulate kappa of two arms, and of an arm with itself, over unequal seeds; highest first.

    The last columns hold what :func:`apart` finds.
    """
    header = (
        *("who is compared", "pairs of runs", "mean kappa"),
        *("less than two seeds of one arm by", "95% interval"),
    )
    found = _kappas(arms, images)
    less = {one.pair: one for one in distances(found)}
    means = means_of(found)
    rows = []
    for pair in sorted(found, key=lambda pair: -means[pair]):
        who = f"{pair[0]}, two seeds" if pair[0] == pair[1] else " and ".join(pair)
        columns = ["\N{EN DASH}", "\N{EN DASH}"]
        if one := less.get(pair):
            ends = (number(one.size + sign * one.half, 3) for sign in (-1, 1))
            known = not np.isnan(one.half)
            columns = [number(one.size, 3), " to ".join(ends) if known else "none"]
        rows.append((who, str(len(found[pair])), number(means[pair], 3), *columns))
    return Table(header, tuple(rows))


def in_short(arms: Arms, images: ImageSet) -> str:
    """Say whether different norms fail on the same images as far as two seeds of one arm do."""
    norms = {arm: runs[0].recipe.norm for arm, runs in arms.items()}
    found = _kappas(arms, images)
    within = [mean for (a, b), mean in means_of(found).items() if a == b]
    across = [one for one in distances(found) if norms[one.pair[0]] != norms[one.pair[1]]]
    if not across:
        return "these runs are of one norm, or of one seed an arm: there is nothing to compare"
    decided = sum(one.decided for one in across)
    margin = MARGINS[next(iter(arms.values()))[0].recipe.data]
    near, rest = (
        [one for one in across if (step(one, arms) < margin) == close] for close in (True, False)
    )
    head = "these runs do not show that different norms fail on different images"
    if any(one.decided for one in near):  # arms of unequal accuracy may differ for that alone
        head = "different norms fail on somewhat different images"
    steps = {
        f"two norms within {margin:g} points of accuracy": near,
        "two further apart, who may differ for that alone": rest,
    }
    kinds = {
        f"by {_range([one.size for one in of], 3)} between {who}": of for who, of in steps.items()
    }
    lower = ", and ".join(words for words, some in kinds.items() if some)
    return (
        f"{head}. Kappa (1: the same mistakes, 0: no more in common than by "
        f"chance) is {_range(within, 2)} between two seeds of one arm. It is lower {lower}. "
        f"That is more than chance in {decided} of {len(across)} pairs of arms."
    )


def step(one: Apart, arms: Arms) -> float:
    """Distance between the mean accuracies of two arms, in points."""
    first, second = (summarize(arms[arm]).mean for arm in one.pair)
    return abs(first - second)


def _range(values: Sequence[float], digits: int) -> str:
    if not values:
        return ""
    return f"{number(min(values), digits)} to {number(max(values), digits)}"


def _kappas(arms: Arms, images: ImageSet) -> Pairwise:
    """Compute kappa over unequal seeds, for every pair of arms that has such seeds."""
    pairs = combinations_with_replacement(arms, 2)
    found = {(a, b): kappas(arms[a], arms[b], images) for a, b in pairs}
    return {pair: values for pair, values in found.items() if values}
