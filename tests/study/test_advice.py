"""Advice names the arm that is ahead, and says so where nothing is decided."""

from study.fakes import arm

from normstudy.study.advice import between, screen
from normstudy.study.compare import differences

BATCH, GROUP = arm(80, 80.1, 80.2), arm(70, 70.1, 70.2, norm="group")


def advised(one, other):
    (found,) = differences({"Batch norm at 4": one, "Group norm": other})
    return between("batches are small", found, "How small may a batch be?")


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


def test_a_screen_is_numbered_and_shows_the_size():
    found = screen([advised(BATCH, GROUP)] * 2)
    assert [row[0] for row in found.rows] == ["1. batches are small", "2. batches are small"]
    (_, take, evidence, shown), _ = found.rows
    assert take == "batch norm"
    assert evidence.startswith("Batch norm \N{MINUS SIGN} group norm: +10.00 points (95% interval")
    assert shown == "How small may a batch be?"
