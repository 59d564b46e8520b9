"""Runs are sorted by a setting, and what is read from them is what they hold."""

from dataclasses import replace

import numpy as np
import pytest
from study.fakes import SIZES as ARMS
from study.fakes import batch_size, made, runs_at

from normstudy.study.responses import (
    by,
    ceilings,
    cells,
    choices,
    figure,
    highest,
    joined,
    losses,
    probe_of,
    said,
    table,
    tolerance,
    tolerances,
)

POINTS = by(ARMS, batch_size)


def crosses(points):
    lines = figure(points, "size", name="s", title="S").axes[0].lines
    return [line for line in lines if line.get_marker() == "x"]


def test_runs_are_sorted_by_the_value_and_by_nothing_else():
    assert {arm: list(of) for arm, of in POINTS.items()} == {
        "Batch norm": [2, 8, 128],
        "Group norm": [2, 8],
    }
    assert [run.accuracy for run in POINTS["Batch norm"][2]] == [0.5, 0.54]
    mixed = {"Batch norm": [*runs_at(2, 50), *runs_at(2, 60, lr=0.7)]}
    with pytest.raises(ValueError, match=r"'Batch norm, 2' differ in lr"):
        by(mixed, batch_size)
    assert len(cells(mixed, batch_size)["Batch norm"][2]) == 2


def test_studies_are_joined_by_the_arms_that_all_of_them_have():
    main = {"No norm": runs_at(128, 60, norm="none"), "Batch norm": runs_at(128, 80, 82)}
    found = joined(main, {"Batch norm": runs_at(8, 70), "Group norm": runs_at(8, 71, norm="group")})
    assert list(found) == ["Batch norm"]
    assert [run.recipe.batch_size for run in found["Batch norm"]] == [128, 128, 8]
    assert {x: len(runs) for x, runs in by(found, batch_size)["Batch norm"].items()} == {
        8: 1,
        128: 2,
    }


def test_a_table_has_a_row_for_each_value_and_a_dash_where_nothing_was_trained():
    found = table(POINTS, "batch size")
    assert found.header == ("batch size: test accuracy, %", "Batch norm", "Group norm")
    sd = np.sqrt(2)
    assert found.rows[0] == ("2", f"52.00 ± {2 * sd:.2f}", f"75.00 ± {sd:.2f}")
    assert found.rows[-1] == ("128", f"81.00 ± {sd:.2f}", "\N{EN DASH}")
    assert said(POINTS["Batch norm"][2][:1]) == "50.00"
    assert said(POINTS["Group norm"][8]).startswith("76.00")


def test_a_figure_shows_the_means_and_bands_at_the_values():
    fig = figure(POINTS, "batch size", name="sizes", title="Sizes", note="One more word.")
    lines = {line.get_label(): line for line in fig.axes[0].lines if line.get_label() in ARMS}
    x, y = lines["Batch norm"].get_data()
    assert list(x) == [2, 8, 128]
    assert list(y) == pytest.approx([52, 70, 81])
    assert fig.axes[0].get_xscale() == "log"
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["2", "8", "128"]
    assert fig.normstudy["caption"].endswith("One more word.")
    assert "best 81.00 at 128" in fig.normstudy["alt"]
    assert any("chance: 10%" in text.get_text() for text in fig.axes[0].texts)
    long = figure(POINTS, "a setting with a long name", name="long", title="Sizes")
    long.canvas.draw()
    (chance,) = (text for text in long.axes[0].texts if "chance" in text.get_text())
    assert not chance.get_window_extent().overlaps(long.axes[0].xaxis.label.get_window_extent())
    gap = figure(POINTS, "batch size", "gap", name="gap", title="Gap")
    assert not any("chance" in text.get_text() for text in gap.axes[0].texts)


def test_points_of_unequal_seeds_keep_their_means_and_bands():
    points = by({"Batch norm": [*runs_at(2, 50, 54, 58), *runs_at(8, 70, 72)]}, batch_size)
    fig = figure(points, "batch size", name="sizes", title="Sizes")
    (line,) = (line for line in fig.axes[0].lines if line.get_label() == "Batch norm")
    assert list(line.get_ydata()) == pytest.approx([54, 71])


def test_a_setting_that_diverged_with_one_seed_is_lost_with_all():
    lost = {"Batch norm": [replace(ARMS["Batch norm"][2].recipe, seed=7)]}
    points = by(ARMS, batch_size, lost)
    assert {x: len(runs) for x, runs in points["Batch norm"].items()} == {2: 0, 8: 2, 128: 2}
    assert list(points["Group norm"]) == [2, 8]
    assert table(points, "batch size").rows[0][1:] == (
        "lost",
        table(POINTS, "batch size").rows[0][2],
    )
    assert tolerance(points, 50)["Batch norm"] == (8, 128)
    assert [x for line in crosses(points) for x in line.get_xdata()] == [2]
    assert crosses(POINTS) == []
    (line,) = (
        line
        for line in figure(points, "size", name="s", title="S").axes[0].lines
        if line.get_label() == "Batch norm"
    )
    assert list(line.get_xdata()) == [8, 128]


