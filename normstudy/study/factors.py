"""Norm and regulariser taken apart: a two-way analysis of variance of the accuracies of runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from normstudy.study.measures import CONFIDENCE, Arms, check_arms
from normstudy.study.recipes import Recipe
from normstudy.tables import NORM_NAMES, Table, number, p_value

NONE = "none"


def regulariser_of(recipe: Recipe) -> str:
    """Name what pulls at the weights: ``"none"``, ``"L1"``, ``"L2"`` or ``"L1 + L2"``."""
    on = {"L1": recipe.l1 > 0, "L2": recipe.weight_decay > 0}
    return " + ".join(name for name, is_on in on.items() if is_on) or NONE


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What a regulariser changes in test accuracy, in points, with a 95% interval."""

    regulariser: str
    norm: str
    """For which norm; empty for the mean over all norms."""
    mean: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Analysis:
    """Accuracies taken apart into norm, regulariser, their interaction and the seed."""

    shares: Mapping[str, float]
    """Share of the sum of squares of each part, ``"seed"`` for what is left, fractions."""
    p: Mapping[str, float]
    """p-value of the F test of each part, the seed aside."""
    effects: tuple[Effect, ...]
    """Of each regulariser against none: over all norms, then norm by norm."""
    runs: int


def analyse(arms: Arms) -> Analysis:
    """Take test accuracies after the last epoch apart, by least squares.

    The norms and the regularisers are read from the recipes. Every norm must have been trained with
    every regulariser and the same number of seeds, so that the parts add up.

    Raises
    ------
    ValueError
        If the runs must not be set beside each other, a combination is missing, or numbers of
        seeds differ.

    References
    ----------
    R. A. Fisher, The Design of Experiments, 1935, chapter VI (factorial designs).
    """
    import pandas as pd  # noqa: PLC0415 - both are slow to import
    from statsmodels.formula.api import ols  # noqa: PLC0415
    from statsmodels.stats.anova import anova_lm  # noqa: PLC0415

    check_arms(arms)
    rows = [
        (NORM_NAMES[run.recipe.norm], regulariser_of(run.recipe), 100 * run.accuracy)
        for runs in arms.values()
        for run in runs
    ]
    frame = pd.DataFrame(rows, columns=["norm", "regulariser", "accuracy"])
    norms, regularisers = (list(dict.fromkeys(frame[name])) for name in ("norm", "regulariser"))
    cells = frame.groupby(["norm", "regulariser"]).size()
    whole = len(cells) == len(norms) * len(regularisers) and cells.nunique() == 1
    if not whole or NONE not in regularisers or cells.iloc[0] < 2:
        counts = "; ".join(f"{n}, {r}: {size}" for (n, r), size in cells.items())
        msg = (
            f"the runs are no full table ({counts}); give every norm with every regulariser, none "
            "among them, and as many seeds, two or more"
        )
        raise ValueError(msg)
    over_all = ols(
        f"accuracy ~ C(norm, Sum) * C(regulariser, Treatment('{NONE}'))", data=frame
    ).fit()
    within = ols(
        f"accuracy ~ C(norm) + C(norm):C(regulariser, Treatment('{NONE}'))", data=frame
    ).fit()
    table = anova_lm(over_all)
    names = ("norm", "regulariser", "both together", "seed")
    total = float(table["sum_sq"].sum())
    parts = zip(names, table["sum_sq"], table["PR(>F)"], strict=True)
    shares, p = {}, {}
    for name, squares, value in parts:
        shares[name] = float(squares) / total
        if name != "seed":
            p[name] = float(value)
    others = [name for name in regularisers if name != NONE]
    effects = [_effect(over_all, name, "") for name in others]
    effects += [_effect(within, name, norm) for name in others for norm in norms]
    return Analysis(shares=shares, p=p, effects=tuple(effects), runs=len(frame))


def _effect(fit: Any, regulariser: str, norm: str) -> Effect:
    """Read one coefficient: those of a term end with the regulariser, in brackets behind T."""
    ends = [name for name in fit.params.index if name.endswith(f"[T.{regulariser}]")]
    (name,) = [name for name in ends if (f"[{norm}]" in name if norm else ":" not in name)]
    low, high = fit.conf_int(1 - CONFIDENCE).loc[name]
    return Effect(
        regulariser=regulariser,
        norm=norm,
        mean=float(fit.params[name]),
        low=float(low),
        high=float(high),
        p=float(fit.pvalues[name]),
    )


def in_short(found: Analysis) -> str:
    """Say in two sentences what the scatter is due to, and what the regularisers do on average."""
    parts = ", ".join(f"{100 * share:.0f}% {name}" for name, share in found.shares.items())
    changes = "; ".join(
        f"{e.regulariser} {number(e.mean, 2, sign=True)} points "
        f"({number(e.low, 2, sign=True)} to {number(e.high, 2, sign=True)})"
        for e in found.effects
        if not e.norm
    )
    return (
        f"Of the scatter of {found.runs} runs, {parts}. "
        f"Against no regulariser, as a mean over the norms (95% interval): {changes}."
    )


def variance(found: Analysis) -> Table:
    """Tabulate which share of the scatter is due to what."""
    rows = [
        (name, f"{100 * share:.1f}", p_value(found.p[name]) if name in found.p else "\N{EN DASH}")
        for name, share in found.shares.items()
    ]
    return Table(("due to", "share of the sum of squares, %", "p"), tuple(rows))


def effects(found: Analysis) -> Table:
    """Tabulate what each regulariser changes, over all norms and norm by norm."""
    rows = [
        (
            *(e.regulariser, e.norm or "mean of all norms", number(e.mean, 2, sign=True)),
            *(f"{number(e.low, 2, sign=True)} to {number(e.high, 2, sign=True)}", p_value(e.p)),
        )
        for e in found.effects
    ]
    header = ("regulariser, against none", "norm", "points", "95% interval", "p")
    return Table(header, tuple(rows))
