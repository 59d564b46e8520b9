"""Norm and regularizer are taken apart as their means say, with intervals that cover."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from normstudy.study import factors
from normstudy.study.factors import analyse, regularizer_of
from normstudy.study.originals import E_APART
from normstudy.study.recipes import Recipe
from tests.study.fakes import arm

NORMS = {"batch": 2.0, "group": 0.0, "layer": -1.0}
EXTRAS = {"": 0.0, "L1": 0.5, "L2": -0.3, "L1 + L2": 0.1}


def arms(seeds=3, noise=0.05):
    """Runs of which norm, regularizer and seed each have a known part, one pair an extra one."""
    rng = np.random.default_rng(1)
    found = {}
    for norm, base in NORMS.items():
        for words, extra in EXTRAS.items():
            own = 1.0 if (norm, words) == ("layer", "L2") else 0.0
            values = 90 + base + extra + own + noise * rng.normal(size=seeds)
            settings = {"l1": 1e-4 * ("L1" in words), "weight_decay": 1e-3 * ("L2" in words)}
            found[f"{norm} {words}"] = arm(*values, norm=norm, **settings)
    return found


def means(made):
    return {
        (runs[0].recipe.norm, regularizer_of(runs[0].recipe)): np.mean(
            [100 * run.accuracy for run in runs]
        )
        for runs in made.values()
    }


def test_regularizers_are_read_from_recipes():
    named = {regularizer_of(recipe) for recipe in E_APART.values()}
    assert named == {"none", "L1", "L2", "L1 + L2"}
    assert regularizer_of(Recipe(l1=0.1, weight_decay=0.0)) == "L1"


NAMES = {"Batch norm": "batch", "Group norm": "group", "Layer norm": "layer"}
REGULARISERS = ("none", "L1", "L2", "L1 + L2")


def test_effects_of_regularizers_are_differences_of_means():
    made = arms()
    found, cell = analyse(made), means(made)
    assert found.runs == 36
    assert [e.pair for e in found.regularizers] == [
        (name, "none") for times in (1, 3) for name in REGULARISERS[1:] for _ in range(times)
    ]
    for effect in found.regularizers:
        over = [NAMES[effect.at]] if effect.at else list(NORMS)
        expected = np.mean([cell[n, effect.pair[0]] - cell[n, "none"] for n in over])
        assert effect.mean == pytest.approx(expected)


def test_effects_of_norms_are_differences_of_means():
    made = arms()
    found, cell = analyse(made), means(made)
    assert [(e.at, *e.pair) for e in found.norms] == [
        (at, *pair) for at in ("", "none") for pair in combinations(NAMES, 2)
    ]
    for effect in found.norms:
        first, second = (NAMES[name] for name in effect.pair)
        over = [effect.at] if effect.at else REGULARISERS
        expected = np.mean([cell[first, r] - cell[second, r] for r in over])
        assert effect.mean == pytest.approx(expected)


def test_intervals_are_those_of_the_pooled_spread():
    made = arms()
    pooled = np.mean([np.var([100 * r.accuracy for r in runs], ddof=1) for runs in made.values()])
    found = analyse(made)
    for effects, over in ((found.regularizers, 3), (found.norms, 4)):
        quantile = stats.t.ppf(1 - 0.025 / len(effects), 36 - 12)  # for all rows at once
        for effect in effects:
            half = quantile * np.sqrt(2 * pooled / (3 if effect.at else 3 * over))
            ends = (effect.mean - half, effect.mean + half)
            assert (effect.low, effect.high) == pytest.approx(ends)
            assert (effect.p < 0.05) == (effect.low > 0 or effect.high < 0)


def test_the_sum_of_squares_is_shared_out():
    made = arms()
    found, cell = analyse(made), means(made)
    assert sum(part.share for part in found.parts.values()) == pytest.approx(1)
    assert [part.by_chance * 35 for part in found.parts.values()] == pytest.approx([2, 3, 6, 24])
    values = np.array([100 * run.accuracy for runs in made.values() for run in runs])
    total = ((values - values.mean()) ** 2).sum()
    of_norm = sum(
        12 * (np.mean([cell[n, w or "none"] for w in EXTRAS]) - values.mean()) ** 2 for n in NORMS
    )
    assert found.parts["norm"].share == pytest.approx(of_norm / total)
    assert found.parts["interaction"].p < 0.001, "one pair has something of its own"
    assert analyse(arms(noise=5.0)).parts["interaction"].p > 0.05


def test_the_tables_show_the_analysis():
    found = analyse(arms())
    rows = factors.variance(found).rows
    assert [row[0] for row in rows] == ["norm", "regularizer", "interaction", "seed"]
    assert rows[-1][-1] == "–"
    table = factors.effects(found.regularizers, "norm")
    assert table.header[1] == "norm"
    assert table.rows[0][:2] == ("L1 \N{MINUS SIGN} none", "mean of all")
    assert len(table.rows) == 12
    assert len(factors.effects(found.norms, "regularizer").rows) == 6


def test_spreads_are_pooled_over_the_norms():
    made = arms()
    rows = factors.spreads(made).rows
    assert [row[0] for row in rows] == list(REGULARISERS)
    plain = [
        np.var([100 * r.accuracy for r in runs], ddof=1)
        for runs in made.values()
        if regularizer_of(runs[0].recipe) == "none"
    ]
    assert rows[0][1] == f"{np.mean(plain) ** 0.5:.2f}"


def test_in_short_names_what_matters_and_how_much():
    clear = analyse(arms())
    largest = clear.norms[1]  # batch norm less layer norm
    norm, regularizer, both = factors.in_short(clear).splitlines()[1:]
    assert norm == (
        "the norm matters (p < 0.001); the largest difference is batch norm \N{MINUS SIGN} layer "
        f"norm ({largest.size});"
    )
    assert regularizer.startswith(
        "the regularizer matters (p < 0.001); the largest difference from none is"
    )
    assert both == "what a regularizer changes depends on the norm (p < 0.001)."
    unclear = factors.in_short(analyse(arms(noise=20.0)))
    assert "the norm is not shown to matter (p = 0." in unclear
    assert "is not shown to depend on the norm (p = 0." in unclear


def test_a_table_with_holes_is_refused():
    made = arms()
    made.pop("layer L1")
    with pytest.raises(ValueError, match=r"no full table .*; give every norm with every regulariz"):
        analyse(made)
    with pytest.raises(ValueError, match="and as many seeds, two or more"):
        analyse(arms(seeds=1))
