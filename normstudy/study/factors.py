"""Norm and regularizer taken apart: a two-way analysis of variance of the accuracies of runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from normstudy.study.measures import Arms, check_arms
from normstudy.study.recipes import Recipe
from normstudy.tables import (
    LEVEL,
    NORM_NAMES,
    Table,
    in_sentence,
    interval,
    number,
    p_equals,
    p_value,
)

NONE = "none"

_Asked = tuple[tuple[str, str], str, Sequence[str]]  # a pair, where, and over which others the mean


def regularizer_of(recipe: Recipe) -> str:
    """Name what pulls at the weights: ``"none"``, ``"L1"``, ``"L2"`` or ``"L1 + L2"``."""
    on = {"L1": recipe.l1 > 0, "L2": recipe.weight_decay > 0}
    return " + ".join(name for name, is_on in on.items() if is_on) or NONE


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """A difference in test accuracy that one factor makes, in points.

    The 95% interval and the p-value hold for all differences of its table at once (Bonferroni).
    """

    pair: tuple[str, str]
    """Two regularizers or two norms, the first less the second."""
    at: str
    """The value of the other factor; empty for the mean over all of its values."""
    mean: float
    low: float
    high: float
    p: float

    @property
    def title(self) -> str:
        """First minus second, as text."""
        return " \N{MINUS SIGN} ".join(self.pair)

    @property
    def size(self) -> str:
        """The difference and its interval, as text."""
        return f"{number(self.mean, 2, sign=True)} points, 95% interval {self.interval}"

    @property
    def interval(self) -> str:
        """The interval as text."""
        return interval(self.low, self.high, 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What one source contributes to the scatter of the runs."""

    share: float
    """Of the sum of squares, as a fraction."""
    by_chance: float
    """The share that it would have on average if nothing but the seed mattered."""
    p: float
    """p-value of its F test; NaN for the seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Analysis:
    """Accuracies taken apart into norm, regularizer, their interaction and the seed."""

    parts: Mapping[str, Part]
    regularizers: tuple[Effect, ...]
    """Of each regularizer against none: over all norms, then norm by norm."""
    norms: tuple[Effect, ...]
    """Of each pair of norms: over all regularizers, then without any."""
    runs: int


def analyse(arms: Arms) -> Analysis:
    """Take test accuracies after the last epoch apart, by least squares.

    The norms and the regularizers are read from the recipes. Every norm must have been trained with
    every regularizer and the same number of seeds, so that the parts add up. All intervals rest on
    one variance, which is taken to be that of the seeds in every arm.

    Raises
    ------
    ValueError
        If the runs must not be set beside each other, a combination is missing, or numbers of
        seeds differ.

    References
    ----------
    R. A. Fisher, The Design of Experiments, 1935, chapter VI (factorial designs).
    """
    from statsmodels.formula.api import ols  # noqa: PLC0415 - slow to import
    from statsmodels.regression.linear_model import OLS  # noqa: PLC0415
    from statsmodels.stats.anova import anova_lm  # noqa: PLC0415

    frame = _full_table(arms)
    norms, regularizers = (list(dict.fromkeys(frame[name])) for name in ("norm", "regularizer"))
    table = anova_lm(ols("accuracy ~ C(norm) * C(regularizer)", data=frame).fit())
    names = ("norm", "regularizer", "interaction", "seed")
    columns = (table["sum_sq"] / table["sum_sq"].sum(), table["df"] / table["df"].sum())
    parts = {
        name: Part(share=float(share), by_chance=float(by_chance), p=float(p))
        for name, share, by_chance, p in zip(names, *columns, table["PR(>F)"], strict=True)
    }
    places = [(norm, regularizer) for norm in norms for regularizer in regularizers]
    index = {place: i for i, place in enumerate(places)}
    at = [index[place] for place in zip(frame["norm"], frame["regularizer"], strict=True)]
    fit = OLS(frame["accuracy"].to_numpy(), np.eye(len(places))[at]).fit()  # the means of the arms

    def effects_of(asked: Sequence[_Asked], *, of_norms: bool) -> tuple[Effect, ...]:
        found = []
        for pair, at, over in asked:
            weights = np.zeros(len(places))
            for sign, name in zip((1, -1), pair, strict=True):
                for other in over:
                    weights[index[(name, other) if of_norms else (other, name)]] = sign / len(over)
            found.append(_effect(fit, weights, pair, at, family=len(asked)))
        return tuple(found)

    others = [(name, NONE) for name in regularizers if name != NONE]
    pairs = list(combinations(norms, 2))
    alone = [(pair, norm, [norm]) for pair in others for norm in norms]
    plain = [(pair, NONE, [NONE]) for pair in pairs]
    return Analysis(
        parts=parts,
        regularizers=effects_of([*((p, "", norms) for p in others), *alone], of_norms=False),
        norms=effects_of([*((p, "", regularizers) for p in pairs), *plain], of_norms=True),
        runs=len(frame),
    )


def _full_table(arms: Arms) -> Any:
    """Put accuracies into a data frame, and refuse a table with holes."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    check_arms(arms)
    rows = [
        (NORM_NAMES[run.recipe.norm], regularizer_of(run.recipe), 100 * run.accuracy)
        for runs in arms.values()
        for run in runs
    ]
    frame = pd.DataFrame(rows, columns=["norm", "regularizer", "accuracy"])
    norms, regularizers = (list(dict.fromkeys(frame[name])) for name in ("norm", "regularizer"))
    cells = frame.groupby(["norm", "regularizer"]).size()
    whole = len(cells) == len(norms) * len(regularizers) and cells.nunique() == 1
    if not whole or NONE not in regularizers or cells.iloc[0] < 2:
        counts = "; ".join(f"{n}, {r}: {size}" for (n, r), size in cells.items())
        msg = (
            f"the runs are no full table ({counts}); give every norm with every regularizer, none "
            "among them, and as many seeds, two or more"
        )
        raise ValueError(msg)
    return frame