def test_an_arm_of_which_everything_was_lost_is_shown_as_lost():
    lost = {"Group norm": [run.recipe for run in ARMS["Group norm"]]}
    points = by(ARMS, batch_size, lost)
    assert [row[2] for row in table(points, "batch size").rows] == ["lost", "lost", "\N{EN DASH}"]
    fig = figure(points, "batch size", name="sizes", title="Sizes")
    assert fig.normstudy["alt"].endswith(": Batch norm best 81.00 at 128.")
    assert "(Group norm at 2, 8)" in fig.normstudy["caption"]
    assert list(tolerance(points, 1)) == ["Batch norm"]
    assert tolerances(points, [1, 2]).rows[1] == ("Group norm", "lost", "lost")
    assert ceilings(points, "size").rows[1] == ("Group norm", *["lost"] * 3)


def test_what_is_lost_of_two_arms_at_one_value_can_be_told_apart():
    points = {arm: {2: (), 8: runs_at(8, 70)} for arm in ("Batch norm", "Group norm")}
    first, second = crosses(points)
    assert first.get_color() != second.get_color()
    assert first.get_ydata()[0] > second.get_ydata()[0], "one below the other"


def test_the_highest_value_lies_below_the_first_that_was_lost():
    points = {
        "Batch norm": {1: runs_at(8, 70), 2: runs_at(8, 80), 4: runs_at(8, 75)},
        "Group norm": {1: runs_at(8, 60), 2: (), 4: runs_at(8, 50)},
    }
    assert highest(points) == {"Batch norm": 4, "Group norm": 1}
    assert ceilings(points, "rate").rows == (
        ("Batch norm", "2", "4 (none higher tried)", "\N{MINUS SIGN}5.0"),
        ("Group norm", "1", "1", "it is the best"),
    )


def test_what_was_lost_is_told_with_its_seeds_and_with_what_the_others_reached():
    arms = {"Batch norm": [made(60, lr=0.1, seed=1), made(70, lr=0.1, seed=2), made(50, lr=0.2)]}
    recipe = arms["Batch norm"][0].recipe
    lost = {"Batch norm": [replace(recipe, seed=0), replace(recipe, lr=0.4, seed=0)]}
    lost["Batch norm"].append(replace(recipe, lr=0.4, seed=1))
    assert losses(arms, lost, lambda r: f"at {r.lr:g}").splitlines() == [
        "Batch norm, at 0.1: not finite with seed 0, 60.00% with seed 1, 70.00% with seed 2",
        "Batch norm, at 0.4: not finite with seeds 0 and 1",
    ]


def test_only_some_recipes_may_count():
    lost = {"Group norm": [replace(ARMS["Group norm"][0].recipe, seed=7)]}
    points = by(ARMS, batch_size, lost, only=lambda r: r.batch_size > 2)
    assert {arm: list(of) for arm, of in points.items()} == {
        "Batch norm": [8, 128],
        "Group norm": [8],
    }


def test_a_column_of_a_probe_is_a_measure_as_well():
    runs = [replace(run, probed={"zero_weights": [0.1, 0.25]}) for run in runs_at(2, 50, 51)]
    zeros = probe_of("zero_weights", "weights of zero", unit="%", digits=1, scale=100)
    assert said(runs, zeros) == "25.0 ± 0.0"
    found = table({"Batch norm": {2: runs}}, "batch size", zeros)
    assert found.header[0] == "batch size: weights of zero, %"
    fig = figure({"Batch norm": {2: runs, 4: runs}}, "size", zeros, name="z", title="Zeros")
    assert "lowest 25.0" in fig.normstudy["alt"]


def test_where_less_is_better_the_best_value_is_the_lowest():
    # the fakes have a loss of 2 minus the accuracy
    words = figure(POINTS, "batch size", "test_loss", name="loss", title="Loss").normstudy
    assert words["alt"].endswith(
        ": Batch norm lowest 1.1900 at 128; Group norm lowest 1.2400 at 8."
    )


def test_choices_are_those_of_the_rule_and_say_where_the_grid_ends():
    runs = [
        made(a, batch_size=2, lr=lr, validation=True) for a, lr in ((60, 0.1), (70, 0.3), (50, 0.9))
    ]
    runs += [made(a, batch_size=8, lr=lr, validation=True) for a, lr in ((60, 0.1), (70, 0.3))]
    found = choices(cells({"Batch norm": runs}, batch_size))
    assert found.rows == (("2", "0.3"), ("8", "0.3 (highest)"))
    lost = {"Batch norm": [replace(runs[1].recipe, seed=7)]}
    found = choices(cells({"Batch norm": runs}, batch_size), diverged=lost)
    assert found.rows[0] == ("2", "0.1 (lowest)")
    lost = {"Batch norm": [replace(runs[2].recipe, seed=7)]}
    found = choices(cells({"Batch norm": runs[:2]}, batch_size), diverged=lost)
    assert found.rows == (("2", "0.3"),), "a higher one was tried, and lost"


def test_a_tolerance_is_an_unbroken_range_around_the_best():
    points = {"Batch norm": {x: runs_at(128, a) for x, a in ((1, 79), (2, 60), (4, 80), (8, 79.5))}}
    assert tolerance(points, 1) == {"Batch norm": (4, 8)}
    assert tolerance(points, 0.1) == {"Batch norm": (4, 4)}
    assert tolerance(points, 30) == {"Batch norm": (1, 8)}
    found = tolerances(points, [1])
    assert found.header == ("arm", "within 1 point of its best")
    assert found.rows == (("Batch norm", "4 to 8 (×\N{NO-BREAK SPACE}2)"),)


def test_points_are_what_the_module_says():
    assert [100 * run.accuracy for run in POINTS["Group norm"][2]] == pytest.approx([74, 76])
