"""Intervals, tests and tables against values worked out by hand or taken from other programs."""

import math
from dataclasses import replace

import numpy as np
import pytest
from fakes import fake_run
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from normstudy.study import compare
from normstudy.study.recipes import Recipe
from normstudy.tables import p_value


def made(accuracy, seed=0, *, penalty=0.0, **fields):
    """Make a run of two epochs that ends at this test accuracy, in percent."""
    recipe = Recipe(**{"data": "digits", "seed": seed, **fields})
    columns = {"train_loss": [0.9, 0.3], "penalty": [penalty, penalty / 2]}
    return fake_run(recipe, [0.5, accuracy / 100], **columns)


def arm(*accuracies, **fields):
    return [made(accuracy, seed, **fields) for seed, accuracy in enumerate(accuracies)]


def test_summary_by_hand():
    s = compare.summarize(arm(87, 88, 89))
    assert (s.n, s.mean, s.sd) == pytest.approx((3, 88, 1))
    # t(.975, 2) = 4.302653 from a printed table; the standard error is 1 / sqrt(3)
    assert (s.low, s.high) == pytest.approx((88 - 4.302653 / 3**0.5, 88 + 4.302653 / 3**0.5))
    assert str(s) == "88.00 ± 1.00"
    assert s.interval == "85.52 to 90.48"


def test_one_seed_has_no_spread():
    s = compare.summarize(arm(88))
    assert str(s) == "88.00 (n = 1)"
    assert s.interval == "none (n = 1)"
    assert math.isnan(s.sd)
    assert math.isnan(s.low)


@pytest.mark.parametrize(
    ("measure", "value"),
    [
        ("test_accuracy", 88),
        ("test_loss", 1.12),
        ("train_accuracy", 91),
        ("train_loss", 0.1),
        ("gap", 3),
    ],
)
def test_measures(measure, value):
    assert compare.summarize(arm(88), measure).mean == pytest.approx(value)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=8))
def test_interval_agrees_with_scipy(values):
    low, high = compare.mean_interval(values)
    if np.std(values) > 1e-6:
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-6)
    assert low <= np.mean(values) + 1e-9
    assert high >= np.mean(values) - 1e-9


def test_holm_against_r():
    # R 4: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert compare.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert compare.holm([0.6, 0.7]) == pytest.approx([1, 1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_lies_between_none_and_bonferroni(p_values):
    p, corrected = np.array(p_values), compare.holm(p_values)
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(1, p * len(p)) + 1e-12).all()
    order = np.argsort(p)
    assert (np.diff(corrected[order]) >= 0).all()


def test_difference_is_paired_by_seed_and_not_by_place():
    runs = {"A": arm(88, 89, 90), "B": arm(85, 85.5, 86.8)[::-1]}
    (d,) = compare.differences(runs)
    expected = stats.ttest_rel([88, 89, 90], [85, 85.5, 86.8])
    ends = expected.confidence_interval(0.95)
    assert (d.n, d.family) == (3, 1)
    assert d.mean == pytest.approx(np.mean([3, 3.5, 3.2]))
    assert (d.low, d.high) == pytest.approx((ends.low, ends.high))
    assert d.p == d.p_holm == pytest.approx(expected.pvalue)


def test_nothing_that_was_computed_is_lost():
    runs = {"A": arm(88, 89, 90), "B": arm(85, 85.5, 86.8)}
    (d,) = compare.differences(runs)
    assert d.values == pytest.approx({0: 3, 1: 3.5, 2: 3.2})
    assert d.sd == pytest.approx(np.std([3, 3.5, 3.2], ddof=1))
    s = compare.summarize(runs["A"])
    assert s.values == pytest.approx({0: 88, 1: 89, 2: 90})
    assert d.pair == "A \N{MINUS SIGN} B"


def test_only_shared_seeds_count():
    (d,) = compare.differences({"A": arm(88, 89, 90), "B": arm(85, 85)})
    assert d.n == 2
    assert d.mean == pytest.approx(3.5)


def test_family_is_corrected_together():
    runs = {"A": arm(88, 89, 90), "B": arm(85, 85.5, 86.8), "C": arm(84, 86, 85)}
    found = compare.differences(runs)
    assert [(d.first, d.second) for d in found] == [("A", "B"), ("A", "C"), ("B", "C")]
    assert [d.p_holm for d in found] == pytest.approx(compare.holm([d.p for d in found]).tolist())
    assert {d.family for d in found} == {3}
    (alone,) = compare.differences(runs, pairs=[("A", "C")])
    assert alone.p_holm == alone.p


