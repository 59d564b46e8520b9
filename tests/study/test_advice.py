"""Advice names the arm that is ahead, and says so where nothing is decided."""

from dataclasses import replace

import pytest
from study.fakes import arm

from normstudy.study.advice import at_point, between, screen
from normstudy.study.compare import differences
from normstudy.study.responses import by

BATCH, GROUP = arm(80, 80.1, 80.2), arm(70, 70.1, 70.2, norm="group")


def advised(one, other):
    (found,) = differences({"Batch norm": one, "Group norm": other})
    return between("batches are small", found, "plot_410_batch_sizes")


def test_the_arm_that_is_ahead_is_advised_whichever_comes_first():
    assert advised(BATCH, GROUP).take == "batch norm"
    assert advised(arm(60, 60.1, 60.2), GROUP).take == "group norm"


def test_where_nothing_is_decided_the_advice_says_so():
    undecided = advised(arm(60, 80, 70), GROUP)
    assert undecided.take == "batch norm or group norm: not decided"
    equal = advised(arm(70, 70.1, 70.2), GROUP)
    assert equal.take == "batch norm or group norm: equal within 0.5 points"
    one_seed = advised(BATCH[:1], GROUP[:1])
    assert one_seed.take.endswith("not decided")


def test_an_arm_that_was_lost_is_no_choice():
    arms = {"Batch norm": BATCH, "Group norm": GROUP}
    of = (lambda r: r.batch_size, {"Batch norm": [BATCH[0].recipe]})
    pair = ("Batch norm", "Group norm")
    line = at_point("128 images", by(arms, *of), pair, 128, "plot_410_batch_sizes")
    assert (line.take, line.evidence) == (
        "group norm",
        "batch norm: its loss stopped being finite",
    )
    both = {"Batch norm": {128: ()}, "Group norm": {128: ()}}
    with pytest.raises(ValueError, match="both 'Batch norm' and 'Group norm' were lost at 128"):
        at_point("128 images", both, pair, 128, "plot_410_batch_sizes")
    there = at_point("128 images", by(arms, of[0]), pair, 128, "plot_410_batch_sizes", family=5)
    assert there.take == "batch norm"
    assert there.evidence.startswith("Batch norm \N{MINUS SIGN} group norm: +10.00 points (95%")
    failed = {"Batch norm": {128: arm(15, 40)}, "Group norm": {128: arm(70, 70.2, norm="group")}}
    near = at_point("128 images", failed, pair, 128, "plot_410_batch_sizes")
    assert near.take == "group norm, it seems; not decided, too few seeds so near chance"


def test_a_screen_shows_the_size_and_the_page():
    line = advised(BATCH, GROUP)
    found = screen([line, replace(line, runs="one seed")])
    assert [row[0] for row in found.rows] == ["batches are small"] * 2
    (_, take, evidence, shown), (_, also, *_) = found.rows
    assert (take, also) == ("batch norm", "batch norm; one seed")
    assert evidence.startswith("Batch norm \N{MINUS SIGN} group norm: +10.00 points (95% interval")
    assert shown == "plot_410_batch_sizes"
