"""Norm and regulariser are taken apart as their means say, with intervals that cover."""

import numpy as np
import pytest
from scipy import stats

from normstudy.study import factors
from normstudy.study.factors import analyse, regulariser_of
from normstudy.study.originals import E_APART
from normstudy.study.recipes import Recipe
from tests.study.fakes import arm

NORMS = {"batch": 2.0, "group": 0.0, "layer": -1.0}
EXTRAS = {"": 0.0, "L1": 0.5, "L2": -0.3, "L1 + L2": 0.1}


def arms(seeds=3, noise=0.05):
    """Runs of which norm, regulariser and seed each have a known part, one pair an extra one."""
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
        (runs[0].recipe.norm, regulariser_of(runs[0].recipe)): np.mean(
            [100 * run.accuracy for run in runs]
        )
        for runs in made.values()
    }


def test_regularisers_are_read_from_recipes():
    named = {regulariser_of(recipe) for recipe in E_APART.values()}
    assert named == {"none", "L1", "L2", "L1 + L2"}
    assert regulariser_of(Recipe(l1=0.1, weight_decay=0.0)) == "L1"


def test_effects_are_differences_of_means():
    made = arms()
    found, cell = analyse(made), means(made)
    assert found.runs == 36
    assert [e.regulariser for e in found.effects] == ["L1"] + ["L2"] + ["L1 + L2"] + [
        name for name in ("L1", "L2", "L1 + L2") for _ in NORMS
    ]
    names = {"Batch norm": "batch", "Group norm": "group", "Layer norm": "layer"}
    for effect in found.effects:
        over = [names[effect.norm]] if effect.norm else list(NORMS)
        expected = np.mean([cell[n, effect.regulariser] - cell[n, "none"] for n in over])
        assert effect.mean == pytest.approx(expected)


def test_intervals_are_those_of_the_pooled_spread():
    made = arms()
    pooled = np.mean([np.var([100 * r.accuracy for r in runs], ddof=1) for runs in made.values()])
    quantile = stats.t.ppf(0.975, 36 - 12)
    for effect in analyse(made).effects:
        n = 3 if effect.norm else 9
        half = quantile * np.sqrt(2 * pooled / n)
        assert (effect.low, effect.high) == pytest.approx((effect.mean - half, effect.mean + half))


def test_the_sum_of_squares_is_shared_out():
    made = arms()
    found, cell = analyse(made), means(made)
    assert sum(found.shares.values()) == pytest.approx(1)
    values = np.array([100 * run.accuracy for runs in made.values() for run in runs])
    total = ((values - values.mean()) ** 2).sum()
    of_norm = sum(
        12 * (np.mean([cell[n, w or "none"] for w in EXTRAS]) - values.mean()) ** 2 for n in NORMS
    )
    assert found.shares["norm"] == pytest.approx(of_norm / total)
    assert found.p["both together"] < 0.001, "one pair has something of its own"
    assert analyse(arms(noise=5.0)).p["both together"] > 0.05


def test_the_tables_show_the_analysis():
    found = analyse(arms())
    rows = factors.variance(found).rows
    assert [row[0] for row in rows] == ["norm", "regulariser", "both together", "seed"]
    assert rows[-1][-1] == "–"
    text = factors.in_short(found)
    assert text.startswith(f"Of the scatter of 36 runs, {100 * found.shares['norm']:.0f}% norm, ")
    assert f"L1 {found.effects[0].mean:+.2f} points (" in text
    rows = factors.effects(found).rows
    assert rows[0][:2] == ("L1", "mean of all norms")
    assert len(rows) == 12


def test_a_table_with_holes_is_refused():
    made = arms()
    made.pop("layer L1")
    with pytest.raises(ValueError, match=r"no full table .*; give every norm with every regularis"):
        analyse(made)
    with pytest.raises(ValueError, match="and as many seeds, two or more"):
        analyse(arms(seeds=1))