def test_sentences_follow_the_data():
    ahead = {"Batch norm": arm(88, 89, 90), "Group norm": arm(85, 85.9, 87)}
    text = str(compare.differences(ahead)[0])
    assert text.startswith(
        "Batch norm is ahead of group norm by 3.03 points of test accuracy (95 %"
    )
    assert "3 seeds" in text
    backwards = dict(reversed(ahead.items()))
    assert str(compare.differences(backwards)[0]) == text
    close = {"Batch norm": arm(88, 89, 90), "Group norm": arm(89, 88, 89.5)}
    text = str(compare.differences(close)[0])
    assert text.startswith(
        "The data do not decide between batch norm and group norm: batch norm is ahead by 0.17 "
        "points of test accuracy in these runs (95 %"
    )
    assert "interval \N{MINUS SIGN}" in text
    assert str(compare.differences({"A": arm(80), "B": arm(90)})[0]) == (
        "One seed decides nothing; in it, B is ahead of A by 10.00 points of test accuracy."
    )


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0004, "< 0.001"),
        (0.0412, "0.041"),
        (0.04996, "0.04996"),  # three or four decimals would round it up to the level
        (0.05, "0.050"),
        (0.0504, "0.050"),
        (0.73, "0.730"),
    ],
)
def test_a_p_value_shows_on_which_side_of_the_level_it_is(p, text):
    arms = {"A": arm(88, 89, 90), "B": arm(85, 85.5, 86.8)}
    difference = replace(compare.differences(arms)[0], p=p, p_holm=p)
    assert difference.decided == (float(text.removeprefix("< ")) < 0.05)
    assert p_value(p) == text
    assert f", p {text}" in str(difference).replace("p = ", "p ")


def test_lower_loss_is_ahead():
    runs = {"A": arm(88, 89, 90.1), "B": arm(85, 86, 87)}
    text = str(compare.differences(runs, "test_loss")[0])
    assert text.startswith("A is ahead of B by 0.0303 nats of test loss (95 % interval 0.0")


def test_validation_scores_are_called_so():
    runs = {"A": arm(88, 89, 90, validation=True), "B": arm(85, 86, 88, validation=True)}
    assert "points of validation accuracy" in str(compare.differences(runs)[0])


def test_equal_and_constantly_different_arms():
    runs = {"A": arm(88, 89), "B": arm(88, 89), "C": arm(87, 88)}
    equal, apart, _ = compare.differences(runs)
    assert (equal.mean, equal.p, equal.decided) == (0, 1, False)
    assert apart.mean == pytest.approx(1)
    assert apart.decided


def test_sampling_error():
    error, low, high = compare.sampling_error(made(88))
    assert error == pytest.approx(100 * (0.88 * 0.12 / 1000) ** 0.5)
    z = 1.959964  # Wilson's formula written out
    middle = (0.88 + z**2 / 2000) / (1 + z**2 / 1000)
    half = z / (1 + z**2 / 1000) * (0.88 * 0.12 / 1000 + z**2 / 4e6) ** 0.5
    assert (low, high) == pytest.approx((100 * (middle - half), 100 * (middle + half)), abs=1e-4)


def test_penalty_share_and_small_weights():
    run = made(88, penalty=0.1)
    np.testing.assert_allclose(compare.penalty_share(run), [0.1 / 1.0, 0.05 / 0.35])
    assert (compare.penalty_share(made(88)) == 0).all()
    weights = np.random.default_rng(0).exponential(0.002, 50_000)
    quantiles = np.quantile(weights, np.linspace(0, 1, 1001)).astype(np.float32)
    run = fake_run(Recipe(), [0.88], weight_quantiles=quantiles)
    assert compare.small_weights(run) == pytest.approx((weights < 1e-3).mean(), abs=1e-3)
    assert compare.small_weights(run, below=1e-9) == pytest.approx(0, abs=1e-3)
    assert compare.small_weights(run, below=1) == 1


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: compare.differences({}), r"no runs to compare \(no arms\); give a dict"),
        (lambda: compare.differences({"A": []}), r"no runs to compare \(A: 0\); give a dict"),
        (lambda: compare.summarize([]), "no runs to compare"),
        (
            lambda: compare.differences({"A": arm(88), "B": arm(80, data="mnist")}),
            r"mix data sets \(data=digits, mnist\); accepted: runs with one value of data",
        ),
        (
            lambda: compare.differences({"A": arm(88), "B": arm(80, validation=True)}),
            "mix test and validation scores",
        ),
        (
            lambda: compare.summarize([made(88, 0, lr=0.1), made(88, 1, lr=0.2)]),
            "differ in lr; accepted: runs of one recipe",
        ),
        (lambda: compare.summarize([made(88), made(89)]), r"has the seeds \[0, 0\]"),
        (
            lambda: compare.differences({"A": [made(88, 0)], "B": [made(88, 1)]}),
            r"A has the seeds \[0\] and B has \[1\]; .* train the missing ones",
        ),
        (
            lambda: compare.differences({"A": arm(88), "B": arm(88)}, pairs=[("A", "C")]),
            "the arm 'C' is unknown; accepted: A, B",
        ),
        (
            lambda: compare.summarize(arm(88), "f1"),
            "the measure 'f1' is unknown; accepted: test_acc",
        ),
    ],
)
def test_errors(call, match):
    with pytest.raises(ValueError, match=match):
        call()
