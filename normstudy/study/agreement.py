"""Two models on the same images, of one arm or of two: how far they agree, what both gain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement, product

import numpy as np
from scipy import stats

from normstudy.study.compare import MARGINS
from normstudy.study.data import ImageSet
from normstudy.study.measures import Arms, summarize
from normstudy.study.mistakes import is_wrong
from normstudy.study.runs import Run
from normstudy.tables import LEVEL, Table, in_sentence, interval, number

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


def kappas(arms: Arms, images: ImageSet) -> Pairwise:
    """Compute :func:`kappa` for every pair of arms, and of an arm with itself, over unequal seeds.

    Runs of equal seeds began from the same weights and saw the same batches, which two arms would
    share and two seeds of one arm cannot. Within one arm each pair comes once. Pairs of arms
    without unequal seeds are left out.
    """
    found = {}
    for one, other in combinations_with_replacement(arms, 2):
        same = one == other
        runs = combinations(arms[one], 2) if same else product(arms[one], arms[other])
        values = [
            (a.recipe.seed, b.recipe.seed, kappa(a, b, images))
            for a, b in runs
            if a.recipe.seed != b.recipe.seed
        ]
        if values:
            found[one, other] = values
    return found


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


def means_of(found: Pairwise) -> dict[tuple[str, str], float]:
    """Take the mean over all pairs of runs, for each pair of arms."""
    return {pair: float(np.mean([value for *_, value in of])) for pair, of in found.items()}


def distances(found: Pairwise) -> list[Apart]:
    """Compare a number of every two arms with that of two seeds of one arm.

    Arms of unequal accuracy cannot agree as well as two of one accuracy: a part of ``size`` may be
    the difference in accuracy, and no more.

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


def table(found: Pairwise) -> Table:
    """Tabulate :func:`kappas`, highest first; the last columns hold :func:`distances`."""
    header = (
        *("who is compared", "pairs of runs", "mean kappa"),
        *("less than two seeds of one arm by", "95% interval"),
    )
    less = {one.pair: one for one in distances(found)}
    means = means_of(found)
    rows = []
    for pair in sorted(found, key=lambda pair: -means[pair]):
        who = f"{pair[0]}, two seeds" if pair[0] == pair[1] else " and ".join(pair)
        columns = ["\N{EN DASH}", "\N{EN DASH}"]
        if one := less.get(pair):
            columns = [number(one.size, 3), interval(one.size - one.half, one.size + one.half, 3)]
        rows.append((who, str(len(found[pair])), number(means[pair], 3), *columns))
    return Table(header, tuple(rows))


def in_short(found: Pairwise, arms: Arms) -> str:
    """Say whether different norms fail on the same images as far as two seeds of one arm do."""
    norms = {arm: runs[0].recipe.norm for arm, runs in arms.items()}
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
        "two that are further apart, which may differ for that alone": rest,
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

    Every seed is paired with the next one, and the last with the first, unless they were paired:
    (seed, seed, accuracy in percent).
    """
    found = {}
    for a, b in combinations_with_replacement(arms, 2):
        seeds = {run.recipe.seed: run for run in arms[b]}
        order = sorted(seeds)
        following = dict(zip(order, order[1:] + order[:1], strict=True))
        if a == b and len(order) == 2:
            del following[order[1]]
        pairs = [
            (run, seeds[following[run.recipe.seed]])
            for run in arms[a]
            if run.recipe.seed in following and len(order) > 1
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
    :func:`distances`. The last column is over those of the better arm.
    """
    means = means_of(found)
    gains = {one.pair: one for one in distances(found)}
    rows = []
    for a, b in sorted(found, key=lambda pair: -means[pair]):
        cells = ["\N{EN DASH}"] * 3
        if one := gains.get((a, b)):
            cells = [
                number(-one.size, 2, sign=True),
                interval(-one.size - one.half, -one.size + one.half, 2),
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
        f"Two unequal norms within {margin:g} points of each other, answering together, gain "
        f"{number(gains[0], 2, sign=True)} to {number(gains[-1], 2, sign=True)} points over two "
        f"seeds of one norm, as a mean of both; in {surely} of {len(near)} pairs that is more than "
        "chance. Two seeds of the better norm do better than both norms in "
        f"{sum(value > 0 for value in less)} of {len(less)} pairs."
    )
