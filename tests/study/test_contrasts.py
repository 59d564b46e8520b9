"""Points are compared by the spread of all of them, and what was lost is not compared."""

import numpy as np
import pytest
from scipy import stats
from study.fakes import SIZES as ARMS
from study.fakes import batch_size, runs_at

from normstudy.study.contrasts import (
    against,
    ahead,
    behind_best,
    between,
    compared,
    in_short,
    pairs,
    pooled,
    size,
    to_best,
    to_one,
    unbeaten,
)
from normstudy.study.measures import Measure
from normstudy.study.responses import by
from normstudy.tables import number

POINTS = by(ARMS, batch_size)
SD = np.sqrt((2 + 8 + 0 + 2 + 2) / 5)


def test_the_spread_is_that_within_the_points():
    assert pooled(POINTS).sd == pytest.approx(SD)
    assert str(pooled(POINTS)) == (
        "Seeds of one point differ by a standard deviation of 1.67 points, pooled over the sweep "
        "(5 degrees of freedom)."
    )


def test_points_near_chance_do_not_count():
    wild = {"No norm": [*runs_at(2, 10, 40, norm="none"), *runs_at(8, 70, 70, norm="none")]}
    found = pooled(by(ARMS | wild, batch_size))
    assert found.sd == pytest.approx(np.sqrt((2 + 8 + 0 + 2 + 2 + 0) / 6))
    assert (found.freedom, found.left_out) == (6, 1)
    assert "(6 degrees of freedom; points near chance, left out: 1)" in str(found)


def test_a_point_that_the_pool_leaves_out_is_judged_by_its_own_spread():
    wild = {"No norm": [*runs_at(2, 10, 45, norm="none"), *runs_at(8, 70, 70, norm="none")]}
    found = between(by(ARMS | wild, batch_size), ("Group norm", 2), ("No norm", 2))
    low, high = stats.ttest_ind([74, 76], [10, 45], equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6)
    assert not found.decided


def test_where_no_point_near_chance_has_any_spread_nothing_is_decided():
    stuck = {
        "No norm": [*runs_at(2, 10, 10, norm="none"), *runs_at(8, 10, norm="none")],
        "Layer norm": [*runs_at(2, 11, 11, norm="layer"), *runs_at(8, 70, norm="layer")],
    }
    points = by(ARMS | stuck, batch_size)
    for x in (2, 8):  # seeds that are all equal, and one seed
        found = between(points, ("Layer norm", x), ("No norm", x))
        assert np.isnan([found.low, found.high, found.p]).all()
        assert found.interval == "none"
        assert not found.decided


def test_two_points_are_compared_by_the_pooled_spread():
    found = between(POINTS, ("Batch norm", 128), ("Batch norm", 2))
    assert found.pair == ("Batch norm at 128", "Batch norm at 2")
    assert found.mean == pytest.approx(29)
    half = stats.t.ppf(0.975, 5) * SD
    assert (found.low, found.high) == pytest.approx((29 - half, 29 + half))
    assert found.p == pytest.approx(2 * stats.t.sf(29 / SD, 5))
    assert size(found).startswith("+29.00 points (95% interval ")
    other = between(POINTS, ("Batch norm", 2), ("Group norm", 2))
    assert other.pair == ("Batch norm", "Group norm")
    with pytest.raises(ValueError, match="'Batch norm' is compared with itself; give two points"):
        between(POINTS, ("Batch norm", 2), ("Batch norm", 2))


def test_with_a_spread_that_is_the_same_everywhere_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        arm = [run for x in (1, 2, 4, 8) for run in runs_at(x, *rng.normal(80, 1, 2))]
        found = between(by({"A": arm}, batch_size), ("A", 1), ("A", 2))
        covered.append(found.low < 0 < found.high)
    assert 0.925 < np.mean(covered) < 0.975


def test_two_arms_are_compared_at_every_value_and_for_all_rows_at_once():
    found = against(POINTS, "Batch norm", "Group norm", "images")
    assert found.header[0] == "images: Batch norm \N{MINUS SIGN} group norm"
    half = stats.t.ppf(1 - 0.05 / 4, 5) * SD
    assert [row[:2] for row in found.rows] == [
        ("2", "\N{MINUS SIGN}23.00"),
        ("8", "\N{MINUS SIGN}6.00"),
    ]
    assert found.rows[1][2] == f"\N{MINUS SIGN}{6 + half:.2f} to \N{MINUS SIGN}{6 - half:.2f}"
    assert [row[3] for row in found.rows] == ["ahead: group norm", "ahead: group norm"]


def test_what_was_lost_is_told_and_not_compared():
    points = by(ARMS, batch_size, {"Batch norm": [ARMS["Batch norm"][2].recipe]})
    rows = against(points, "Batch norm", "Group norm", "images").rows
    assert rows[0] == ("2", "\N{EN DASH}", "\N{EN DASH}", "lost: batch norm")
    assert rows[1][3] == "ahead: group norm"
    pair = ("Batch norm", 2), ("Group norm", 2)
    assert compared(points, *pair) == "batch norm was lost at 2"
    assert compared(POINTS, *pair) == size(between(POINTS, *pair))
    with pytest.raises(ValueError, match="'Batch norm' was lost at 2, so there is nothing to comp"):
        between(points, *pair)