def _effect(fit: Any, weights: Any, pair: tuple[str, str], at: str, *, family: int) -> Effect:
    """Test one weighted sum of the means of the arms, of as many as the family has."""
    test = fit.t_test(weights)
    low, high = test.conf_int(LEVEL / family)[0]
    mean, alone = (float(np.squeeze(value)) for value in (test.effect, test.pvalue))
    p = min(1.0, family * alone)
    return Effect(pair=pair, at=at, mean=mean, low=float(low), high=float(high), p=p)


def in_short(found: Analysis) -> str:
    """Say whether the norm matters, whether the regularizer does, and whether one asks the other.

    The sizes are those of the largest difference between norms, and of the largest from none, each
    as a mean over the other factor.
    """
    lines = [f"{found.runs} runs, taken apart:"]
    for name, effects, of in (
        ("norm", found.norms, ""),
        ("regularizer", found.regularizers, " from none"),
    ):
        largest = max((e for e in effects if not e.at), key=lambda e: abs(e.mean))
        lines.append(
            f"{_matters(f'the {name}', found.parts[name])}; "
            f"the largest difference{of} is {_in_line(largest)} ({largest.size});"
        )
    both = found.parts["interaction"]
    depends = "depends" if both.p < LEVEL else "is not shown to depend"
    lines.append(f"what a regularizer changes {depends} on the norm ({p_equals(both.p)}).")
    return "\n".join(lines)


def _matters(what: str, part: Part) -> str:
    does = "matters" if part.p < LEVEL else "is not shown to matter"
    return f"{what} {does} ({p_equals(part.p)})"


def _in_line(effect: Effect) -> str:
    return " \N{MINUS SIGN} ".join(map(in_sentence, effect.pair))


def variance(found: Analysis) -> Table:
    """Tabulate which share of the scatter is due to what, and what chance alone would make it."""
    rows = [
        (
            *(name, f"{100 * part.share:.1f}", f"{100 * part.by_chance:.1f}"),
            "\N{EN DASH}" if np.isnan(part.p) else p_value(part.p),
        )
        for name, part in found.parts.items()
    ]
    header = ("due to", "share of the sum of squares, %", "by chance alone, %", "p")
    return Table(header, tuple(rows))


def spreads(arms: Arms) -> Table:
    """Tabulate how far seeds scatter under each regularizer, pooled over the norms."""
    frame = _full_table(arms)
    of_arm = frame.groupby(["regularizer", "norm"], sort=False)["accuracy"].var()
    pooled = of_arm.groupby("regularizer", sort=False).mean() ** 0.5
    rows = [(str(name), f"{sd:.2f}") for name, sd in pooled.items()]
    return Table(("regularizer", "standard deviation over the seeds, points"), tuple(rows))


def effects(found: Sequence[Effect], at: str) -> Table:
    """Tabulate differences; ``at`` heads the column of the other factor."""
    rows = [
        (e.title, e.at or "mean of all", number(e.mean, 2, sign=True), e.interval, p_value(e.p))
        for e in found
    ]
    return Table(("difference", at, "points", "95% interval", "p"), tuple(rows))
