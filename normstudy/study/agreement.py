"""Two models on the same images, of one arm or of two: how far they agree, what both gain."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
    """Compute :func:`kappa` for every two runs of unequal seeds, of two arms or of one.

    Runs of equal seeds began from the same weights and saw the same batches, which two arms would
    share and two seeds of one arm cannot. Within one arm each pair comes once. Pairs of arms
    without unequal seeds are left out.
    """
    return _of_unequal_seeds(arms, lambda one, other: kappa(one, other, images))


def _of_unequal_seeds(arms: Arms, compare: Callable[[Run, Run], float]) -> Pairwise:
    found = {}
    for one, other in combinations_with_replacement(arms, 2):
        runs = combinations(arms[one], 2) if one == other else product(arms[one], arms[other])
        values = [
            (a.recipe.seed, b.recipe.seed, compare(a, b))
            for a, b in runs
            if a.recipe.seed != b.recipe.seed
        ]
        if values:
            found[one, other] = values
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Apart:
    """By how much a number of two arms is lower than that of two seeds of one arm."""

    pair: tuple[str, str]
    size: float
    """The number of two seeds of one arm, minus that of the two arms."""
    half: float
    """Half of the 95% interval of ``size``, for all pairs at once; NaN for less than 3 seeds."""

    @property
    def decided(self) -> bool:
        """Whether chance alone does not explain that it is lower."""
        return self.size > self.half

    @property
    def turned(self) -> "Apart":
        """By how much it is higher."""
        return replace(self, size=-self.size)

    def ends(self, digits: int) -> str:
        """Write the interval."""
        return interval(self.size - self.half, self.size + self.half, digits)


def means_of(found: Pairwise) -> dict[tuple[str, str], float]:
    """Take the mean over all pairs of runs, for each pair of arms."""
    return {pair: float(np.mean([value for *_, value in of])) for pair, of in found.items()}


def distances(found: Pairwise) -> list[Apart]:
    """Compare a number of every two arms with that of two seeds of one arm, the mean of both arms.

    Arms of unequal accuracy cannot agree as well as two of one accuracy: a part of ``size`` may be
    the difference in accuracy, and no more.

    The standard error is that of the jackknife, which leaves out one seed at a time, of both arms;
    the intervals are Student's, corrected by Bonferroni for the number of pairs.

    References
    ----------
    B. Efron and C. Stein, The jackknife estimate of variance, 1981,
    https://doi.org/10.1214/aos/1176345462
    """
    return _distances(found, lambda a, b: ((a, a), (b, b)))


def _distances(
    found: Pairwise, beside: Callable[[str, str], Sequence[tuple[str, str]]]
) -> list[Apart]:
    pairs = [(a, b) for a, b in found if a != b and {(a, a), (b, b)} <= found.keys()]
    return [_distance(found, pair, beside(*pair), LEVEL / len(pairs)) for pair in pairs]


def _distance(
    found: Pairwise, pair: tuple[str, str], beside: Sequence[tuple[str, str]], level: float
) -> Apart:
    def without(gone: int | None) -> float:
        means = {
            who: np.mean([value for *seeds, value in found[who] if gone not in seeds])
            for who in (pair, *beside)
        }
        return float(np.mean([means[who] for who in beside]) - means[pair])

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
            columns = [number(one.size, 3), one.ends(3)]
        rows.append((who, str(len(found[pair])), number(means[pair], 3), *columns))
    return Table(header, tuple(rows))


def in_short(found: Pairwise, arms: Arms) -> str:
    """Say whether different norms fail on the same images as far as two seeds of one arm do."""
    within = [mean for (a, b), mean in means_of(found).items() if a == b]
    kinds = _kinds(distances(found), arms)
    across = [one for of in kinds.values() for one in of]
    if not across:
        return "these runs are of one norm, or of one seed an arm: there is nothing to compare"
    head = "these runs do not show that different norms fail on different images"
    if any(one.decided for one in kinds[NORMS]):  # others may differ for something else
        head = "different norms fail on somewhat different images"
    lower = ", and ".join(
        f"by {_sizes(of, 3)} between {_who(kind, of, arms)}" for kind, of in kinds.items() if of
    )
    return (
        f"{head}. Kappa (1: the same mistakes, 0: no more in common than by "
        f"chance) is {_range(within, 2)} between two seeds of one arm. It is lower {lower}. "
        f"That is more than chance in {sum(one.decided for one in across)} of {len(across)} pairs "
        "of arms."
    )


NORMS = "two norms within {margin:g} points of accuracy"
"""Pairs of arms that tell whether norms differ."""
_NONE = "a norm and none that close"
_FAR = "two that are further apart, which may differ for that alone"


def _kinds(found: Sequence[Apart], arms: Arms) -> dict[str, list[Apart]]:
    """Sort pairs of arms of unequal norms by what else may set them apart."""
    kinds: dict[str, list[Apart]] = {NORMS: [], _NONE: [], _FAR: []}
    for one in found:
        norms = {arms[arm][0].recipe.norm for arm in one.pair}
        if len(norms) == 2:
            close = accuracy_gap(one, arms) < _margin(arms)
            kinds[_FAR if not close else _NONE if "none" in norms else NORMS].append(one)
    return kinds


def _margin(arms: Arms) -> float:
    return MARGINS[next(iter(arms.values()))[0].recipe.data]


def _who(kind: str, of: Sequence[Apart], arms: Arms) -> str:
    """Name a single pair, or say of what kind several are."""
    if kind == NORMS and len(of) == 1:
        return f"{' and '.join(map(in_sentence, of[0].pair))}, which are about equally accurate"
    return kind.format(margin=_margin(arms))


def _sizes(of: Sequence[Apart], digits: int, *, sign: bool = False) -> str:
    """Write the interval of a single pair, or the range of several."""
    if len(of) == 1:
        return f"{number(of[0].size, digits, sign=sign)} (95% interval {of[0].ends(digits)})"
    return _range([one.size for one in of], digits, sign=sign)


def accuracy_gap(one: Apart, arms: Arms) -> float:
    """Distance between the mean accuracies of two arms, in points."""
    first, second = (summarize(arms[arm]).mean for arm in one.pair)
    return abs(first - second)


def _range(values: Sequence[float], digits: int, *, sign: bool = False) -> str:
    return " to ".join(number(f(values), digits, sign=sign) for f in (min, max))


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


def ensembles(arms: Arms, images: ImageSet) -> Pairwise:
    """Compute :func:`together` for the same pairs of runs as :func:`kappas`.

    With every pair there, what a single seed adds to all of its pairs is the same for two arms as
    for two seeds of them, so that it does not widen the intervals of :func:`distances`.
    """
    return _of_unequal_seeds(arms, lambda one, other: together(one, other, images))


def behind_better(found: Pairwise) -> list[Apart]:
    """Compare every two arms with two seeds of the better one, as :func:`distances` does.

    The better one is picked by the same runs, which makes two arms of equal accuracy look behind.
    """
    means = means_of(found)
    return _distances(found, lambda a, b: [max(((a, a), (b, b)), key=means.__getitem__)])


def ensemble_table(found: Pairwise) -> Table:
    """Tabulate pairs of networks that answer together, best first, with what they gain.

    Beside two seeds of one arm as a mean of both, with the intervals of :func:`distances`, and
    beside two seeds of the better arm.
    """
    means = means_of(found)
    gains = {one.pair: one.turned for one in distances(found)}
    over_better = {one.pair: one.turned for one in behind_better(found)}
    rows = []
    for a, b in sorted(found, key=lambda pair: -means[pair]):
        cells = ["\N{EN DASH}"] * 4
        if (a, b) in gains:
            both = (gains[a, b], over_better[a, b])
            cells = [text for one in both for text in (number(one.size, 2, sign=True), one.ends(2))]
        who = f"{a}, two seeds" if a == b else f"{a} and {in_sentence(b)}"
        rows.append((who, str(len(found[a, b])), f"{means[a, b]:.2f}", *cells))
    header = (
        *("who answers", "pairs of runs", "accuracy, %"),
        *("gain over two seeds, mean of both arms, points", "95% interval"),
        *("gain over two seeds of the better arm, points", "95% interval"),
    )
    return Table(header, tuple(rows))


def ensembles_in_short(found: Pairwise, arms: Arms) -> str:
    """Say whether two norms together answer better than two seeds of one norm.

    Only norms of nearly the same accuracy tell: of two unequal ones, the better is often the surer
    one as well, so that its answers count more often.
    """
    kinds = _kinds([one.turned for one in distances(found)], arms)
    if not (near := kinds[NORMS]):
        return (
            f"No two arms of unequal norms lie within {_margin(arms):g} points, so nothing can be "
            "said of what unequal norms gain together."
        )
    who = _who(NORMS, near, arms)
    surely = f" ({sum(one.size > one.half for one in near)} of {len(near)} by more than chance)"
    across = {one.pair for of in kinds.values() for one in of}
    behind = [one for one in behind_better(found) if one.pair in across]
    worse, better = (sum(one.decided for one in of) for of in (behind, [b.turned for b in behind]))
    return (
        f"{who[0].upper()}{who[1:]}, gain {_sizes(near, 2, sign=True)} points by answering "
        f"together{surely * (len(near) > 1)}, over two seeds of one of them as a mean of both. Of "
        f"all {len(behind)} pairs of unequal norms, {worse} are behind two seeds of the better "
        f"norm by more than chance, and {better} ahead of them."
    )