def test_one_seed_has_no_interval():
    points = by({"Batch norm": [*runs_at(2, 50), *runs_at(4, 60)]}, batch_size)
    found = between(points, ("Batch norm", 2), ("Batch norm", 4))
    assert size(found) == "\N{MINUS SIGN}10.00 points"


def test_the_values_of_one_arm_are_compared_with_its_best():
    group = {"Group norm": by(ARMS, batch_size)["Group norm"]}
    assert behind_best(group, "Group norm") == "8 is best; left open: 2"
    batch = {"Batch norm": {**POINTS["Batch norm"], 512: ()}}
    half = stats.t.ppf(1 - 0.05 / 6, 3) * np.sqrt((2 + 8 + 0) / 3)
    rows = to_best(batch, "Batch norm", "size").rows
    assert [row[:2] for row in rows] == [("2", "\N{MINUS SIGN}29.00"), ("8", "\N{MINUS SIGN}11.00")]
    assert rows[1][2] == f"\N{MINUS SIGN}{11 + half:.2f} to {number(-11 + half, 2)}"
    assert unbeaten(batch, "Batch norm") == [128]
    assert unbeaten(group, "Group norm") == [8, 2]
    assert behind_best(batch, "Batch norm").endswith("; lost: 512")
    assert behind_best({**batch, "No norm": {2: (), 8: ()}}, "No norm") == "lost everywhere"


def test_all_pairs_of_arms_are_compared_by_one_spread_in_any_measure_of_accuracy():
    values = {"A": (80, 82), "B": (70, 74), "C": (60, 60)}
    arms = {arm: runs_at(2, *of) for arm, of in values.items()}
    half = stats.t.ppf(1 - 0.05 / 6, 3) * np.sqrt((2 + 8) / 3)
    found = pairs(arms)
    assert [d.pair for d in found] == [("A", "B"), ("A", "C"), ("B", "C")]
    assert [d.mean for d in found] == pytest.approx([9, 21, 12])
    assert [d.high - d.mean for d in found] == pytest.approx([half] * 3)
    assert [d.decided for d in found] == [True, True, True]
    halved = Measure("half of it", "%", 1, "higher", lambda run: 50 * run.accuracy, 10)
    assert [d.low for d in pairs(arms, halved)] == pytest.approx([d.low / 2 for d in found])
    assert pairs(arms, halved)[0].measure is halved
    assert ahead(found[1:2]) == f"A ahead of C by {size(found[1])[1:]}"
    level = pairs({"A": runs_at(2, 60, 64), "B": runs_at(2, 61, 63)})
    assert ahead([*found[1:], *level]) == "; ".join(ahead([d]) for d in found[1:])
    assert ahead(level) == "no pair"


def test_every_point_is_compared_with_one_more():
    found = to_one(POINTS, ("No norm", runs_at(4, 60, 60, norm="none")), "size")
    assert found.header == ("size: points, beside no norm", "Batch norm", "Group norm")
    half = stats.t.ppf(1 - 0.05 / 10, 6) * np.sqrt((2 + 8 + 0 + 2 + 2 + 0) / 6)
    assert (
        found.rows[0][1] == f"\N{MINUS SIGN}8.00 ({number(-8 - half, 2)} to {number(-8 + half, 2)})"
    )
    assert found.rows[2][2] == "\N{EN DASH}"
    near = {"Group norm": by(ARMS | {"Group norm": runs_at(2, 10, 20)}, batch_size)["Group norm"]}
    (row,) = to_one(near, ("No norm", runs_at(4, 60, 60, norm="none")), "size").rows
    assert row[1] == "\N{MINUS SIGN}45.00 (near chance)"


def test_an_arm_near_chance_is_called_so_and_not_undecided():
    arms = {
        "Batch norm": [*runs_at(1, 20, 40), *runs_at(8, 80, 81)],
        "Group norm": [*runs_at(1, 70, 71, norm="group"), *runs_at(8, 80, 81, norm="group")],
    }
    points = by(arms, batch_size)
    rows = against(points, "Batch norm", "Group norm", "images").rows
    assert [row[3] for row in rows] == ["too few seeds so near chance", "open"]
    assert in_short(points, "Batch norm", "Group norm") == (
        "Batch norm against group norm: not decided at 8; too few seeds so near chance, at 1."
    )


def test_in_short_sorts_the_values_by_what_is_decided():
    points = by(ARMS, batch_size, {"Group norm": [ARMS["Group norm"][0].recipe]})
    assert in_short(points, "Batch norm", "Group norm") == (
        "Batch norm against group norm: behind at 2; group norm lost at 8."
    )


def test_an_arm_that_was_lost_everywhere_has_no_best_value():
    points = by(ARMS, batch_size, {"Group norm": [run.recipe for run in ARMS["Group norm"]]})
    for read in (
        lambda: to_best(points, "Group norm", "size"),
        lambda: unbeaten(points, "Group norm"),
    ):
        with pytest.raises(ValueError, match=r"'Group norm' was lost everywhere.*; leave it out"):
            read()
